//! Where journals are kept off the operator's machine when the switch is an API: on the first host of each pool. One of
//! them is enough: what brings traffic back must not wait for a pool that is dead.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};

use super::StoreError;
use crate::inventory::{Inventory, Pool};
use crate::journal::{self, Ledger};
use crate::observe::ServerState;
use crate::observe::journals;
use crate::remote::{Output, Script, Server, Sessions};

/// Longest that a small write or a look may take there, once connected.
const CALL: Duration = Duration::from_secs(5);

/// Longest that one beat is waited for; the next one comes anyway.
const BEAT: Duration = Duration::from_secs(2);

/// The hosts that keep journals.
#[derive(Clone)]
pub struct Anchors {
    sessions: Sessions,
    servers: Vec<Server>,
    state_dir: String,
    turns: Turns,
    beats: Turns,
}

/// Whose turn it is, of those who write on one server.
#[derive(Clone, Default)]
struct Turns(Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>);

impl Turns {
    fn entry(&self, server: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(server.to_owned()).or_default().clone()
    }
}

impl Anchors {
    /// The first host of each pool; a host of both is there once.
    pub fn new(inventory: &Inventory, sessions: &Sessions) -> Anchors {
        let firsts = Pool::ALL
            .into_iter()
            .filter_map(|pool| inventory.hosts(pool).first());
        let mut servers: Vec<Server> = Vec::new();
        for host in firsts {
            if servers.iter().all(|server| server.name != host.name) {
                servers.push(host.server());
            }
        }
        Anchors {
            sessions: sessions.clone(),
            servers,
            state_dir: inventory.state_dir(),
            turns: Turns::default(),
            beats: Turns::default(),
        }
    }

    fn script(&self, run: &str, op: &'static str) -> Script {
        Script::new(include_str!("anchors.sh"))
            .var("STATE", &self.state_dir)
            .var("RUN", run)
            .var("OP", op)
    }

    /// Brings a journal's newest lines to every anchor at once, and returns as soon as one of them has all of them.
    ///
    /// # Errors
    /// When none of them could keep its lines.
    pub async fn append(&self, run: &str, ledger: &Ledger) -> Result<(), StoreError> {
        let mut writes = FuturesUnordered::new();
        if self
            .servers
            .iter()
            .any(|server| ledger.pending(&server.name).text.is_empty())
        {
            return Ok(());
        }
        for server in &self.servers {
            let script = self.script(run, "append").var("PHASE", "");
            let (session, ledger) = (self.sessions.session(server), ledger.clone());
            let turn = self.turns.entry(&server.name);
            // One that hangs goes on by itself: cancelling a connection would leave its `ssh` behind.
            writes.push(tokio::spawn(async move {
                // One after the other, so that no line is sent twice while its answer is on the way.
                let _turn = turn.lock().await;
                let pending = ledger.pending(session.name());
                if pending.text.is_empty() {
                    return Ok(());
                }
                let script = script.file("pm_lines", pending.text.as_str());
                let output = session
                    .read(&script, CALL)
                    .await
                    .map_err(|error| error.to_string())?;
                if output.ok() {
                    ledger.delivered(session.name(), &pending);
                    return Ok(());
                }
                Err(format!("{}: {}", session.name(), output.complaint()))
            }));
        }
        let mut problems = Vec::new();
        while let Some(write) = writes.next().await {
            match write {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(problem)) => problems.push(problem),
                Err(error) => problems.push(error.to_string()),
            }
        }
        Err(StoreError::Refused {
            problem: format!(
                "the journal must be kept on the first host of a pool, and could not be:\n{}",
                problems.join("\n")
            ),
            hint: "bring one of them back; [state] keeps it in a team's store as well".to_owned(),
        })
    }

    /// Says that a run is alive, and in which phase. Who cannot be told is told the next time.
    pub async fn beat(&self, run: &str, phase: &str) {
        self.say(self.script(run, "beat").var("PHASE", phase)).await;
    }

    /// The first beat of a run that has no journal there, and its epoch.
    pub async fn begin(&self, run: &str, epoch: u64) {
        let script = self.script(run, "begin").var("EPOCH", epoch.to_string());
        self.say(script).await;
    }

    async fn say(&self, script: Script) {
        let script = script.file("pm_lines", "");
        let beats = self.servers.iter().map(|server| {
            let script = script.clone();
            let (session, turn) = (self.sessions.session(server), self.beats.entry(&server.name));
            // Each at its own pace: one that is dead must not make the others look as if the run were.
            let beat = tokio::spawn(async move {
                if let Ok(_turn) = turn.try_lock() {
                    drop(session.read(&script, CALL).await);
                }
            });
            tokio::time::timeout(BEAT, beat)
        });
        join_all(beats).await;
    }

    /// The highest epoch that any of them has seen, by fences, journals and locks by hand; 0 where none of them can be
    /// asked.
    pub async fn highest_epoch(&self) -> u64 {
        let script = &self.script("none", "epoch").var("PHASE", "").file("pm_lines", "");
        let looks = self
            .servers
            .iter()
            .map(|server| async move { self.sessions.session(server).read(script, CALL).await });
        let numbers = join_all(looks).await.into_iter().flatten();
        numbers
            .filter_map(|output| output.stdout.trim().parse::<u64>().ok())
            .max()
            .unwrap_or_default()
    }

    /// Fills in what the anchors know of the run that holds the lock: its journal, its phase, since when it is silent.
    pub async fn look(&self, state: &mut ServerState) {
        let Some(run) = state.holder.clone() else { return };
        let script = &self.script(&run, "look").var("PHASE", "").file("pm_lines", "");
        let looks = join_all(
            self.servers
                .iter()
                .map(|server| async move { self.sessions.session(server).read(script, CALL).await }),
        )
        .await;
        for output in looks.into_iter().flatten() {
            self.heard(state, &output);
        }
    }

    fn heard(&self, state: &mut ServerState, output: &Output) {
        if output.section("end").is_none() {
            return;
        }
        let text = |name: &str| output.section(name).unwrap_or_default().trim();
        let journal = output.section("journal").unwrap_or_default();
        // Lines that came twice make a copy longer, not fuller.
        let lines = |text: &str| journal::read(text).map_or(0, |lines| lines.len());
        if lines(journal) > state.journal.as_deref().map_or(0, lines) {
            state.journal = Some(journal.to_owned());
        }
        let (now, then) = (text("clock").parse::<i64>(), text("seconds").parse::<i64>());
        let (Ok(now), Ok(then)) = (now, then) else { return };
        let age = (now - then).max(0);
        if state.owner_age_s.is_none_or(|known| age < known) {
            state.owner_age_s = Some(age);
            state.phase = Some(text("heartbeat").to_owned()).filter(|phase| !phase.is_empty());
        }
    }

    /// Every run's journal, from whoever has most of it.
    ///
    /// # Errors
    /// In words, when nobody could be read.
    pub async fn journals(&self) -> Result<Vec<(String, String)>, String> {
        journals::copies(&self.sessions, &self.state_dir, &self.servers).await
    }
}
