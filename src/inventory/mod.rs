//! The inventory: one environment's app, pools, checks and switch, as the user wrote them.
//!
//! A file is read and laid over those it extends (`read`), variables are put in (`expand`), the
//! document is walked along the schema (`walk`), then looked at as a whole (`check`). Every
//! mistake is kept with its place; only a document without any becomes an [`Inventory`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test ends there, as it should"))]

mod annotations;
pub mod app;
pub mod balancer;
mod check;
pub mod checks;
mod compose_services;
mod diagnostic;
pub mod dns;
#[cfg(test)]
mod examples;
mod expand;
mod find;
mod grammar;
#[cfg(test)]
mod hostile;
mod key;
pub mod migrate;
mod names;
mod node;
pub mod pools;
pub mod provider;
mod quantity;
mod read;
mod reference;
pub mod registry;
mod schema;
mod secrets;
mod server;
mod servers;
mod source;
pub mod ssh;
pub mod state;
mod suggest;
pub mod switch;
mod tag;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize as _;

use self::diagnostic::{Mistake, Mistakes, shown};
use self::grammar::Grammar;
use self::key::Key;
use self::node::{Node, Value};
use self::source::Sources;
use self::walk::Walk;

pub use app::{App, Identity};
pub use checks::Check;
pub use diagnostic::{Diagnostic, InventoryErrors, Related};
pub use find::{FindError, find};
pub use migrate::Migrate;
pub use pools::{Host, Pool};
pub use quantity::parse_duration;
pub use reference::reference_markdown;
pub use registry::Registry;
pub use schema::schema;
pub use source::At;
pub use ssh::Ssh;
pub use state::State;
pub use switch::{Router, Switch};
pub use tag::{Tag, TagError, parse_tag};

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

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
    /// Where the lock and the journal are kept.
    pub state: State,
}

impl Inventory {
    /// Reads an inventory, the files that it extends and the Compose file; touches no network.
    ///
    /// # Errors
    /// Every mistake at once, each with its place.
    pub fn load(path: &Utf8Path, env: Environment<'_>) -> Result<Inventory, InventoryErrors> {
        let mut sources = Sources::default();
        let mut mistakes = Mistakes::default();
        let file = read::read(path, env, &mut sources, &mut mistakes)
            .and_then(|root| validated(root, path, env, &sources, &mut mistakes));
        match file {
            Some(file) if mistakes.is_empty() => Ok(Inventory {
                env: file.env,
                file: path.to_owned(),
                app: file.app,
                registry: file.registry,
                ssh: file.ssh,
                pools: BTreeMap::from([
                    (Pool::Blue, file.pools.blue.hosts),
                    (Pool::Green, file.pools.green.hosts),
                ]),
                checks: file.checks,
                migrate: file.migrate,
                switch: file.switch,
                state: file.state,
            }),
            _ => Err(mistakes.into_errors(path, sources)),
        }
    }
}

/// The document as structs. `None` when there are mistakes.
fn validated(
    mut root: Node,
    path: &Utf8Path,
    env: Environment<'_>,
    sources: &Sources,
    mistakes: &mut Mistakes,
) -> Option<schema::File> {
    pools::prepare(&mut root);
    switch::prepare(&mut root);
    Walk {
        sources,
        env,
        mistakes,
    }
    .value(schema::annotated(), &mut root, &Key::Root);
    name_by_file(&mut root, path, mistakes);
    pools::complete(&mut root);
    switch::complete(&mut root);
    check::check(&root, mistakes);
    if !mistakes.is_empty() {
        return None;
    }
    match schema::File::deserialize(root.to_json()) {
        Ok(file) => Some(file),
        Err(error) => {
            mistakes.add(
                Mistake::in_file(0, "", "the inventory passed every check and still cannot be used")
                    .expected("what the schema describes")
                    .found(error.to_string())
                    .help("this is a mistake in pointsman: please report it with your inventory's layout"),
            );
            None
        }
    }
}

/// An environment without a name has its file's.
fn name_by_file(root: &mut Node, path: &Utf8Path, mistakes: &mut Mistakes) {
    if root.get(&["env"]).is_some() {
        return;
    }
    let stem = path.file_stem().unwrap_or_default();
    if !Grammar::Name.accepts(stem) {
        mistakes.add(
            Mistake::in_file(0, "env", "the file's name is no name of an environment")
                .expected(Grammar::Name.words())
                .found(shown(stem))
                .help("rename the file, or add `env = \"...\"` at its top"),
        );
    }
    root.complete("env", Value::String(stem.to_owned()));
}
