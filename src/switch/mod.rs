//! The switch contract and its connectors: what decides which pool is hot.

mod about;
pub mod api;
mod aws;
pub mod dns;
pub mod elbv2;
pub mod envoy;
pub mod exec;
pub mod flag;
pub mod haproxy;
pub mod kamal_proxy;
mod look;
mod scripted;
mod servers;
mod view;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use api::{Api, ApiError};

pub use about::{About, CONNECTORS, DrainCount, Fencing, about};
pub use scripted::{Reader, Scripted};
pub use view::{BackendServer, Caches, Route, RouterView, Worker};

use crate::inventory::switch::Provider;
use crate::inventory::{self, Inventory, Pool, Router};
use crate::remote::{Armed, Guarded, RemoteError, Session};

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
        /// Whether a change was begun that may have had, or may still have, its effect.
        in_doubt: bool,
    },
}

impl SwitchError {
    /// Said of a router that is as it was.
    fn unchanged(router: &str, problem: String) -> SwitchError {
        SwitchError::Router {
            router: router.to_owned(),
            problem,
            in_doubt: false,
        }
    }

    /// Whether an effect now or later cannot be ruled out: read back before anything else.
    pub fn is_in_doubt(&self) -> bool {
        match self {
            SwitchError::Remote(error) => error.is_in_doubt(),
            SwitchError::Router { in_doubt, .. } => *in_doubt,
        }
    }
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
        work: &Guarded<'_>,
        to: &Route,
        lease: Duration,
    ) -> Result<ArmedFlip, SwitchError>;

    /// Takes these servers of a pool out of one router, under its guard, and puts the pool's others in again. It stays
    /// so over reloads and restarts.
    ///
    /// # Errors
    /// When it cannot be done; where that is in doubt, the next look at the router tells.
    async fn leave_out(
        &self,
        session: &Session,
        work: &Guarded<'_>,
        pool: Pool,
        servers: &[String],
        deadline: Duration,
    ) -> Result<(), SwitchError>;

    /// Looks at everything that a flip will need, and changes nothing.
    async fn doctor(&self, session: &Session, router: &Router) -> Vec<Finding>;

    /// The router configuration that pointsman needs for this inventory.
    fn config(&self, inventory: &Inventory) -> String;
}

/// A router that holds its lock and waits for the word. Dropped without it, it changes nothing.
#[derive(Debug)]
pub struct ArmedFlip {
    armed: Armed,
    read: Reader,
    router: String,
}

impl ArmedFlip {
    /// Moves the router, and returns what was read back from it: the routes, without the servers.
    /// That is a success only where [`RouterView::is_all`] or the like says so.
    ///
    /// # Errors
    /// Where [`SwitchError::is_in_doubt`] says no, nothing is changed, now or later: what had been
    /// changed was put back, and read back. Else the router must be read before anything else.
    pub async fn commit(self, deadline: Duration) -> Result<RouterView, SwitchError> {
        let output = self.armed.commit(deadline).await?;
        scripted::flipped(self.read, &output).map_err(|(problem, in_doubt)| SwitchError::Router {
            router: self.router,
            problem,
            in_doubt,
        })
    }
}

/// The API that the inventory names, where no router is a machine.
///
/// # Errors
/// When its settings cannot be used.
pub fn api_for(inventory: &Inventory) -> Result<Option<Arc<dyn Api>>, ApiError> {
    let (dns, provider) = match &inventory.switch.connector {
        inventory::switch::Connector::Dns(dns, provider) => (dns, provider),
        inventory::switch::Connector::Elbv2(settings) => {
            return Ok(Some(Arc::new(elbv2::Elbv2::new(settings, inventory)?)));
        }
        _ => return Ok(None),
    };
    let zone: Arc<dyn dns::Zone> = match provider {
        Provider::Rfc2136(settings) => Arc::new(dns::rfc2136::Rfc2136::new(settings, &dns.zone)?),
        Provider::Cloudflare(settings) => Arc::new(dns::cloudflare::Cloudflare::new(settings, &dns.zone)?),
        Provider::Digitalocean(settings) => {
            Arc::new(dns::digitalocean::Digitalocean::new(settings, &dns.zone)?)
        }
        Provider::Powerdns(settings) => Arc::new(dns::powerdns::Powerdns::new(settings, &dns.zone)?),
        Provider::Route53(settings) => Arc::new(dns::Route53::new(settings, &dns.zone)?),
    };
    Ok(Some(Arc::new(dns::Name::new(dns, zone, inventory)?)))
}

/// The connector that the inventory names; `None` where it is an API.
pub fn connector_for(inventory: &Inventory) -> Option<Box<dyn Connector>> {
    let flag = |program, settings: &inventory::balancer::Flag| {
        Box::new(flag::FlagFile::new(program, settings.clone(), inventory))
    };
    Some(match &inventory.switch.connector {
        inventory::switch::Connector::Haproxy(settings) => Box::new(haproxy::Haproxy::new(settings.clone())),
        inventory::switch::Connector::Nginx(settings) => flag(flag::Program::Nginx, settings),
        inventory::switch::Connector::Caddy(settings) => flag(flag::Program::Caddy, settings),
        inventory::switch::Connector::Envoy(settings) => {
            Box::new(envoy::Envoy::new(settings.clone(), inventory))
        }
        inventory::switch::Connector::KamalProxy(settings) => {
            Box::new(kamal_proxy::KamalProxy::new(settings.clone(), inventory))
        }
        inventory::switch::Connector::Exec(settings) => {
            Box::new(exec::Exec::new(settings.clone(), inventory))
        }
        inventory::switch::Connector::Dns(..) | inventory::switch::Connector::Elbv2(_) => return None,
    })
}

/// The pool that is to get all requests, for a connector that cannot divide them.
///
/// # Errors
/// When a share is wanted.
fn whole(to: &Route) -> Result<Pool, String> {
    to.settled()
        .ok_or_else(|| format!("moves all requests or none, expected a whole pool, found {to}"))
}
