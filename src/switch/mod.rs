//! The switch contract and its connectors: what decides which pool is hot.

pub mod haproxy;
mod view;

use std::time::Duration;

use async_trait::async_trait;

pub use view::{BackendServer, Route, RouterView, Worker};

use crate::inventory::{self, Inventory, Router};
use crate::remote::{Armed, Fence, RemoteError, Session};

/// Why a router could not be read or moved.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SwitchError {
    /// The server itself.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The router's program answered, but not as expected.
    #[error("{router}: {problem}")]
    Router {
        /// The router's name.
        router: String,
        /// What was expected and found.
        problem: String,
    },
}

/// One thing that `doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The server.
    pub server: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was looked at, with what was expected and found.
    pub what: String,
    /// How to mend it, where it is not as it should be.
    pub hint: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn good(server: &str, what: impl Into<String>) -> Finding {
        Finding {
            server: server.to_owned(),
            ok: true,
            what: what.into(),
            hint: None,
        }
    }

    /// Not as it should be.
    pub fn bad(server: &str, what: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding {
            server: server.to_owned(),
            ok: false,
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}

/// What drives the routers of one environment.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The name in `connector = "..."`.
    fn name(&self) -> &'static str;

    /// How a late command of an older run is kept from moving traffic, in words.
    fn fencing(&self) -> &'static str;

    /// What one router does with traffic now.
    ///
    /// # Errors
    /// When it cannot be read: it is in doubt then.
    async fn observe(&self, session: &Session, router: &Router) -> Result<RouterView, SwitchError>;

    /// Prepares one router to route as `to`, under its guard, up to the last step. Nothing moves.
    ///
    /// # Errors
    /// When the router would not be able to move; nothing has changed.
    async fn arm(
        &self,
        session: &Session,
        fence: &Fence,
        step: &str,
        to: &Route,
        lease: Duration,
    ) -> Result<ArmedFlip, SwitchError>;

    /// Looks at everything that a flip will need, and changes nothing.
    async fn doctor(&self, session: &Session, router: &Router) -> Vec<Finding>;

    /// The router configuration that pointsman needs for this inventory.
    fn config(&self, inventory: &Inventory) -> String;
}

/// A router that holds its lock and waits for the word.
#[derive(Debug)]
pub struct ArmedFlip {
    router: String,
    armed: Armed,
    read: fn(&str) -> Result<RouterView, String>,
}

impl ArmedFlip {
    /// Moves the router, and returns what was read back from it.
    ///
    /// # Errors
    /// [`SwitchError::Remote`] in doubt when no answer came; else nothing was changed, or what was
    /// changed has been put back.
    pub async fn commit(self, deadline: Duration) -> Result<RouterView, SwitchError> {
        let output = self.armed.commit(deadline).await?;
        if !output.ok() {
            return Err(SwitchError::Router {
                router: self.router,
                problem: output.complaint().to_owned(),
            });
        }
        (self.read)(&output.stdout).map_err(|problem| SwitchError::Router {
            router: self.router,
            problem,
        })
    }
}

/// The connector that the inventory names.
pub fn connector_for(switch: &inventory::Switch) -> Box<dyn Connector> {
    match &switch.connector {
        inventory::switch::Connector::Haproxy(settings) => Box::new(haproxy::Haproxy::new(settings.clone())),
    }
}
