//! HAProxy: one map value per app decides the pool, set over the admin socket under the guard.

mod config;
mod doctor;
mod read;

use std::time::Duration;

use async_trait::async_trait;

use super::{ArmedFlip, Connector, Finding, Route, RouterView, SwitchError};
use crate::inventory::switch::Haproxy as Settings;
use crate::inventory::{Inventory, Pool, Router};
use crate::remote::{Fence, Script, Session};

/// Longest that one look at HAProxy may take, once connected.
const READ: Duration = Duration::from_secs(10);

const OBSERVE: &str = concat!(include_str!("talk.sh"), include_str!("observe.sh"));
const FLIP: &str = concat!(include_str!("talk.sh"), include_str!("flip.sh"));
const DOCTOR: &str = concat!(include_str!("talk.sh"), include_str!("doctor.sh"));

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

    fn script(&self, body: &'static str) -> Script {
        Script::new(body)
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
    fn name(&self) -> &'static str {
        "haproxy"
    }

    fn fencing(&self) -> &'static str {
        "guarded on the router"
    }

    async fn observe(&self, session: &Session, router: &Router) -> Result<RouterView, SwitchError> {
        let output = session.read(&self.script(OBSERVE), READ).await?;
        let problem = |problem: String| SwitchError::Router {
            router: router.name.clone(),
            problem,
        };
        if !output.ok() {
            return Err(problem(output.complaint().to_owned()));
        }
        let mut view = read::routes(&output.stdout).map_err(|words| {
            problem(format!(
                "{words} (key {} in {}; see `pointsman switch config`)",
                self.settings.key, self.settings.map
            ))
        })?;
        let servers = read::servers(output.section("stat").unwrap_or_default()).map_err(problem)?;
        for pool in Pool::ALL {
            view.backends.insert(
                pool,
                servers.get(&self.backend(pool)).cloned().unwrap_or_default(),
            );
        }
        Ok(view)
    }

    async fn arm(
        &self,
        session: &Session,
        fence: &Fence,
        step: &str,
        to: &Route,
        lease: Duration,
    ) -> Result<ArmedFlip, SwitchError> {
        let value = format!("{}:{}:{}", to.live, to.next, to.percent);
        let script = self.script(FLIP).var("VALUE", value);
        let armed = session.arm(fence, step, &script, lease).await?;
        Ok(ArmedFlip {
            router: session.name().to_owned(),
            armed,
            read: read::routes,
        })
    }

    async fn doctor(&self, session: &Session, router: &Router) -> Vec<Finding> {
        doctor::look(self, session, router).await
    }

    fn config(&self, inventory: &Inventory) -> String {
        config::config(&self.settings, inventory)
    }
}
