//! The simulated servers: what a guard keeps on each, what the routers do, what the hosts run, and messages that are
//! still under way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::judge::{Violation, judge, trespass};
use crate::compose::Release;
use crate::fleet::Records;
use crate::inventory::{Inventory, Pool};

/// What keeps the invariants; each can be taken out, to show that the judge sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protection {
    /// The guard compares epochs.
    Epoch,
    /// Routers record which pool a run is changing, and that it is proven no more.
    Claims,
    /// A flip that was not answered is read back before anything is concluded.
    ReadBack,
    /// What was not answered is in doubt, and undone as well, instead of being taken for not done.
    InDoubt,
}

/// One server.
#[derive(Debug, Clone, Default)]
pub struct Server {
    pub epoch: u64,
    /// Who took that epoch.
    pub fenced_by: String,
    pub holder: Option<String>,
    pub owner: String,
    pub claims: BTreeMap<Pool, String>,
    pub proven: BTreeMap<Pool, Release>,
    pub journals: BTreeMap<String, String>,
    /// Who holds its lock for a prepared flip.
    pub armed: Option<u64>,
    /// Where it sends requests, if it is a router.
    pub route: Option<Pool>,
    /// The release that runs in each pool, if it is a host of it.
    pub runs: BTreeMap<Pool, String>,
    pub staged: BTreeSet<String>,
}

/// What a message asks of a server.
#[derive(Debug, Clone)]
pub enum Change {
    Fence {
        expect: Option<u64>,
        hold: bool,
        owner: String,
        steal: Vec<String>,
    },
    Record(Records),
    /// Prepares a flip: takes the server's lock until the word comes, or another one takes it.
    Arm(u64),
    /// The word, which only who holds the lock obeys.
    Route(Pool, u64),
    Stage(String),
    Start(Pool, String),
    Stop(Pool),
    Nothing,
}

/// A guarded mutation on its way.
#[derive(Debug, Clone)]
pub struct Message {
    pub server: String,
    pub run: String,
    pub epoch: u64,
    pub lines: String,
    pub change: Change,
}

impl fmt::Display for Message {
    /// `RUN@EPOCH → SERVER: CHANGE`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}@{} → {}: {}",
            self.run, self.epoch, self.server, self.change
        )
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Fence { steal, hold, .. } => {
                let what = if *hold { "fence and lock" } else { "fence" };
                let stolen = if steal.is_empty() { "" } else { ", taken from " };
                write!(f, "{what}{stolen}{}", steal.join(" "))
            }
            Change::Record(records) => {
                let pool = |word: &str, pool: Option<Pool>| pool.map(|pool| format!("{word} {pool}"));
                let words = [
                    pool("claim", records.claim),
                    pool("not proven", records.unproven),
                    pool("proven", records.proven.as_ref().map(|(pool, _)| *pool)),
                    pool("unclaim", records.unclaim),
                    records.unlock.then(|| "unlock".to_owned()),
                ];
                let words: Vec<String> = words.into_iter().flatten().collect();
                write!(
                    f,
                    "{}",
                    if words.is_empty() {
                        "journal".to_owned()
                    } else {
                        words.join(", ")
                    }
                )
            }
            Change::Arm(_) => write!(f, "prepare a flip"),
            Change::Route(pool, _) => write!(f, "route to {pool}"),
            Change::Stage(id) => write!(f, "stage {id}"),
            Change::Start(pool, id) => write!(f, "start {id} in {pool}"),
            Change::Stop(pool) => write!(f, "stop {pool}"),
            Change::Nothing => write!(f, "nothing that lasts"),
        }
    }
}

/// What the guard said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Done,
    Fenced(u64),
    Unfenced(u64),
    Raced(u64),
    Locked(String),
    /// The word came when its sender no longer had the server's lock.
    Cancelled,
}

/// Everything outside the operators' machines.
pub struct World {
    pub inventory: Inventory,
    pub servers: BTreeMap<String, Server>,
    /// Messages that their senders have given up, and that may still arrive.
    pub late: Vec<Message>,
    pub rng: StdRng,
    /// Whether messages get lost.
    pub rough: bool,
    pub without: Option<Protection>,
    pub violations: Vec<Violation>,
    pub events: u64,
    /// What happened, a line each; only kept where somebody wants to read it.
    pub story: Option<Vec<String>>,
}

impl World {
    /// Green serves `v0`, blue is a proven standby.
    pub fn new(inventory: &Inventory, seed: u64, without: Option<Protection>, story: bool) -> World {
        let mut servers = BTreeMap::<String, Server>::new();
        let proven: BTreeMap<Pool, Release> =
            Pool::ALL.map(|pool| (pool, release("v0", pool, "first"))).into();
        for pool in Pool::ALL {
            for host in inventory.hosts(pool) {
                let server = servers.entry(host.name.clone()).or_default();
                server.runs.insert(pool, proven[&pool].id.clone());
            }
        }
        for router in &inventory.switch.routers {
            let server = servers.entry(router.name.clone()).or_default();
            server.route = Some(Pool::Green);
            server.proven.clone_from(&proven);
        }
        World {
            inventory: inventory.clone(),
            servers,
            late: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            rough: true,
            without,
            violations: Vec::new(),
            events: 0,
            story: story.then(Vec::new),
        }
    }

    /// A line of the story.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    /// One chance in `of`.
    pub fn chance(&mut self, of: u32) -> bool {
        self.rng.random_ratio(1, of)
    }

    /// A message arrives: what the guard makes of it. The judge looks afterwards.
    pub fn arrive(&mut self, message: &Message) -> Said {
        let before = self.servers.get(&message.server).map_or(0, |server| server.epoch);
        let said = self.guard(message);
        self.events += 1;
        let event = self.events;
        self.tell(|| format!("{event:>4}  {message}: {said:?}"));
        let mut found = judge(&self.inventory, &self.servers, &message.server, before);
        if said == Said::Done {
            found.extend(trespass(message, &self.servers));
        }
        for problem in found {
            let violation = Violation {
                event: self.events,
                cause: message.to_string(),
                problem,
            };
            self.violations.push(violation);
        }
        said
    }

    fn guard(&mut self, message: &Message) -> Said {
        let compares = self.without != Some(Protection::Epoch);
        let claims = self.without != Some(Protection::Claims);
        let Some(server) = self.servers.get_mut(&message.server) else {
            return Said::Done;
        };
        // Who comes waits for the server's lock, so a prepared flip's lease has run out, or its line was cut.
        if !matches!(message.change, Change::Route(..)) {
            server.armed = None;
        }
        if compares && server.epoch > message.epoch {
            return Said::Fenced(server.epoch);
        }
        if let Change::Fence {
            expect,
            hold,
            owner,
            steal,
        } = &message.change
        {
            let left_over = expect.is_none() && server.epoch < message.epoch;
            let free = server
                .holder
                .as_ref()
                .is_none_or(|run| left_over || *run == message.run || steal.contains(run));
            if !free {
                return Said::Locked(server.holder.clone().unwrap_or_default());
            }
            if expect.is_some_and(|expect| expect != server.epoch) {
                return Said::Raced(server.epoch);
            }
            keep(server, message);
            server.epoch = server.epoch.max(message.epoch);
            server.fenced_by.clone_from(&message.run);
            if *hold {
                server.holder = Some(message.run.clone());
                server.owner.clone_from(owner);
            }
            return Said::Done;
        }
        if compares && server.epoch < message.epoch {
            return Said::Unfenced(server.epoch);
        }
        keep(server, message);
        match &message.change {
            Change::Record(records) => {
                if claims {
                    if let Some(pool) = records.claim {
                        server.claims.insert(pool, message.run.clone());
                    }
                    if let Some(pool) = records.unproven {
                        server.proven.remove(&pool);
                    }
                }
                if let Some((pool, text)) = &records.proven
                    && let Ok(release) = serde_json::from_str(text)
                {
                    server.proven.insert(*pool, release);
                }
                if let Some(pool) = records.unclaim {
                    server.claims.remove(&pool);
                }
                if records.unlock && server.holder.as_deref() == Some(&message.run) {
                    server.holder = None;
                }
            }
            Change::Arm(token) => server.armed = Some(*token),
            Change::Route(pool, token) if server.armed == Some(*token) => {
                server.armed = None;
                server.route = Some(*pool);
            }
            Change::Route(..) => return Said::Cancelled,
            Change::Stage(id) => drop(server.staged.insert(id.clone())),
            Change::Start(pool, id) => drop(server.runs.insert(*pool, id.clone())),
            Change::Stop(pool) => drop(server.runs.remove(pool)),
            Change::Fence { .. } | Change::Nothing => {}
        }
        Said::Done
    }
}

fn keep(server: &mut Server, message: &Message) {
    if !message.lines.is_empty() {
        server
            .journals
            .entry(message.run.clone())
            .or_default()
            .push_str(&message.lines);
    }
}

/// A release of the simulation.
pub fn release(tag: &str, pool: Pool, run: &str) -> Release {
    Release {
        id: format!("{tag}-{pool}-{run}"),
        tag: tag.to_owned(),
        pool,
        images: Vec::new(),
        compose_sha256: String::new(),
        env_sha256: None,
        env_keys: Vec::new(),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        run: run.to_owned(),
        who: "simulation".to_owned(),
    }
}
