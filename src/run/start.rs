//! From a wish to a run's end: observe, plan, fence, execute.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::dispatch::{Finished, execute};
use super::heart::Heart;
use crate::fleet::{Fleet, Job, Stop};
use crate::inventory::Inventory;
use crate::journal::{Journal, Ledger, Log};
use crate::observe::{Observation, Owner};
use crate::plan::{self, Intent, Plan, Refusal, Wish};
use crate::remote::Fence;
use crate::report::{Kind, Sink};
use crate::steps::Context;

/// What a run has besides its plan.
pub struct Request {
    /// The environment.
    pub inventory: Arc<Inventory>,
    /// The servers.
    pub fleet: Arc<dyn Fleet>,
    /// The run's id.
    pub run: String,
    /// `user@machine`.
    pub who: String,
    /// Where everything seen goes.
    pub sink: Sink,
    /// Whether the user wants it to stop.
    pub stop: Stop,
    /// When it is, by this machine's clock.
    pub now: fn() -> Timestamp,
}

/// A run that came to its end.
#[derive(Debug)]
pub struct Ran {
    /// What was executed.
    pub plan: Plan,
    /// How it ended.
    pub finished: Finished,
}

/// The plan of a wish, from what is read now.
///
/// # Errors
/// A [`Refusal`]: nothing has been changed.
pub async fn make(
    inventory: &Inventory,
    fleet: &dyn Fleet,
    wish: &Wish,
    run: &str,
    who: &str,
) -> Result<Plan, Refusal> {
    let mut seen = fleet.routers().await;
    read_cold(inventory, fleet, wish, run, who, &mut seen).await?;
    plan::plan(wish, inventory, &seen)
}

/// Reads the cold pool's hosts where the wish will change them.
async fn read_cold(
    inventory: &Inventory,
    fleet: &dyn Fleet,
    wish: &Wish,
    run: &str,
    who: &str,
    seen: &mut Observation,
) -> Result<(), Refusal> {
    // A lock is found before any host is asked.
    plan::lock_is_ours(wish, inventory, seen)?;
    if let Some((pool, wanted)) = plan::wanted(&wish.intent, seen) {
        let without = &wish.without;
        let cold = fleet
            .cold(pool, &wanted, without, run, who)
            .await
            .map_err(|problems| {
                Refusal::one(
                    problems.join("\n"),
                    format!("pointsman -e {} doctor", inventory.env),
                )
            })?;
        seen.cold = Some(cold);
    }
    Ok(())
}

/// Executes a plan.
pub async fn run(request: &Request, plan: Plan, log: Box<dyn Log>, heart: bool) -> Ran {
    // Pruning is a run for each pool, so each has its own journal.
    let run = run_of(&request.run, &plan);
    let fence = Fence {
        state_dir: request.inventory.state_dir(),
        epoch: plan.expects.epoch + 1,
        run: run.clone(),
    };
    let owner = Owner {
        run: run.clone(),
        command: plan.intent.command().to_owned(),
        who: request.who.clone(),
        since: (request.now)(),
        message: None,
    };
    if let Some(how) = &plan.how {
        request.sink.emit(Kind::Note { message: how.clone() });
    }
    for message in plan.warnings.iter().cloned() {
        request.sink.emit(Kind::Warning { message });
    }
    request.sink.emit(Kind::Planned {
        steps: plan
            .steps
            .iter()
            .map(|step| format!("{}: {}", step.action.name(), step.words))
            .collect(),
    });
    let mut journal = Journal::new(log, &run, fence.epoch).with_clock(request.now);
    let heart = if heart {
        Heart::start(request.fleet.clone(), fence.clone())
    } else {
        Heart::still()
    };
    let cx = Context {
        job: Job {
            inventory: Arc::new(request.inventory.without(plan.to, &plan.without)),
            plan: Arc::new(plan.clone()),
            fence,
            owner: serde_json::to_string(&owner).unwrap_or_default(),
            ledger: Ledger::default(),
            sink: request.sink.clone(),
            stop: request.stop.clone(),
            cleaned: AtomicBool::new(false),
            late: Mutex::default(),
        },
        fleet: request.fleet.clone(),
    };
    let finished = execute(&cx, &mut journal, &heart).await;
    Ran { plan, finished }
}

/// Longest row of plans for one wish: each but the first is made because a run whose lock was taken went on up to
/// then, which it can do no more; so a third one means that somebody without a lock moves the routers.
pub const PLANS: u32 = 3;

/// The id of the run that executes a plan.
pub fn run_of(run: &str, plan: &Plan) -> String {
    match &plan.intent {
        Intent::Prune { pool } => format!("{run}-{pool}"),
        _ => run.to_owned(),
    }
}

/// The id of the run that executes a wish's plan of this number, from 1.
pub fn numbered(run: &str, plan: u32) -> String {
    if plan == 1 {
        run.to_owned()
    } else {
        format!("{run}-{plan}")
    }
}
