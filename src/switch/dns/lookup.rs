//! Where a name leads by a recursive resolver, as the prober's honest client asks it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;

use super::ask::{ask, system_resolvers};
use super::{Kind, place};
use crate::report::Lookup;

/// Longest that one answer may take: what a stub resolver waits before it asks again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most names that lead to each other.
const CHAIN: usize = 8;

/// A name, asked of one resolver.
#[derive(Debug)]
pub struct ByResolver {
    name: String,
    /// `host` or `host:port`; this machine's own where it is none.
    resolver: Option<String>,
}

impl ByResolver {
    /// Nothing is asked yet.
    pub fn new(name: &str, resolver: Option<&str>) -> ByResolver {
        ByResolver {
            name: name.to_owned(),
            resolver: resolver.map(str::to_owned),
        }
    }

    async fn server(&self) -> Result<SocketAddr, String> {
        match &self.resolver {
            Some(resolver) => place::one(resolver).await,
            None => system_resolvers()
                .await?
                .first()
                .copied()
                .ok_or_else(|| "this machine has no resolver".to_owned()),
        }
    }
}

#[async_trait]
impl Lookup for ByResolver {
    async fn addresses(&self) -> Result<(Vec<IpAddr>, Duration), String> {
        let server = self.server().await?;
        let (mut name, mut ttl) = (self.name.clone(), u32::MAX);
        for _ in 0..CHAIN {
            let mut answer = ask(server, &name, Kind::A, true, PATIENCE).await?;
            if answer.is_none() {
                answer = ask(server, &name, Kind::Aaaa, true, PATIENCE).await?;
            }
            let Some(answer) = answer else {
                return Err(format!("{server}: {name} has no address"));
            };
            ttl = ttl.min(answer.ttl);
            if let (Kind::Cname, Some(next)) = (answer.kind, answer.values.first()) {
                name.clone_from(next);
                continue;
            }
            let addresses = answer
                .values
                .iter()
                .filter_map(|value| value.parse().ok())
                .collect();
            return Ok((addresses, Duration::from_secs(ttl.into())));
        }
        Err(format!(
            "{server}: {} leads through more than {CHAIN} names",
            self.name
        ))
    }
}
