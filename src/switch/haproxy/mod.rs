//! HAProxy: one map value per app decides the pool, set by the guard on the router, in the map's file first
//! and then in every running worker.

mod config;
mod doctor;
mod read;
mod stat;

use std::time::Duration;

use async_trait::async_trait;

use super::{ArmedFlip, Connector, Finding, Route, RouterView, SwitchError};
use crate::inventory::switch::Haproxy as Settings;
use crate::inventory::{Inventory, Pool, Router};
use crate::remote::{Guarded, Output, Script, Session};

/// Longest that one look at HAProxy may take, once connected: its sockets are asked one after the other, for a
/// few seconds at most each.
const READ: Duration = Duration::from_secs(10);

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

/// The connector. Its scripts and the readers of their output are public, so that they can be tried on an HAProxy
/// without SSH.
#[derive(Debug)]
pub struct Haproxy {
    settings: Settings,
}

impl Haproxy {
    /// With the settings of `[switch.haproxy]`.
    pub fn new(settings: Settings) -> Haproxy {
        Haproxy { settings }
    }

    /// Prints what the router does now, for [`Haproxy::view`].
    pub fn observe_script(&self) -> Script {
        self.script(OBSERVE)
    }

    /// Reads what [`Haproxy::observe_script`] printed.
    ///
    /// # Errors
    /// What was expected and found, where it did not end well or cannot be understood.
    pub fn view(&self, output: &Output) -> Result<RouterView, String> {
        if !output.ok() {
            return Err(output.complaint().to_owned());
        }
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

    /// Takes these servers of a pool out, and puts its others in again.
    pub fn leave_out_script(&self, pool: Pool, servers: &[String]) -> Script {
        self.script(LEAVE_OUT)
            .var("BACKEND", self.backend(pool))
            .var("OUT", servers.join(" "))
    }

    /// Defines `prepare` and `commit`, for [`Session::arm`].
    pub fn flip_script(&self, to: &Route) -> Script {
        self.script(FLIP).var("VALUE", to.value())
    }

    /// Reads what `commit` of [`Haproxy::flip_script`] printed: the routes as read back.
    ///
    /// # Errors
    /// Why it failed, and whether that is in doubt.
    pub fn flipped(output: &Output) -> Result<RouterView, (String, bool)> {
        read::flipped(output)
    }

    /// Looks at all that a flip needs, for [`Haproxy::findings`].
    pub fn doctor_script(&self) -> Script {
        self.script(DOCTOR)
    }

    /// Judges what [`Haproxy::doctor_script`] printed.
    pub fn findings(&self, router: &str, output: &Output) -> Vec<Finding> {
        doctor::findings(self, router, output)
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

#[async_trait]
impl Connector for Haproxy {
    async fn observe(&self, session: &Session, router: &Router) -> Result<RouterView, SwitchError> {
        let output = session.read(&self.observe_script(), READ).await?;
        self.view(&output).map_err(|problem| SwitchError::Router {
            router: router.name.clone(),
            problem,
            in_doubt: false,
        })
    }

    async fn arm(
        &self,
        session: &Session,
        work: &Guarded<'_>,
        to: &Route,
        lease: Duration,
    ) -> Result<ArmedFlip, SwitchError> {
        let armed = session.arm(work, &self.flip_script(to), lease).await?;
        Ok(ArmedFlip {
            armed,
            read: Haproxy::flipped,
            router: session.name().to_owned(),
        })
    }

    async fn leave_out(
        &self,
        session: &Session,
        work: &Guarded<'_>,
        pool: Pool,
        servers: &[String],
        deadline: Duration,
    ) -> Result<(), SwitchError> {
        let script = self.leave_out_script(pool, servers);
        let output = session.mutate(work, &script, deadline).await?;
        if output.ok() {
            return Ok(());
        }
        Err(SwitchError::Router {
            router: session.name().to_owned(),
            problem: output.complaint().to_owned(),
            in_doubt: output.code != read::NOT_DONE,
        })
    }

    async fn doctor(&self, session: &Session, router: &Router) -> Vec<Finding> {
        match session.read(&self.doctor_script(), READ).await {
            Ok(output) => self.findings(&router.name, &output),
            Err(error) => vec![Finding::bad(&router.name, error.to_string(), "see the error")],
        }
    }

    fn config(&self, inventory: &Inventory) -> String {
        config::config(&self.settings, inventory)
    }
}
