//! The inventory: one environment's app, pools, checks and switch, as the user wrote them.

pub mod app;
mod check;
pub mod checks;
pub mod diagnostic;
mod dom;
mod find;
mod load;
pub mod migrate;
mod names;
pub mod pools;
pub mod registry;
mod rules;
mod schema;
mod spec;
pub mod ssh;
pub mod switch;
mod tag;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

pub use app::{App, Identity};
pub use checks::Check;
pub use diagnostic::InventoryErrors;
pub use find::find;
pub use migrate::Migrate;
pub use pools::{Host, Pool};
pub use registry::Registry;
pub use schema::{reference, schema};
pub use ssh::Ssh;
pub use switch::{Router, Switch};
pub use tag::parse_tag;

/// One environment: everything that `inventory/<env>.toml` says, validated.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The environment's name: the stem of the file's name, or `env = "..."` in the file.
    pub env: String,
    /// The file that was read; relative paths in it are already resolved against its folder.
    pub file: Utf8PathBuf,
    /// What is deployed.
    pub app: App,
    /// Where images come from; `None` when hosts are logged in already or the registry is open.
    pub registry: Option<Registry>,
    /// How servers are reached.
    pub ssh: Ssh,
    /// Both pools' hosts, by pool.
    pub pools: BTreeMap<Pool, Vec<Host>>,
    /// The health checks, in the order of the file.
    pub checks: Vec<Check>,
    /// The migration, if the app has one.
    pub migrate: Option<Migrate>,
    /// What decides which pool is hot.
    pub switch: Switch,
}
