//! What each connector can do, and what it was proven against: nobody is promised more than its program can hold.

use serde::Serialize;

use crate::inventory::Switch;
use crate::inventory::switch::{Connector, Provider};

/// How a late word of an older run is kept from moving traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fencing {
    /// The program has no such comparison; the guard makes it on the router, under a lock.
    Guarded,
    /// The provider compares what stands there with what was read, in the same operation that changes it.
    Native,
    /// The provider compares nothing: pointsman reads, compares and writes, and a late word in between is not stopped.
    Unfenced,
}

impl Fencing {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Fencing::Guarded => "guarded on the router",
            Fencing::Native => "compared by the provider",
            Fencing::Unfenced => "none, the provider compares nothing",
        }
    }
}

/// What is seen of the requests that are still in progress on a pool after a flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainCount {
    /// The program counts its requests.
    Requests,
    /// The router's connections to the pool's servers are counted.
    Connections,
    /// The program drains by itself, and does not tell how far it is.
    Unseen,
    /// What the user's program says.
    Own,
    /// Each host's kernel counts the connections that still come to the pool.
    Hosts,
}

impl DrainCount {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            DrainCount::Requests => "requests",
            DrainCount::Connections => "connections",
            DrainCount::Unseen => "not seen",
            DrainCount::Own => "the program's",
            DrainCount::Hosts => "by the hosts",
        }
    }
}

/// One connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct About {
    /// The name in `connector = "..."`.
    pub connector: &'static str,
    /// How late words are fenced.
    pub fencing: Fencing,
    /// Whether a share of requests can go to the other pool.
    pub canary: bool,
    /// What is counted before a cold pool is replaced.
    pub drain: DrainCount,
    /// Whether single servers of a pool can be left out.
    pub leaves_out: bool,
    /// When every client meets the new pool, in words.
    pub all_moved: &'static str,
    /// The versions that its tests run against, as Debian 12 has them.
    pub proven: &'static str,
}

const HAPROXY: About = About {
    connector: "haproxy",
    fencing: Fencing::Guarded,
    canary: true,
    drain: DrainCount::Requests,
    leaves_out: true,
    all_moved: "with its next request",
    proven: "HAProxy 2.6",
};
const NGINX: About = About {
    connector: "nginx",
    canary: false,
    drain: DrainCount::Connections,
    leaves_out: false,
    proven: "nginx 1.22",
    ..HAPROXY
};
const CADDY: About = About {
    connector: "caddy",
    proven: "Caddy 2.6",
    ..NGINX
};
const ENVOY: About = About {
    connector: "envoy",
    leaves_out: false,
    proven: "Envoy 1.40",
    ..HAPROXY
};
const KAMAL_PROXY: About = About {
    connector: "kamal-proxy",
    drain: DrainCount::Unseen,
    proven: "kamal-proxy 0.9 by hand: no package has it",
    ..NGINX
};

const EXEC: About = About {
    connector: "exec",
    drain: DrainCount::Own,
    all_moved: "as the program is",
    proven: "the worked example, Apache 2.4",
    ..NGINX
};

const RFC2136: About = About {
    connector: "rfc2136",
    fencing: Fencing::Native,
    canary: false,
    drain: DrainCount::Hosts,
    leaves_out: false,
    all_moved: "when its resolver's TTL ends",
    proven: "BIND 9.18, Knot 3.2, PowerDNS 4.7",
};
const ROUTE53: About = About {
    connector: "route53",
    canary: true,
    // Neither staleness nor races can be shown with moto: fencing is proven with the stand-in.
    proven: "moto 5.2, a stand-in that compares as documented",
    ..RFC2136
};
const CLOUDFLARE: About = About {
    connector: "cloudflare",
    fencing: Fencing::Unfenced,
    proven: "its documented requests and answers",
    ..RFC2136
};
const DIGITALOCEAN: About = About {
    connector: "digitalocean",
    ..CLOUDFLARE
};
const POWERDNS: About = About {
    connector: "powerdns",
    proven: "PowerDNS 4.7",
    ..CLOUDFLARE
};
const ELBV2: About = About {
    connector: "elbv2",
    fencing: Fencing::Unfenced,
    canary: true,
    drain: DrainCount::Unseen,
    leaves_out: false,
    all_moved: "with its next request",
    proven: "moto 5.2",
};

/// All connectors.
pub const CONNECTORS: [&About; 12] = [
    &HAPROXY,
    &NGINX,
    &CADDY,
    &ENVOY,
    &KAMAL_PROXY,
    &EXEC,
    &RFC2136,
    &ROUTE53,
    &CLOUDFLARE,
    &DIGITALOCEAN,
    &POWERDNS,
    &ELBV2,
];

/// Of the one that the inventory names.
pub fn about(switch: &Switch) -> &'static About {
    match &switch.connector {
        Connector::Haproxy(_) => &HAPROXY,
        Connector::Nginx(_) => &NGINX,
        Connector::Caddy(_) => &CADDY,
        Connector::Envoy(_) => &ENVOY,
        Connector::KamalProxy(_) => &KAMAL_PROXY,
        Connector::Exec(_) => &EXEC,
        Connector::Dns(_, provider) => match provider {
            Provider::Rfc2136(_) => &RFC2136,
            Provider::Route53(_) => &ROUTE53,
            Provider::Cloudflare(_) => &CLOUDFLARE,
            Provider::Digitalocean(_) => &DIGITALOCEAN,
            Provider::Powerdns(_) => &POWERDNS,
        },
        Connector::Elbv2(_) => &ELBV2,
    }
}
