//! `[switch]`: what decides which pool is hot.

/// The `[switch]` table.
#[derive(Debug, Clone)]
pub struct Switch {
    /// Which program the routers run.
    pub connector: Connector,
    /// The routers, sorted by name: the first is where runs compare and set the epoch.
    pub routers: Vec<Router>,
    /// Requests per second that the prober sends through each router during a flip (default 50).
    pub probe_rate: u32,
}

/// What drives the routers, with the settings of each.
#[derive(Debug, Clone)]
pub enum Connector {
    /// `connector = "haproxy"` with `[switch.haproxy]`.
    Haproxy(Haproxy),
}

/// The `[switch.haproxy]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Haproxy {
    /// Admin socket on the router (default `/run/haproxy/admin.sock`).
    pub socket: String,
    /// Master CLI socket (`haproxy -W -S`), by which old workers are reached; `None`: not used.
    pub master_socket: Option<String>,
    /// Map file on the router (default `/etc/haproxy/pointsman/pools.map`).
    pub map: String,
    /// Key of this app in the map (default: the app's name).
    pub key: String,
    /// Names of the two permanent backends: `{pool}` is replaced (default `<app>_{pool}`).
    pub backend: String,
    /// Servers of the target backend that must be UP on each router before a flip; `None`: all.
    pub min_up: Option<usize>,
}

/// One router: a load balancer that is reached by SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// Short name for people and logs.
    pub name: String,
    /// Host name or IP address that SSH connects to.
    pub address: String,
    /// SSH port; `None` leaves it to `[ssh]`.
    pub port: Option<u16>,
    /// SSH user; `None` leaves it to `[ssh]`.
    pub user: Option<String>,
    /// Where the prober and the data-path check send requests (default `http://<address>`).
    pub url: String,
    /// `Host:` header that reaches the app through this router, if one is needed.
    pub host_header: Option<String>,
}
