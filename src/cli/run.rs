//! What `deploy`, `flip` and `rollback` share: observe, plan, execute under the prober's eyes.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::context::App;
use super::outcome::Outcome;
use crate::inventory::Inventory;
use crate::observe::{self, Hot, Observation};
use crate::plan::{self, Intent, Plan};
use crate::remote::{Fence, Sessions};
use crate::report::{Kind, ProbeTarget, Prober};
use crate::run::execute;
use crate::run::journal::{self, Journal};
use crate::steps::{Context, End};
use crate::switch::connector_for;

/// A command that mutates, from its intent to its receipt. `kept` is a plan that was made before.
pub(super) async fn run(app: &App, intent: Intent, kept: Option<Plan>) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let inventory = Arc::new(inventory);
    let tag = match &intent {
        Intent::Deploy { tag, .. } => Some(tag.clone()),
        Intent::Rollback { tag } => tag.clone(),
        Intent::Flip { .. } | Intent::Prune { .. } => None,
    };
    app.sink.emit(Kind::Started {
        command: intent.command().to_owned(),
        environment: inventory.env.clone(),
        tag,
    });
    // The prober starts before anything else, so that it has seen the time before the change.
    let prober = Arc::new(prober(&inventory));
    let (plan, outcome) = planned_and_executed(app, &inventory, &sessions, intent, kept, &prober).await;
    let old = plan
        .as_ref()
        .and_then(|plan| plan.old.as_ref())
        .map(|release| release.tag.clone());
    let new = plan
        .as_ref()
        .filter(|plan| plan.flips)
        .map(|plan| plan.release.tag.clone());
    let receipt = prober.finish(old.as_deref(), new.as_deref()).await;
    // Before a plan stands, nothing was touched: there is nothing to give a receipt for.
    if plan.is_some() {
        app.sink.emit(Kind::Receipt(receipt));
    }
    if outcome.end == End::Done {
        Ok(outcome)
    } else {
        Err(outcome)
    }
}

async fn planned_and_executed(
    app: &App,
    inventory: &Arc<Inventory>,
    sessions: &Sessions,
    intent: Intent,
    kept: Option<Plan>,
    prober: &Arc<Prober>,
) -> (Option<Plan>, Outcome) {
    let plan = match make(app, inventory, sessions, &intent, kept).await {
        Ok(plan) => plan,
        Err(outcome) => return (None, outcome),
    };
    if let Some((router, problem)) = prober.unreachable().into_iter().next() {
        let why =
            format!("{router} does not answer over HTTP from here, so nobody could see a flip: {problem}");
        return (
            None,
            Outcome::refused(why).hint("check its url in [switch] routers"),
        );
    }
    if let Some(how) = &plan.how {
        app.sink.emit(Kind::Note { message: how.clone() });
    }
    app.sink.emit(Kind::Planned {
        steps: plan
            .steps
            .iter()
            .map(|step| format!("{}: {}", step.action.name(), step.words))
            .collect(),
    });
    // Pruning is a run for each pool, so each has its own journal.
    let run = match &plan.intent {
        Intent::Prune { pool } => format!("{}-{pool}", app.run),
        _ => app.run.clone(),
    };
    let fence = Fence {
        state_dir: inventory.state_dir(),
        epoch: plan.expects.epoch + 1,
        run: run.clone(),
    };
    let folder = journal::local_folder(&inventory.app.name, &inventory.env);
    let mut journal = match Journal::create(&folder, &run, fence.epoch) {
        Ok(journal) => journal,
        Err(error) => {
            let why = format!("the journal could not be written in {folder}: {error}");
            return (
                Some(plan),
                Outcome::refused(why).hint("set POINTSMAN_STATE_DIR to a folder that can be written"),
            );
        }
    };
    let owner = observe::Owner {
        run,
        command: plan.intent.command().to_owned(),
        who: app.who.clone(),
        since: Timestamp::now(),
        message: None,
    };
    let cx = Context {
        inventory: inventory.clone(),
        plan: Arc::new(plan.clone()),
        sessions: sessions.clone(),
        sink: app.sink.clone(),
        connector: connector_for(&inventory.switch),
        fence,
        owner: serde_json::to_string(&owner).unwrap_or_default(),
        prober: prober.clone(),
        unshipped: Mutex::default(),
    };
    let finished = execute(&cx, &mut journal, app.stop.clone()).await;
    (Some(plan), Outcome::from(finished))
}

/// The plan of an intent, from what is read now.
pub(super) async fn make(
    app: &App,
    inventory: &Arc<Inventory>,
    sessions: &Sessions,
    intent: &Intent,
    kept: Option<Plan>,
) -> Result<Plan, Outcome> {
    let connector = connector_for(&inventory.switch);
    let mut seen = observe::routers::observe(inventory, sessions, connector.as_ref()).await;
    if let Some(kept) = kept {
        return still_holds(inventory, &seen, kept);
    }
    read_cold(app, inventory, sessions, intent, &mut seen).await?;
    plan::plan(intent, inventory, &seen).map_err(|refusal| Outcome::of_refusal(&refusal, &inventory.env))
}

/// Reads the cold pool's hosts where the intent will change them.
async fn read_cold(
    app: &App,
    inventory: &Arc<Inventory>,
    sessions: &Sessions,
    intent: &Intent,
    seen: &mut Observation,
) -> Result<(), Outcome> {
    let Hot::Pool(hot) = seen.hot() else { return Ok(()) };
    // A lock is found before any host is asked.
    if seen.readable().any(|(_, router)| router.state.holder.is_some()) {
        return Ok(());
    }
    let cold = hot.other();
    let request = match intent {
        Intent::Deploy { tag, .. } => observe::cold::Wanted::Tag(tag.clone()),
        Intent::Flip { .. } | Intent::Prune { .. } => return Ok(()),
        Intent::Rollback { tag } => {
            let standby = seen.proven(cold).filter(|_| seen.claimed(cold).is_none());
            match (standby, tag) {
                (Some(release), None) if !release.tag.is_empty() => return Ok(()),
                (Some(release), Some(tag)) if release.tag == *tag => return Ok(()),
                (_, Some(tag)) => observe::cold::Wanted::RetainedOrTag(tag.clone()),
                (None, None) => observe::cold::Wanted::LastRetained,
                (Some(_), None) => return Ok(()),
            }
        }
    };
    let cold = observe::cold::observe_cold(inventory, sessions, cold, &request, &app.run, &app.who)
        .await
        .map_err(|problems| {
            Outcome::refused(problems.join("\n")).hint(format!("pointsman -e {} doctor", inventory.env))
        })?;
    seen.cold = Some(cold);
    Ok(())
}

/// A kept plan is executed only in the world that it was made for.
fn still_holds(inventory: &Inventory, seen: &Observation, kept: Plan) -> Result<Plan, Outcome> {
    let env = &inventory.env;
    if kept.format > plan::FORMAT {
        return Err(Outcome::invalid(format!(
            "the plan has format {}, expected at most {}: it was made by a newer pointsman",
            kept.format,
            plan::FORMAT
        )));
    }
    if kept.environment != *env || kept.app != inventory.app.name {
        return Err(Outcome::invalid(format!(
            "the plan is for {} in {}, expected {} in {env}",
            kept.app, kept.environment, inventory.app.name
        )));
    }
    let now = (seen.hot(), seen.highest_epoch());
    if now == (Hot::Pool(kept.expects.hot), kept.expects.epoch) {
        return Ok(kept);
    }
    Err(Outcome::ending(
        End::Refused,
        format!(
            "the world has changed since the plan was made: expected {} hot at epoch {}, found {:?} at epoch {}",
            kept.expects.hot, kept.expects.epoch, now.0, now.1
        ),
    )
    .hint(format!("pointsman -e {env} plan {}", kept.release.tag)))
}

fn prober(inventory: &Inventory) -> Prober {
    let targets = inventory
        .switch
        .routers
        .iter()
        .map(|router| ProbeTarget {
            router: router.name.clone(),
            url: router.url.clone(),
            host_header: router.host_header.clone(),
        })
        .collect();
    let identity = &inventory.app.identity;
    Prober::start(
        targets,
        identity.path.clone(),
        identity.json.clone(),
        inventory.switch.probe_rate,
    )
}
