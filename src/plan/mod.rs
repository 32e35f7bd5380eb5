//! The pure planner: an intent and what was read of the world become a complete, immutable plan.
//! Nothing is decided at execution time.

mod deploy;
mod flip;
mod lock;
mod lost;
mod prune;
mod refuse;
mod show;
mod steps;
mod takeover;
mod ttl;
mod warn;
mod without;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::compose::{Compose, Release};
use crate::inventory::{Inventory, Pool};
use crate::observe::cold::Wanted;
use crate::observe::{Hot, Observation};

pub use lock::store_is_there;
pub use refuse::Refusal;
pub(crate) use steps::Steps;

/// The format of a kept plan; a newer one is refused.
pub const FORMAT: u32 = 2;

/// What the user wants, and by what leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What is wanted.
    pub intent: Intent,
    /// A run whose lock may be taken over.
    pub steal: Option<String>,
    /// Hosts of the pool that is changed which are left out of it: they cannot be reached, or shall not be touched.
    pub without: Vec<String>,
    /// Variables of the env file that are meant to go.
    pub drop_env: Vec<String>,
}

impl From<Intent> for Wish {
    fn from(intent: Intent) -> Wish {
        Wish {
            intent,
            steal: None,
            without: Vec::new(),
            drop_env: Vec::new(),
        }
    }
}

impl Wish {
    /// The same wish once more, by leave of the run that began to carry it out and holds the lock.
    #[must_use]
    pub fn again(&self, run: &str) -> Wish {
        let run = run.to_owned();
        match &self.intent {
            Intent::Resume { .. } => Intent::Resume { run }.into(),
            Intent::Abort { .. } => Intent::Abort { run }.into(),
            Intent::Deploy { .. } | Intent::Flip { .. } | Intent::Prune { .. } | Intent::Rollback { .. } => {
                Wish {
                    steal: Some(run),
                    ..self.clone()
                }
            }
        }
    }
}

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub enum Intent {
    /// Deploy a tag to the cold pool and, unless told not to, make it hot.
    Deploy {
        /// The tag.
        tag: String,
        /// Whether traffic moves at the end.
        flip: bool,
    },
    /// Make the proven cold pool hot.
    Flip {
        /// The pool that the user named; the cold one otherwise.
        to: Option<Pool>,
    },
    /// Remove a pool's old releases.
    Prune {
        /// The pool.
        pool: Pool,
    },
    /// Back to the standby, or to a retained release.
    Rollback {
        /// The release's tag, if the user named one.
        tag: Option<String>,
    },
    /// Finish an unfinished run.
    Resume {
        /// The run.
        run: String,
    },
    /// Undo an unfinished run.
    Abort {
        /// The run.
        run: String,
    },
}

impl Intent {
    /// The command that the user typed.
    pub fn command(&self) -> &'static str {
        match self {
            Intent::Deploy { .. } => "deploy",
            Intent::Flip { .. } => "flip",
            Intent::Prune { .. } => "prune",
            Intent::Rollback { .. } => "rollback",
            Intent::Resume { .. } => "resume",
            Intent::Abort { .. } => "abort",
        }
    }
}

/// What one step does; `steps/` has a file for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Take the lock and the epoch, on the first router by compare-and-set, then on the others.
    Fence,
    /// Lower how long answers of a name are cached; what caches hold until then is waited out before the flip.
    LowerTtl,
    /// Record on every router that a pool is being changed, then fence the pool's hosts.
    Claim,
    /// Fence a pool's hosts without changing what the pool runs.
    FenceHosts,
    /// Leave hosts of the claimed pool out of every router, and put its other ones in again.
    LeaveOut,
    /// Upload the release's files and pull its images by digest.
    Stage,
    /// Run the migration once, on the first host.
    Migrate,
    /// Start the release's containers.
    Start,
    /// Prove each host: checks and identity.
    Check,
    /// Wait until every router sees the pool's servers up.
    RouterCheck,
    /// Record the pool as proven on every router and take the claim off.
    Prove,
    /// Prepare all routers, then move all to the other pool, and read back.
    Flip,
    /// See the new release through every router, and on every hot host that was reached.
    Verify,
    /// Remove old releases beyond those that are kept.
    Prune,
    /// Take what a run put into the cold pool away again.
    Clean,
    /// Take the claim off a pool that was cleaned.
    Unclaim,
    /// Give the lock back.
    Unlock,
}

impl Action {
    /// Short name for events, journal and people.
    pub fn name(self) -> &'static str {
        match self {
            Action::Fence => "fence",
            Action::LowerTtl => "lower-ttl",
            Action::Claim => "claim",
            Action::FenceHosts => "fence-hosts",
            Action::LeaveOut => "leave-out",
            Action::Stage => "stage",
            Action::Migrate => "migrate",
            Action::Start => "start",
            Action::Check => "check",
            Action::RouterCheck => "router-check",
            Action::Prove => "prove",
            Action::Flip => "flip",
            Action::Verify => "verify",
            Action::Prune => "prune",
            Action::Clean => "clean",
            Action::Unclaim => "unclaim",
            Action::Unlock => "unlock",
        }
    }
}

/// One step: an action on its targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// Names of the servers it acts on, in order.
    pub targets: Vec<String>,
    /// Longest that it may take on one server, in milliseconds.
    pub deadline_ms: u64,
    /// What it does, in words.
    pub words: String,
}

impl Step {
    /// Longest that it may take on one server.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}

/// What the plan was made for: execution stops when the world is no longer so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expects {
    /// The pool that every router was read to use; none where they disagree, which the plan mends.
    pub hot: Option<Pool>,
    /// The highest epoch that was seen on the routers.
    pub epoch: u64,
    /// The epoch on the first router, where the run compares and sets.
    pub first_epoch: u64,
    /// What the routers do and keep, a line each: compared once the lock was taken from a run that may still have
    /// been at work when this was read.
    #[serde(default)]
    pub routers: Vec<String>,
    /// What the team's store said, where the run takes its lock first; none where there is no store, or the run goes on
    /// without it.
    #[serde(default)]
    pub store: Option<Stored>,
}

/// What a store said of the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The highest epoch there.
    pub epoch: u64,
    /// Who held the lock there: somebody who has ended, or whose lock is taken over.
    pub holder: Option<String>,
}

impl Stored {
    /// What is seen, where there is a store that can be read.
    pub fn of(seen: &Observation) -> Option<Stored> {
        let (_, state) = seen.stored()?;
        Some(Stored {
            epoch: state.epoch,
            holder: state.holder.clone(),
        })
    }
}

/// The run whose work a plan finishes, or takes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The run that began the work: its migration is taken over.
    pub run: String,
    /// Its plan. Takeovers that themselves died are left out: what counts is what was wanted, and the world.
    pub plan: Box<Plan>,
    /// Whether it is taken back: whoever comes next goes on taking back, since what was undone cannot be had again.
    pub back: bool,
    /// Whether it was past its point of no return.
    pub settled: bool,
}

/// A complete plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// The app.
    pub app: String,
    /// The environment.
    pub environment: String,
    /// What was wanted.
    pub intent: Intent,
    /// What the world must be.
    pub expects: Expects,
    /// The pool that traffic leaves, or stays on.
    pub from: Pool,
    /// The pool that is changed or made hot.
    pub to: Pool,
    /// The release that `to` runs at the end, and that was chosen by its digests.
    pub release: Release,
    /// The release that is hot now, where that is recorded.
    pub old: Option<Release>,
    /// Whether the hosts keep the release already, so that nothing is sent to them.
    pub retained: bool,
    /// Each changed host's Compose.
    pub compose: BTreeMap<String, Compose>,
    /// Whether traffic moves.
    pub flips: bool,
    /// How the rollback goes, or what is taken over, in words; `None` for other intents.
    pub how: Option<String>,
    /// Whose work it goes on with.
    #[serde(default)]
    pub taken: Option<Taken>,
    /// Whether it takes a run's work back: whoever takes over from here goes on taking back.
    #[serde(default)]
    pub undoes: bool,
    /// Whether `to` was claimed by another run when the plan was made.
    #[serde(default)]
    pub reclaims: bool,
    /// Runs whose lock is taken over.
    #[serde(default)]
    pub steal: Vec<String>,
    /// Hosts of `to` that are left alone: no router sends them requests.
    #[serde(default)]
    pub without: Vec<String>,
    /// What should be known before it is executed, though it stops nothing.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// A plan without steps, for what was seen.
    fn draft(
        intent: &Intent,
        inventory: &Inventory,
        seen: &Observation,
        (from, to): (Pool, Pool),
        release: Release,
    ) -> Plan {
        let hot = match seen.hot() {
            Hot::Pool(pool) => Some(pool),
            Hot::Split(_) | Hot::InDoubt(_) => None,
        };
        Plan {
            format: FORMAT,
            app: inventory.app.name.clone(),
            environment: inventory.env.clone(),
            intent: intent.clone(),
            expects: Expects {
                hot,
                epoch: seen.highest_epoch(),
                first_epoch: seen.readable().next().map_or(0, |(_, router)| router.state.epoch),
                routers: seen.routers_in_words(),
                store: Stored::of(seen),
            },
            from,
            to,
            release,
            old: seen.proven(from).cloned(),
            retained: false,
            compose: BTreeMap::new(),
            flips: false,
            how: None,
            taken: None,
            undoes: false,
            reclaims: seen.claimed(to).is_some(),
            steal: Vec::new(),
            without: Vec::new(),
            warnings: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Whether the plan has this step.
    pub fn has(&self, action: Action) -> bool {
        self.steps.iter().any(|step| step.action == action)
    }
}

/// Makes the plan of an intent.
///
/// # Errors
/// A [`Refusal`] with its exit code: nothing has been changed, and nothing will be.
pub fn plan(wish: &Wish, inventory: &Inventory, seen: &Observation) -> Result<Plan, Refusal> {
    let steal = lock::stolen(wish, inventory, seen)?;
    let intent = &wish.intent;
    let whole = inventory;
    let inventory = &without::reduced(wish, whole, seen)?;
    let mut plan = match intent {
        Intent::Deploy { tag, flip } => deploy::plan(intent, tag, *flip, inventory, seen),
        Intent::Flip { to } => flip::plan(intent, *to, inventory, seen),
        Intent::Prune { pool } => prune::plan(intent, *pool, inventory, seen),
        Intent::Rollback { tag } => flip::rollback(intent, tag.as_deref(), inventory, seen),
        Intent::Resume { run } => takeover::plan(intent, run, false, inventory, seen),
        Intent::Abort { run } => takeover::plan(intent, run, true, inventory, seen),
    }?;
    lost::refuse_lost(wish, inventory, &plan)?;
    plan.steal = steal;
    plan.without = without::missing(whole, inventory, plan.to);
    without::tell(&mut plan, inventory, seen);
    plan.warnings = warn::warnings(inventory, seen, &plan);
    Ok(plan)
}

/// Whether the wish may have the environment's lock.
///
/// # Errors
/// [`Refusal::Locked`].
pub fn lock_is_ours(wish: &Wish, inventory: &Inventory, seen: &Observation) -> Result<(), Refusal> {
    lock::stolen(wish, inventory, seen).map(drop)
}

/// Which of the cold pool's hosts and releases an intent needs to know of, if any.
pub fn wanted(intent: &Intent, seen: &Observation) -> Option<(Pool, Wanted)> {
    let Hot::Pool(hot) = seen.hot() else { return None };
    let cold = hot.other();
    let wanted = match intent {
        Intent::Deploy { tag, .. } => Wanted::Tag(tag.clone()),
        Intent::Rollback { tag } => {
            let standby = seen.proven(cold).filter(|_| seen.claimed(cold).is_none());
            match (standby, tag) {
                (Some(_), None) => return None,
                (Some(release), Some(tag)) if release.tag == *tag => return None,
                (_, Some(tag)) => Wanted::RetainedOrTag(tag.clone()),
                (None, None) => Wanted::LastRetained,
            }
        }
        Intent::Flip { .. } | Intent::Prune { .. } | Intent::Resume { .. } | Intent::Abort { .. } => {
            return None;
        }
    };
    Some((cold, wanted))
}
