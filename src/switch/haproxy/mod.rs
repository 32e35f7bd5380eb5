//! HAProxy: one map value per app decides the pool, set by the guard on the router, in the map's file first
//! and then in every running worker.

mod config;
mod doctor;
mod read;
mod stat;

use super::scripted::flipped;
use super::{Finding, Reader, Route, RouterView, Scripted};
use crate::inventory::balancer::Haproxy as Settings;
use crate::inventory::{Inventory, Pool};
use crate::remote::{Output, Script};

const OBSERVE: &str = concat!(
    include_str!("talk.sh"),
    include_str!("routes.sh"),
    include_str!("observe.sh")
);
const FLIP: &str = concat!(
    include_str!("talk.sh"),
    include_str!("routes.sh"),
    include_str!("file.sh"),
    include_str!("flip.sh")
);
const LEAVE_OUT: &str = concat!(
    include_str!("talk.sh"),
    include_str!("file.sh"),
    include_str!("leave_out.sh")
);
const DOCTOR: &str = concat!(
    include_str!("talk.sh"),
    include_str!("routes.sh"),
    include_str!("doctor.sh")
);

/// The connector.
#[derive(Debug)]
pub struct Haproxy {
    settings: Settings,
}

impl Haproxy {
    /// With the settings of `[switch.haproxy]`.
    pub fn new(settings: Settings) -> Haproxy {
        Haproxy { settings }
    }

    /// The routes as read back, by what `commit` of a flip came to.
    ///
    /// # Errors
    /// Why it failed, and whether that is in doubt.
    pub fn flipped(output: &Output) -> Result<RouterView, (String, bool)> {
        flipped(read::routes, output)
    }

    fn script(&self, body: &'static str) -> Script {
        Script::new(body)
            .file("relay_pl", include_str!("relay.pl"))
            .file("relay_py", include_str!("relay.py"))
            .var("SOCKET", &self.settings.socket)
            .var("MASTER", self.settings.master_socket.clone().unwrap_or_default())
            .var("MAP", &self.settings.map)
            .var("KEY", &self.settings.key)
    }

    fn backend(&self, pool: Pool) -> String {
        self.settings.backend.replace("{pool}", pool.as_str())
    }
}

impl Scripted for Haproxy {
    fn observe_script(&self, _router: &str) -> Script {
        self.script(OBSERVE)
    }

    fn seen(&self, output: &Output) -> Result<RouterView, String> {
        let mut view = read::routes(output).map_err(|words| {
            format!(
                "{words} (key {} in {}; see `pointsman switch config`)",
                self.settings.key, self.settings.map
            )
        })?;
        let mut servers = stat::servers(output.section("answer").unwrap_or_default())?;
        stat::add_older(&mut servers, output.section("older").unwrap_or_default())?;
        view.backends = Pool::ALL
            .map(|pool| (pool, servers.remove(&self.backend(pool)).unwrap_or_default()))
            .into();
        let left_out = output.section("out").unwrap_or_default();
        view.left_out = Pool::ALL
            .map(|pool| {
                let of = |line: &str| {
                    Some(
                        line.strip_prefix(&self.backend(pool))?
                            .strip_prefix('/')?
                            .to_owned(),
                    )
                };
                (pool, left_out.lines().filter_map(of).collect())
            })
            .into();
        Ok(view)
    }

    fn flip_script(&self, _router: &str, to: &Route) -> Result<Script, String> {
        Ok(self.script(FLIP).var("VALUE", to.value()))
    }

    fn reader(&self) -> Reader {
        read::routes
    }

    fn leave_out_script(&self, pool: Pool, servers: &[String]) -> Result<Script, String> {
        Ok(self
            .script(LEAVE_OUT)
            .var("BACKEND", self.backend(pool))
            .var("OUT", servers.join(" ")))
    }

    fn doctor_script(&self, _router: &str) -> Script {
        self.script(DOCTOR)
    }

    fn findings(&self, router: &str, output: &Output) -> Vec<Finding> {
        doctor::findings(self, router, output)
    }

    fn config(&self, inventory: &Inventory) -> String {
        config::config(&self.settings, inventory)
    }
}
