//! `[[checks]]`: how a host of the cold pool is proven.

use std::time::Duration;

/// One `[[checks]]` element: an HTTP request made through SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it is called in messages (`nginx`, `unicorn`).
    pub name: String,
    /// Compose service asked inside the Compose network; `None`: `port` is a port of the host.
    pub service: Option<String>,
    /// Port of the service, or of the host.
    pub port: u16,
    /// Path and query of the request.
    pub path: String,
    /// Status that is healthy (default 200).
    pub status: u16,
    /// Text that the body must contain, if any.
    pub contains: Option<String>,
    /// `Host:` header to send, if the app insists on one.
    pub host_header: Option<String>,
    /// Successes in a row that are needed (default 3).
    pub successes: u32,
    /// Shortest time over which those successes must spread (default 2 s).
    pub min_healthy: Duration,
    /// Pause between two requests (default 500 ms).
    pub interval: Duration,
    /// Deadline of one request (default 3 s).
    pub timeout: Duration,
}
