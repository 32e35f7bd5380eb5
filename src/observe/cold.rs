//! The cold pool before a change: what each host is, has and keeps, and the release that is chosen.

mod images;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{join, join_all};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Read, clock};
use crate::compose::release::sha256_hex;
use crate::compose::{
    Compose, ComposeFile, HostFacts, OnHost, Project, Release, config, env_file, facts, overlay, releases,
};
use crate::inventory::{Host, Inventory, Pool};
use crate::remote::{Output, Session, Sessions};

/// Longest that looking at one host may take, once connected: Compose v1 alone takes a second.
const LOOK: Duration = Duration::from_secs(40);
/// Fewer inodes than this do not hold a release's layers.
const MIN_INODES: u64 = 10_000;
/// Free bytes that the state folder must have: releases' files, journals, outputs.
const STATE_NEED: u64 = 50 * 1024 * 1024;
/// Layers arrive compressed and are then unpacked: together about four times what was sent.
const UNPACKED: u64 = 4;

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

/// One host before a change.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ColdHost {
    /// The engine's version and architecture, in Docker's words.
    pub engine: Option<(String, String)>,
    /// Its Compose.
    pub compose: Option<Compose>,
    /// Seconds by which its clock is ahead of ours, as far as that is sure.
    #[serde(default)]
    pub skew_s: Option<i64>,
    /// Free bytes on the engine's root.
    pub docker_free: u64,
    /// Images by service, as its Compose fills them in.
    pub images: BTreeMap<String, String>,
    /// Releases of the pool that it keeps, newest first.
    pub releases: Vec<Release>,
    /// Everything that keeps a deploy from succeeding here, in words with a cure.
    pub problems: Vec<String>,
}

/// The cold pool before a change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColdPool {
    /// The pool.
    pub pool: Pool,
    /// What each host said.
    pub hosts: Vec<Read<ColdHost>>,
    /// The release that was chosen; `None` when there is none to choose.
    pub release: Option<Release>,
    /// Whether the hosts keep it already.
    pub retained: bool,
}

impl ColdPool {
    /// The hosts that could be read.
    fn readable(&self) -> impl Iterator<Item = (&str, &ColdHost)> {
        self.hosts
            .iter()
            .filter_map(|(name, host)| Some((name.as_str(), host.as_ref().ok()?)))
    }

    /// Each host's Compose.
    pub fn compose(&self) -> BTreeMap<String, Compose> {
        self.readable()
            .filter_map(|(name, host)| Some((name.to_owned(), host.compose.clone()?)))
            .collect()
    }

    /// Everything that keeps the pool from being deployed to, a line each.
    pub fn problems(&self, inventory: &Inventory) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, host) in &self.hosts {
            match host {
                Err(problem) if problem.starts_with(name.as_str()) => problems.push(problem.clone()),
                Err(problem) => problems.push(format!("{name}: {problem}")),
                Ok(host) => {
                    problems.extend(host.problems.iter().map(|problem| format!("{name}: {problem}")));
                    problems.extend(
                        self.disk_problem(inventory, host)
                            .map(|problem| format!("{name}: {problem}")),
                    );
                }
            }
        }
        problems
    }

    fn disk_problem(&self, inventory: &Inventory, host: &ColdHost) -> Option<String> {
        let release = self.release.as_ref().filter(|_| !self.retained)?;
        let layers: u64 = release.images.iter().map(|image| image.size).sum();
        let wanted = layers * UNPACKED + inventory.app.disk_margin;
        // Less than the margin alone is told already.
        let short = host.docker_free < wanted && host.docker_free >= inventory.app.disk_margin;
        short.then(|| {
            format!(
                "the disk of Docker's root has too little room: {}",
                need(wanted, host.docker_free)
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
    // The planner says what they are, and how to go on all the same.
    if !cold.problems(inventory).is_empty() {
        return Ok(cold);
    }
    if let Wanted::LastRetained | Wanted::RetainedOrTag(_) = wanted {
        let tag = (*wanted != Wanted::LastRetained).then_some(draft.release.tag.as_str());
        if let Some(kept) = kept_by_all(&cold, tag) {
            cold.release = Some(kept);
            cold.retained = true;
            return Ok(cold);
        }
        if *wanted == Wanted::LastRetained {
            return Ok(cold);
        }
    }
    let images = images::resolve(inventory, sessions, pool, &cold)
        .await
        .map_err(|problem| vec![problem])?;
    cold.release = Some(Release {
        images,
        ..draft.release
    });
    Ok(cold)
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
) -> Result<Vec<Read<ColdHost>>, String> {
    let draft = draft(inventory, pool, wanted, "", "")?;
    Ok(inspect(inventory, sessions, pool, &draft).await)
}

/// A release before its images are known, with its files.
struct Draft {
    release: Release,
    compose: Vec<u8>,
    env: Option<Vec<u8>>,
    overlay: String,
}

fn draft(inventory: &Inventory, pool: Pool, wanted: &Wanted, run: &str, who: &str) -> Result<Draft, String> {
    let tag = match wanted {
        Wanted::Tag(tag) | Wanted::RetainedOrTag(tag) => tag.as_str(),
        Wanted::LastRetained => "latest",
    };
    let path = &inventory.app.compose;
    let compose = read_file(path)?;
    let file =
        ComposeFile::parse(&String::from_utf8_lossy(&compose)).map_err(|error| format!("{path}: {error}"))?;
    let env = inventory
        .app
        .env_file
        .as_ref()
        .map(|path| read_file(path))
        .transpose()?;
    let keys = env
        .as_deref()
        .map(|env| env_file::keys_with_value(&String::from_utf8_lossy(env)));
    let now = Timestamp::now();
    let release = Release {
        id: Release::new_id(tag, now, rand::random()),
        tag: tag.to_owned(),
        pool,
        images: Vec::new(),
        compose_sha256: sha256_hex(&compose),
        env_sha256: env.as_deref().map(sha256_hex),
        env_keys: keys.unwrap_or_default(),
        created_at: now,
        run: run.to_owned(),
        who: who.to_owned(),
    };
    let project = inventory.project(pool);
    let overlay = overlay::overlay(
        file.version.as_deref(),
        &file.service_names(),
        &[],
        &project,
        &release.id,
        run,
    );
    Ok(Draft {
        release,
        compose,
        env,
        overlay,
    })
}

async fn inspect(
    inventory: &Inventory,
    sessions: &Sessions,
    pool: Pool,
    draft: &Draft,
) -> Vec<Read<ColdHost>> {
    let project = &inventory.project(pool);
    join_all(inventory.hosts(pool).iter().map(|host| async move {
        let look = async {
            let session = sessions
                .connect(&host.server())
                .await
                .map_err(|error| error.to_string())?;
            look_at(inventory, &session, project, host, draft).await
        };
        (host.name.clone(), look.await)
    }))
    .await
}

/// Two round trips: what the host is and keeps; then what its own Compose makes of the files.
async fn look_at(
    inventory: &Inventory,
    session: &Session,
    project: &Project,
    host: &Host,
    draft: &Draft,
) -> Result<ColdHost, String> {
    let (asked, kept) = (facts::facts(project), releases::releases(project));
    let before = Timestamp::now();
    let (asked, kept) = join(session.read(&asked, LOOK), session.read(&kept, LOOK)).await;
    let asked = asked.map_err(|error| error.to_string())?;
    let kept = releases::parse_releases(&kept.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    let found = HostFacts::read(&asked, project, &[]).map_err(|error| error.to_string())?;
    let mut cold = ColdHost {
        compose: found.compose.clone(),
        skew_s: found
            .clock
            .map(|(first, last)| clock::skew(before, first, last, Timestamp::now())),
        docker_free: found.docker_space.as_ref().map_or(0, |space| space.bytes),
        releases: kept
            .into_iter()
            .filter(|kept| kept.pool == project.pool)
            .flat_map(|kept| kept.releases)
            .collect(),
        ..ColdHost::default()
    };
    cold.problems = problems_of(&found, inventory, project);
    match &found.engine {
        Ok(engine) => cold.engine = Some((engine.version.clone(), engine.arch.clone())),
        Err(_) => return Ok(cold),
    }
    let Some(compose) = &found.compose else {
        return Ok(cold);
    };
    let on_host = OnHost {
        project,
        compose,
        env: &host.env,
    };
    let Draft {
        release,
        compose,
        env,
        overlay,
    } = draft;
    let script = config::config(
        on_host,
        &release.tag,
        &release.id,
        compose,
        env.as_deref(),
        overlay,
    );
    let output = session
        .read(&script, LOOK)
        .await
        .map_err(|error| error.to_string())?;
    match config::resolved(&output) {
        Ok(file) => {
            let ports: Vec<u16> = file
                .services
                .values()
                .flat_map(|service| service.published.clone())
                .collect();
            cold.problems.extend(taken_ports(&asked, project, &ports)?);
            cold.images = file
                .services
                .into_iter()
                .filter_map(|(name, service)| Some((name, service.image?)))
                .collect();
        }
        Err(error) => cold.problems.push(format!("{error} ({})", error.hint())),
    }
    Ok(cold)
}

fn problems_of(found: &HostFacts, inventory: &Inventory, project: &Project) -> Vec<String> {
    let mut problems = Vec::new();
    if !found.missing_tools.is_empty() {
        problems.push(format!(
            "expected {}, found none: install util-linux and coreutils",
            found.missing_tools.join(", ")
        ));
    }
    if let Err(problem) = &found.engine {
        problems.push(format!("{problem} ({})", problem.hint()));
    }
    if found.compose.is_none() {
        problems.push("Compose is not installed: expected `docker compose` or docker-compose".to_owned());
    }
    match &found.state_space {
        Some(space) if space.bytes < STATE_NEED => {
            problems.push(format!(
                "the disk of [app] path is nearly full: {}",
                need(STATE_NEED, space.bytes)
            ));
        }
        _ => {}
    }
    if let Some(space) = &found.docker_space {
        let margin = inventory.app.disk_margin;
        if space.bytes < margin {
            problems.push(format!(
                "the disk of Docker's root is nearly full: {}",
                need(margin, space.bytes)
            ));
        }
        if let Some(inodes) = space.inodes.filter(|free| *free < MIN_INODES) {
            problems.push(format!("the disk of Docker's root is nearly out of inodes: expected {MIN_INODES} free, found {inodes}"));
        }
    }
    // A run that gave up on its migration left it to its end: a second one beside it would do harm.
    let migrating = format!("{}-migrate-", project.name());
    for still in found.containers.iter().filter(|c| {
        matches!(&*c.state, "running" | "paused" | "restarting") && c.name.starts_with(&migrating)
    }) {
        problems.push(format!(
            "the migration of an earlier run still runs in container {0}: expected none; `docker logs -f {0}` shows it, \
             deploy again when it has ended",
            still.name
        ));
    }
    for stranger in found.containers.iter().filter(|container| !container.ours) {
        problems.push(format!(
            "container {} is in the project {} without this app's labels: expected none but ours; rename or remove it",
            stranger.name, stranger.project
        ));
    }
    problems
}

fn taken_ports(asked: &Output, project: &Project, ports: &[u16]) -> Result<Vec<String>, String> {
    let found = HostFacts::read(asked, project, ports).map_err(|error| error.to_string())?;
    let strangers = found
        .listeners
        .into_iter()
        .filter(|one| one.project.as_deref() != Some(project.name().as_str()));
    Ok(strangers
        .map(|one| {
            let owner = match (&one.container, &one.process) {
                (Some(container), _) => format!("container {container}"),
                (None, Some(process)) => format!("process {process}"),
                (None, None) => "a process outside Docker (`ss -ltnp` as root names it)".to_owned(),
            };
            format!("port {} is taken by {owner}", one.port)
        })
        .collect())
}

/// The newest release (of this tag) that every host of the pool keeps.
fn kept_by_all(cold: &ColdPool, tag: Option<&str>) -> Option<Release> {
    let mut hosts = cold.readable().map(|(_, host)| host);
    let first = hosts.next()?;
    let others: Vec<&ColdHost> = hosts.collect();
    first
        .releases
        .iter()
        .filter(|release| tag.is_none_or(|tag| tag == release.tag))
        .filter(|release| {
            others
                .iter()
                .all(|host| host.releases.iter().any(|other| other.id == release.id))
        })
        .max_by_key(|release| release.created_at)
        .cloned()
}

/// `expected 1024 MiB free, found 12 MiB`
fn need(wanted: u64, found: u64) -> String {
    let mib = |bytes: u64| bytes / (1024 * 1024);
    format!("expected {} MiB free, found {} MiB", mib(wanted), mib(found))
}

fn read_file(path: &camino::Utf8Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{path} cannot be read: {error}"))
}
