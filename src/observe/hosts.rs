//! What app hosts say: all of them in short for `status`, the cold pool's in full before a deploy.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::state;
use crate::compose::registry::{Api, RegistryError, server_of};
use crate::compose::release::{sha256, split_tag};
use crate::compose::{self, Deployment, HostFacts, PinnedImage, Release, host};
use crate::inventory::{Host, Inventory, Pool};
use crate::remote::Sessions;

/// Longest that looking at one host may take, once connected: Compose v1 alone takes a second.
const LOOK: Duration = Duration::from_secs(40);

/// One host, in short.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostState {
    /// The release that it was last started with.
    pub current: Option<String>,
    /// Each container: service, state, release.
    pub containers: Vec<(String, String, Option<String>)>,
}

impl HostState {
    /// `v2-2026... (app running, web running)`
    pub fn in_words(&self) -> String {
        if self.containers.is_empty() {
            return "nothing runs".to_owned();
        }
        let each: Vec<_> = self
            .containers
            .iter()
            .map(|(service, state, _)| format!("{service} {state}"))
            .collect();
        format!(
            "{} ({})",
            self.current.as_deref().unwrap_or("no release"),
            each.join(", ")
        )
    }
}

/// Reads every host of both pools.
pub async fn observe(
    inventory: &Inventory,
    sessions: &Sessions,
) -> BTreeMap<Pool, Vec<(String, Result<HostState, String>)>> {
    let mut pools = BTreeMap::new();
    for pool in Pool::ALL {
        let hosts = inventory
            .hosts(pool)
            .iter()
            .map(|host| async move { (host.name.clone(), state_of(inventory, sessions, pool, host).await) });
        pools.insert(pool, join_all(hosts).await);
    }
    pools
}

async fn state_of(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    host: &Host,
) -> Result<HostState, String> {
    let session = sessions
        .connect(&host.server())
        .await
        .map_err(|error| error.to_string())?;
    let (state_script, list) = (
        state::script(&inventory.state_dir()),
        compose::containers(&inventory.project(pool)),
    );
    let (kept, containers) =
        futures::future::join(session.read(&state_script, LOOK), session.read(&list, LOOK)).await;
    let kept = state::parse(&kept.map_err(|e| e.to_string())?)?;
    let containers = compose::parse_containers(&containers.map_err(|e| e.to_string())?)?;
    Ok(HostState {
        current: kept.current.get(&pool).cloned(),
        containers: containers
            .into_iter()
            .map(|one| (one.service, one.state, one.release))
            .collect(),
    })
}

/// Which release a command wants in the cold pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This tag, resolved now.
    Tag(String),
    /// This tag: as every host keeps it, or else resolved now.
    RetainedOrTag(String),
    /// The newest release that every host keeps.
    LastRetained,
}

/// The cold pool before a change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColdPool {
    /// The pool.
    pub pool: Pool,
    /// What each host said.
    pub hosts: Vec<(String, Result<HostFacts, String>)>,
    /// The release that was chosen; `None` when there is none to choose.
    pub release: Option<Release>,
    /// Whether the hosts keep it already.
    pub retained: bool,
}

impl ColdPool {
    /// Everything that keeps the pool from being deployed to, a line each.
    pub fn problems(&self, inventory: &Inventory) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, facts) in &self.hosts {
            match facts {
                Err(problem) if problem.starts_with(name.as_str()) => problems.push(problem.clone()),
                Err(problem) => problems.push(format!("{name}: {problem}")),
                Ok(facts) => {
                    problems.extend(facts.problems.iter().map(|problem| format!("{name}: {problem}")));
                    problems.extend(
                        self.disk_problem(inventory, facts)
                            .map(|problem| format!("{name}: {problem}")),
                    );
                }
            }
        }
        problems
    }

    /// Layers arrive compressed and are then unpacked to about three times that.
    fn disk_problem(&self, inventory: &Inventory, facts: &HostFacts) -> Option<String> {
        let release = self.release.as_ref().filter(|_| !self.retained)?;
        let layers: u64 = release.images.iter().map(|image| image.size).sum();
        let wanted = layers * 4 + inventory.app.disk_margin;
        let enough = facts.docker_free >= wanted || facts.docker_free < inventory.app.disk_margin;
        // Less than the margin alone is told already.
        (!enough).then(|| {
            format!(
                "the disk of Docker's root has too little room: {}",
                host::need(wanted, facts.docker_free)
            )
        })
    }
}

/// Looks at the cold pool's hosts, and chooses the release.
///
/// # Errors
/// Every problem that was found, a line each; nothing has been changed.
pub async fn observe_cold(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    wanted: &Wanted,
    run: &str,
    who: &str,
) -> Result<ColdPool, Vec<String>> {
    let draft = draft(inventory, pool, wanted, run, who).map_err(|problem| vec![problem])?;
    let hosts = inspect(inventory, sessions, pool, &draft).await;
    let mut cold = ColdPool {
        pool,
        hosts,
        release: None,
        retained: false,
    };
    let problems = cold.problems(inventory);
    if !problems.is_empty() {
        return Err(problems);
    }
    if let Wanted::LastRetained | Wanted::RetainedOrTag(_) = wanted {
        let tag = (*wanted != Wanted::LastRetained).then_some(draft.release.tag.as_str());
        if let Some(kept) = kept_by_all(&cold, tag) {
            // The run that starts it is this one; what it is stays as it was.
            cold.release = Some(kept);
            cold.retained = true;
            return Ok(cold);
        }
        if *wanted == Wanted::LastRetained {
            return Ok(cold);
        }
    }
    let images = resolve(inventory, sessions, pool, &cold)
        .await
        .map_err(|problem| vec![problem])?;
    cold.release = Some(Release {
        images,
        ..draft.release
    });
    Ok(cold)
}

/// A release before its images are known, with its files.
struct Draft {
    release: Release,
    compose: Vec<u8>,
    env: Vec<u8>,
}

fn draft(inventory: &Inventory, pool: Pool, wanted: &Wanted, run: &str, who: &str) -> Result<Draft, String> {
    let tag = match wanted {
        Wanted::Tag(tag) | Wanted::RetainedOrTag(tag) => tag.as_str(),
        Wanted::LastRetained => "latest",
    };
    let compose = read_file(&inventory.app.compose)?;
    let env = inventory
        .app
        .env_file
        .as_ref()
        .map(|path| read_file(path))
        .transpose()?;
    let now = Timestamp::now();
    let release = Release {
        id: Release::new_id(tag, now, rand::random()),
        tag: tag.to_owned(),
        pool,
        images: Vec::new(),
        compose_sha256: sha256(&compose),
        env_sha256: env.as_deref().map(sha256),
        created_at: now,
        run: run.to_owned(),
        who: who.to_owned(),
    };
    Ok(Draft {
        release,
        compose,
        env: env.unwrap_or_default(),
    })
}

/// Looks at every host of a pool, as before a deploy.
///
/// # Errors
/// In words, when the Compose or env file cannot be read.
pub async fn inspect_pool(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    wanted: &Wanted,
) -> Result<Vec<(String, Result<HostFacts, String>)>, String> {
    let draft = draft(inventory, pool, wanted, "", "")?;
    Ok(inspect(inventory, sessions, pool, &draft).await)
}

async fn inspect(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    draft: &Draft,
) -> Vec<(String, Result<HostFacts, String>)> {
    join_all(inventory.hosts(pool).iter().map(|host| {
        let deployment = Deployment {
            inventory,
            host,
            pool,
            release: &draft.release,
        };
        let script = deployment.inspect(&draft.compose, &draft.env);
        async move {
            let look = async {
                let session = sessions
                    .connect(&host.server())
                    .await
                    .map_err(|error| error.to_string())?;
                let output = session
                    .read(&script, LOOK)
                    .await
                    .map_err(|error| error.to_string())?;
                host::parse(&output, &inventory.project(pool), inventory.app.disk_margin)
            };
            (host.name.clone(), look.await)
        }
    }))
    .await
}

/// The newest release (of this tag) that every host of the pool keeps.
fn kept_by_all(cold: &ColdPool, tag: Option<&str>) -> Option<Release> {
    let mut hosts = cold.hosts.iter().filter_map(|(_, facts)| facts.as_ref().ok());
    let first = hosts.next()?;
    let others: Vec<&HostFacts> = hosts.collect();
    first
        .releases
        .iter()
        .filter(|release| tag.is_none_or(|tag| tag == release.tag))
        .filter(|release| {
            others
                .iter()
                .all(|facts| facts.releases.iter().any(|other| other.id == release.id))
        })
        .max_by_key(|release| release.created_at)
        .cloned()
}

/// Every image's digest, resolved once for the whole pool.
async fn resolve(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    cold: &ColdPool,
) -> Result<Vec<PinnedImage>, String> {
    let facts: Vec<(&str, &HostFacts)> = cold
        .hosts
        .iter()
        .filter_map(|(name, facts)| Some((name.as_str(), facts.as_ref().ok()?)))
        .collect();
    let Some((_, first)) = facts.first() else {
        return Err(format!("{pool} has no hosts"));
    };
    if let Some((name, _)) = facts.iter().find(|(_, other)| other.images != first.images) {
        return Err(format!(
            "{name}: its env makes the Compose file name other images than on the pool's first host"
        ));
    }
    let mut architectures: Vec<String> = facts.iter().map(|(_, facts)| facts.arch.clone()).collect();
    architectures.sort();
    architectures.dedup();
    let registry = inventory.registry.as_ref();
    let mut images = Vec::new();
    let mut known: BTreeMap<String, PinnedImage> = BTreeMap::new();
    for (service, reference) in &first.images {
        let pinned = match known.get(reference) {
            Some(pinned) => pinned.clone(),
            None => {
                let resolved = match Api::direct(registry).resolve(reference, &architectures).await {
                    // A registry that only the servers reach is asked through the first of them.
                    Err(direct @ RegistryError::Unreachable { .. }) => {
                        let through =
                            through_host(inventory, sessions, pool, reference, &architectures).await;
                        through.map_err(|_| direct.to_string())?
                    }
                    other => other.map_err(|error| error.to_string())?,
                };
                PinnedImage {
                    service: String::new(),
                    reference: reference.clone(),
                    digest: resolved.digest,
                    size: resolved.size,
                }
            }
        };
        known.insert(reference.clone(), pinned.clone());
        images.push(PinnedImage {
            service: service.clone(),
            ..pinned
        });
    }
    Ok(images)
}

async fn through_host(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    reference: &str,
    architectures: &[String],
) -> Result<compose::registry::Resolved, String> {
    let (server, _) = server_of(split_tag(reference).0);
    let (address, port) = server.rsplit_once(':').unwrap_or((server.as_str(), "443"));
    let port = port.parse().map_err(|_| format!("{server}: no port"))?;
    let host = inventory.hosts(pool).first().ok_or("no host")?;
    let session = sessions
        .connect(&host.server())
        .await
        .map_err(|error| error.to_string())?;
    let tunnel = session
        .tunnel(address, port)
        .await
        .map_err(|error| error.to_string())?;
    let api = Api::through(inventory.registry.as_ref(), tunnel.path.clone());
    api.resolve(reference, architectures)
        .await
        .map_err(|error| error.to_string())
}

fn read_file(path: &camino::Utf8Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{path} cannot be read: {error}"))
}
