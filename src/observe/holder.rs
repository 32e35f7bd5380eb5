//! Who holds the environment's lock, as the routers keep it, and how far that run came.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Observation;
use super::state::Owner;
use crate::journal::{self, Line, Progress};

/// A run that was not heard of for this long, by the clocks of who keeps its lock, may be taken over without being
/// named. Several beats may be lost on a bad line before that.
pub const SILENT: Duration = Duration::from_secs(15);

/// A run that holds the lock on some router, or in the store.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The run.
    pub run: String,
    /// The first that says so: the store, or a router.
    pub router: String,
    /// What it wrote about itself.
    pub owner: Option<Owner>,
    /// Seconds since it was last heard of on any router, by that router's clock.
    pub age_s: Option<i64>,
    /// The step that its heart last named, by the router that heard of it last.
    pub heart: Option<String>,
    /// How far it came, by the fullest copy of its journal; or why that cannot be told.
    pub progress: Result<Progress, String>,
    /// Whether it took the store's lock, came to no router, and is silent since: it has changed nothing and can no more,
    /// since whoever is next takes the routers' epoch first.
    pub came_to_nothing: bool,
}

impl Holder {
    /// Whether the run has ended and could only not give its lock back, or never began.
    pub fn is_over(&self) -> bool {
        self.came_to_nothing || self.progress.as_ref().is_ok_and(Progress::is_over)
    }

    /// The step that it is, or was, in. Journals reach the routers with the next change there, hearts always beat: a
    /// step that the journal does not know yet is the newer word.
    pub fn phase(&self) -> Option<&str> {
        let progress = self.progress.as_ref().ok();
        let told = |step: &&str| progress.is_none_or(|p| p.entered.iter().all(|known| known.step != **step));
        self.heart
            .as_deref()
            .filter(told)
            .or(progress.and_then(Progress::phase))
    }

    /// Whether the lock was taken by hand.
    pub fn by_hand(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.command == "lock")
    }
}

impl fmt::Display for Holder {
    /// `RUN: deploy by me@here since ... (message), in start, last heard of 3 s ago (on lb1)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.run)?;
        match &self.owner {
            Some(owner) => {
                let since = owner.since.strftime("%Y-%m-%d %H:%M:%S");
                write!(f, "{} by {} since {since}", owner.command, owner.who)?;
                if let Some(message) = &owner.message {
                    write!(f, " ({message})")?;
                }
            }
            None => write!(f, "an unknown owner")?,
        }
        if let Some(phase) = self.phase() {
            write!(f, ", in {phase}")?;
        }
        if let Some(age) = self.age_s {
            write!(f, ", last heard of {age} s ago")?;
        }
        write!(f, " (on {})", self.router)
    }
}

impl Observation {
    /// Every run that holds the lock: one, unless somebody's inventory has another first router.
    ///
    /// The lock is what the first router says, where runs compare and set. A holder elsewhere, the store included, with
    /// no higher epoch than the first router has seen was overtaken, or has ended, and something kept its word from
    /// being heard there: that keeps nobody out. So does a store that was set back to an older copy.
    pub fn holders(&self) -> Vec<Holder> {
        let mut holders = BTreeMap::<&str, (Holder, Vec<Line>)>::new();
        let first = self.routers.first().map(|(name, _)| name.as_str());
        let decided = self.readable().find(|(name, _)| Some(*name) == first);
        let decided = decided.map(|(_, router)| (router.state.holder.as_ref(), router.state.epoch));
        let routers = self.readable().map(|(name, router)| (name, &router.state));
        for (name, state) in routers.chain(self.stored()) {
            let Some(run) = &state.holder else { continue };
            if decided.is_some_and(|(holder, epoch)| holder != Some(run) && state.epoch <= epoch) {
                continue;
            }
            let (holder, best) = holders.entry(run).or_insert_with(|| {
                let holder = Holder {
                    run: run.clone(),
                    router: name.to_owned(),
                    owner: state.owner.clone(),
                    age_s: None,
                    heart: None,
                    progress: Err("no journal was found".to_owned()),
                    came_to_nothing: false,
                };
                (holder, Vec::new())
            });
            let newer = match (state.owner_age_s, holder.age_s) {
                (Some(this), Some(other)) => this < other,
                (Some(_), None) => true,
                (None, _) => holder.heart.is_none(),
            };
            if newer {
                holder.heart.clone_from(&state.phase);
            }
            holder.age_s = match (holder.age_s, state.owner_age_s) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            match journal::read(state.journal.as_deref().unwrap_or_default()) {
                Ok(lines) if lines.len() > best.len() => *best = lines,
                Ok(_) => {}
                Err(problem) => holder.progress = Err(format!("the journal on {name}: {problem}")),
            }
        }
        holders
            .into_values()
            .map(|(mut holder, lines)| {
                if !lines.is_empty() {
                    holder.progress = journal::fold(&lines).map_err(|error| error.to_string());
                }
                let silent = holder
                    .age_s
                    .is_some_and(|age| age.unsigned_abs() >= SILENT.as_secs());
                let only_stored = self.stored().is_some_and(|(name, _)| name == holder.router);
                holder.came_to_nothing =
                    only_stored && silent && self.readable().count() == self.routers.len();
                holder
            })
            .collect()
    }
}
