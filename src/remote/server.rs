//! A server as SSH sees it, and how the inventory's hosts and routers become one.

use crate::inventory::{Host, Router};

/// A server as SSH sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Server {
    /// Short name for messages.
    pub name: String,
    /// Host name, address or alias.
    pub address: String,
    /// Port, when the inventory says one.
    pub port: Option<u16>,
    /// User, when the inventory says one.
    pub user: Option<String>,
}

impl Host {
    /// How SSH reaches it.
    pub fn server(&self) -> Server {
        Server {
            name: self.name.clone(),
            address: self.address.clone(),
            port: self.port,
            user: self.user.clone(),
        }
    }
}

impl Router {
    /// How SSH reaches it.
    pub fn server(&self) -> Server {
        Server {
            name: self.name.clone(),
            address: self.address.clone(),
            port: self.port,
            user: self.user.clone(),
        }
    }
}
