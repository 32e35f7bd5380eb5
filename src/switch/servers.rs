//! What a router's configuration says of the servers that it sends requests to, whatever program it runs.

use crate::inventory::{Host, Inventory, Pool};

/// One server of a pool, as a router reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Whose it is.
    pub(super) pool: Pool,
    /// The host's name.
    pub(super) name: String,
    /// Its address, IPv6 without brackets.
    pub(super) address: String,
    /// Where it answers routers.
    pub(super) port: u16,
}

/// The servers of both pools, in the inventory's order.
pub(super) fn targets(inventory: &Inventory) -> Vec<Target> {
    let of = |pool| {
        inventory.hosts(pool).iter().map(move |host| Target {
            pool,
            name: host.name.clone(),
            address: host.address.trim_matches(['[', ']']).to_owned(),
            port: web_port(inventory, host),
        })
    };
    Pool::ALL.into_iter().flat_map(of).collect()
}

/// A line each, POOL NAME ADDRESS PORT, for scripts that ask the servers themselves.
pub(super) fn lines(targets: &[Target]) -> String {
    let line = |target: &Target| {
        let Target {
            pool,
            name,
            address,
            port,
        } = target;
        format!("{pool} {name} {address} {port}")
    };
    targets.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl Target {
    /// `address:port`; IPv6 addresses stand in brackets before a port.
    pub(super) fn endpoint(&self) -> String {
        endpoint(&self.address, self.port)
    }
}

/// `address:port`.
pub(super) fn endpoint(address: &str, port: u16) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

/// What the servers' port answers where they are well, with the `Host:` header that it wants: a check that is asked on
/// that port; else the identity, which answers through every router.
pub(super) fn health(inventory: &Inventory) -> (&str, Option<&str>) {
    let routers = || inventory.switch.routers.iter();
    match inventory.checks.iter().find(|check| check.service.is_none()) {
        Some(check) => (&check.path, check.host_header.as_deref()),
        None => (
            &inventory.app.identity.path,
            routers().find_map(|router| router.host_header.as_deref()),
        ),
    }
}

/// The port on which a host answers routers: what the host's own env says (`WEB_PORT`, as in the example Compose
/// files), else the port of a check that is asked on the host, else 80.
fn web_port(inventory: &Inventory, host: &Host) -> u16 {
    // Values of env are free text: only a port is a port.
    let own = host.env.get("WEB_PORT").and_then(|port| port.parse().ok());
    let checked = || inventory.checks.iter().find(|check| check.service.is_none());
    own.or_else(|| checked().map(|check| check.port)).unwrap_or(80)
}
