//! Who sends the prober's requests: over kept connections and over fresh ones; to where a name leads, for as long as its
//! records may be kept, as an honest client would.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::{Client, Url};

use super::{DEADLINE, ProbeTarget};
use crate::http;

/// What is said of a request whose name led nowhere.
pub const UNRESOLVED: &str = "the name cannot be resolved";

/// Where a name leads now.
#[async_trait]
pub trait Lookup: Send + Sync + std::fmt::Debug {
    /// Its addresses, and for how long they may be kept.
    ///
    /// # Errors
    /// In words, when it leads nowhere or nobody answers.
    async fn addresses(&self) -> Result<(Vec<IpAddr>, Duration), String>;
}

/// The clients of one target.
pub(super) struct Clients {
    kept: Client,
    fresh: Client,
    name: Option<(Arc<dyn Lookup>, String)>,
    addresses: Vec<IpAddr>,
    until: Instant,
}

impl Clients {
    /// Nothing is looked up yet. `None` when no client can be made.
    pub(super) fn new(target: &ProbeTarget) -> Option<Clients> {
        let (kept, fresh) = pair("", &[])?;
        let name = target.lookup.clone().and_then(|lookup| {
            let url: Url = target.url.parse().ok()?;
            Some((lookup, url.host_str()?.to_owned()))
        });
        Some(Clients {
            kept,
            fresh,
            name,
            addresses: Vec::new(),
            until: Instant::now(),
        })
    }

    /// The client for a request that is sent now.
    ///
    /// # Errors
    /// In words, when the name leads nowhere: a client would be lost as well.
    pub(super) async fn get(&mut self, keep: bool) -> Result<Client, String> {
        if let Some((lookup, host)) = &self.name
            && Instant::now() >= self.until
        {
            let addresses = lookup.addresses().await;
            let (mut addresses, ttl) = addresses.map_err(|problem| format!("{UNRESOLVED}: {problem}"))?;
            addresses.sort_unstable();
            self.until = Instant::now() + ttl;
            // Connections to where the name no longer leads are not used any more.
            if addresses != self.addresses {
                let pair = pair(host, &addresses).ok_or("no client can be made")?;
                (self.kept, self.fresh) = pair;
                self.addresses = addresses;
            }
        }
        Ok(if keep { &self.kept } else { &self.fresh }.clone())
    }
}

fn pair(host: &str, addresses: &[IpAddr]) -> Option<(Client, Client)> {
    // The port is the URL's.
    let addresses: Vec<SocketAddr> = addresses
        .iter()
        .map(|address| SocketAddr::new(*address, 0))
        .collect();
    let builder = || {
        let builder = http::builder(DEADLINE);
        if addresses.is_empty() {
            builder
        } else {
            builder.resolve_to_addrs(host, &addresses)
        }
    };
    let kept = builder().build().ok()?;
    let fresh = builder().pool_max_idle_per_host(0).build().ok()?;
    Some((kept, fresh))
}
