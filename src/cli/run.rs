//! What `deploy`, `flip`, `rollback`, `resume` and `abort` share: wait for the lock, plan, execute under the
//! prober's eyes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::context::App;
use super::outcome::Outcome;
use crate::fleet::{End, Fleet};
use crate::inventory::switch::Connector;
use crate::inventory::{Inventory, Router};
use crate::journal::{FileLog, local_folder};
use crate::observe::{Holder, Hot, Observation, SILENT};
use crate::plan::{self, Intent, Plan, Refusal, Stored, Wish};
use crate::remote::Sessions;
use crate::report::{Awaited, Kind, Lookup, ProbeTarget, Prober, UNRESOLVED};
use crate::run::{self, Request};
use crate::switch::dns::ByResolver;

/// Pause between two looks at a lock that somebody else holds.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A command that mutates, from its intent to its receipt. `kept` is a plan that was made before.
pub(super) async fn run(
    app: &App,
    wish: Wish,
    kept: Option<Plan>,
    wait: Option<Duration>,
) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let work = Work::new(app, inventory, sessions, &wish.intent)?;
    work.finish(&wish, kept, wait).await
}

/// `resume` and `abort`: the run that is unfinished is found, and must be silent unless it was named.
pub(super) async fn take_over(
    app: &App,
    named: Option<&str>,
    intent: fn(String) -> Intent,
) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let work = Work::new(app, inventory, sessions, &intent(String::new()))?;
    let Some(holder) = work.unfinished(named).await? else {
        let words = match named {
            Some(run) => format!("run {run} is not unfinished: nothing to do"),
            None => "no run is unfinished: nothing to do".to_owned(),
        };
        work.prober.finish(None, None, Awaited::All).await;
        app.data("run", &serde_json::json!({ "unfinished": null }), &words);
        return Ok(Outcome::done());
    };
    work.finish(&intent(holder.run).into(), None, None).await
}

/// What a command works with.
struct Work<'a> {
    app: &'a App,
    inventory: Arc<Inventory>,
    fleet: Arc<dyn Fleet>,
    prober: Arc<Prober>,
}

impl<'a> Work<'a> {
    fn new(
        app: &'a App,
        inventory: Inventory,
        sessions: Sessions,
        intent: &Intent,
    ) -> Result<Work<'a>, Outcome> {
        let inventory = Arc::new(inventory);
        let tag = match intent {
            Intent::Deploy { tag, .. } => Some(tag.clone()),
            Intent::Rollback { tag } => tag.clone(),
            Intent::Flip { .. } | Intent::Prune { .. } | Intent::Resume { .. } | Intent::Abort { .. } => None,
        };
        app.sink.emit(Kind::Started {
            command: intent.command().to_owned(),
            environment: inventory.env.clone(),
            tag,
        });
        // It starts before anything else, so that it has seen the time before the change.
        let prober = Arc::new(prober(&inventory));
        let fleet = app.fleet(&inventory, sessions, Some(prober.clone()))?;
        Ok(Work {
            app,
            inventory,
            fleet,
            prober,
        })
    }

    /// Plans, executes, and gives the receipt.
    async fn finish(
        self,
        wish: &Wish,
        kept: Option<Plan>,
        wait: Option<Duration>,
    ) -> Result<Outcome, Outcome> {
        let (plan, outcome) = self.plan_and_execute(wish, kept, wait).await;
        let old = plan
            .as_ref()
            .and_then(|plan| plan.old.as_ref())
            .map(|release| release.tag.clone());
        let new = plan
            .as_ref()
            .filter(|plan| plan.flips)
            .map(|plan| plan.release.tag.clone());
        // What somebody wants now is not held up by the pool that it leaves.
        let awaited = match wish.intent {
            Intent::Rollback { .. } | Intent::Flip { .. } | Intent::Abort { .. } => Awaited::OfTheNew,
            Intent::Deploy { .. } | Intent::Resume { .. } | Intent::Prune { .. } => Awaited::All,
        };
        let receipt = self.prober.finish(old.as_deref(), new.as_deref(), awaited).await;
        // Before a plan stands, nothing was touched: there is nothing to give a receipt for.
        if plan.is_some() {
            self.app.sink.emit(Kind::Receipt(receipt));
        }
        if outcome.end == End::Done {
            Ok(outcome)
        } else {
            Err(outcome)
        }
    }

    async fn plan_and_execute(
        &self,
        wish: &Wish,
        kept: Option<Plan>,
        wait: Option<Duration>,
    ) -> (Option<Plan>, Outcome) {
        let app = self.app;
        let made = match kept {
            Some(kept) => still_holds(&self.inventory, &self.fleet.routers().await, kept),
            None => self.planned(wish, wait).await,
        };
        let mut plan = match made {
            Ok(plan) => plan,
            Err(outcome) => return (None, outcome),
        };
        // A load balancer answers whatever becomes of its servers; a name leads to servers that may be dead or empty, which
        // is no reason not to leave them.
        let named = matches!(self.inventory.switch.connector, Connector::Dns(..));
        let hidden = |(_, problem): &(String, String)| !named || problem.contains(UNRESOLVED);
        if let Some((router, problem)) = self.prober.unreachable().into_iter().find(hidden) {
            let why = format!(
                "{router} does not answer over HTTP from here, so nobody could see a flip: {problem}"
            );
            let outcome = Outcome::refused(why).hint("check its url in [switch] routers");
            return (None, outcome);
        }
        self.prober.full_rate();
        let mut number = 1;
        loop {
            let run = run::numbered(&app.run, number);
            let ran = match self.execute(&run, plan).await {
                Ok(ran) => ran,
                Err(outcome) => return (None, outcome),
            };
            number += 1;
            if !ran.finished.stale || number > run::PLANS {
                return (Some(ran.plan), Outcome::from(ran.finished));
            }
            app.sink.note(format!(
                "{}; planning again",
                ran.finished.message.unwrap_or_default()
            ));
            plan = match self.planned(&wish.again(&run), None).await {
                Ok(plan) => plan,
                Err(outcome) => return (Some(ran.plan), outcome),
            };
        }
    }

    /// # Errors
    /// When the journal cannot be begun: nothing was changed.
    async fn execute(&self, run: &str, plan: Plan) -> Result<run::Ran, Outcome> {
        let app = self.app;
        let folder = local_folder(&self.inventory.app.name, &self.inventory.env);
        let log = FileLog::create(&folder, &run::run_of(run, &plan)).map_err(|error| {
            let why = format!("the journal could not be written in {folder}: {error}");
            Outcome::refused(why).hint("set POINTSMAN_STATE_DIR to a folder that can be written")
        })?;
        let request = Request {
            inventory: self.inventory.clone(),
            fleet: self.fleet.clone(),
            run: run.to_owned(),
            who: app.who.clone(),
            sink: app.sink.clone(),
            stop: app.stop.clone(),
            now: Timestamp::now,
        };
        Ok(run::run(&request, plan, Box::new(log), true).await)
    }

    /// The plan; where the lock is taken, as soon as it is free.
    async fn planned(&self, wish: &Wish, wait: Option<Duration>) -> Result<Plan, Outcome> {
        let app = self.app;
        let since = Instant::now();
        let mut told = false;
        loop {
            let fleet = self.fleet.as_ref();
            let made =
                stopped_early(app, run::make(&self.inventory, fleet, wish, &app.run, &app.who)).await?;
            let refusal = match made {
                Ok(plan) => return Ok(plan),
                Err(refusal) => refusal,
            };
            let patient = wait.is_some_and(|wait| since.elapsed() < wait);
            if !patient || !matches!(refusal, Refusal::Locked(_)) {
                return Err(Outcome::of_refusal(&refusal, &self.inventory.env));
            }
            if !std::mem::replace(&mut told, true) {
                app.sink.note(format!("waits for the lock: {refusal}"));
            }
            stopped_early(app, tokio::time::sleep(LOOK_AGAIN)).await?;
        }
    }

    /// The unfinished run that holds the lock; waited for until it is silent, unless it was named.
    async fn unfinished(&self, named: Option<&str>) -> Result<Option<Holder>, Outcome> {
        let env = &self.inventory.env;
        let mut told = false;
        let since = Instant::now();
        loop {
            let seen = stopped_early(self.app, self.fleet.routers()).await?;
            let holders = seen.holders();
            let unfinished = holders
                .into_iter()
                .find(|holder| !holder.is_over() && !holder.by_hand());
            let Some(holder) = unfinished else {
                return match seen.hot() {
                    // A router that cannot be read may hold an unfinished run's lock.
                    Hot::InDoubt(words) => Err(Outcome::of_refusal(&Refusal::InDoubt(words), env)),
                    Hot::Pool(_) | Hot::Split(_) => Ok(None),
                };
            };
            match named {
                Some(run) if run == holder.run => return Ok(Some(holder)),
                Some(_) => {
                    let words = format!("{env} is locked by another run, {holder}");
                    return Err(Outcome::of_refusal(&Refusal::Locked(words), env));
                }
                None => {}
            }
            let silent = i64::try_from(SILENT.as_secs()).unwrap_or(i64::MAX);
            match holder.age_s {
                Some(age) if age >= silent => return Ok(Some(holder)),
                None if since.elapsed() > SILENT => {
                    let words = format!(
                        "{env} is locked by run {holder}, and no host that would know whether it lives answers"
                    );
                    return Err(Outcome::of_refusal(&Refusal::InDoubt(words), env));
                }
                _ if told && holder.age_s.is_some_and(|age| age * 2 < silent && age < 5) => {
                    let words = format!("{env} is locked by run {holder}: it is alive");
                    return Err(Outcome::ending(End::Locked, words).hint(format!(
                        "let it end; if it must be taken over all the same: pointsman -e {env} {} {}",
                        "abort", holder.run
                    )));
                }
                _ => {}
            }
            if !std::mem::replace(&mut told, true) {
                self.app.sink.note(format!(
                    "run {holder}; it counts as dead once it was silent for {SILENT:?} (naming it takes it over at once)"
                ));
                stopped_early(self.app, tokio::time::sleep(SILENT / 3)).await?;
            } else {
                stopped_early(self.app, tokio::time::sleep(LOOK_AGAIN)).await?;
            }
        }
    }
}

/// Waits for something that changes nothing, unless the user wants to stop.
async fn stopped_early<T>(app: &App, what: impl Future<Output = T>) -> Result<T, Outcome> {
    let mut stop = app.stop.clone();
    tokio::select! {
        biased;
        done = what => Ok(done),
        Ok(_) = stop.wait_for(|stop| *stop) => {
            Err(Outcome::ending(End::Interrupted, "stopped by the user before anything was changed"))
        }
    }
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
    let wish = Wish::from(kept.intent.clone());
    plan::lock_is_ours(&wish, inventory, seen).map_err(|refusal| Outcome::of_refusal(&refusal, env))?;
    let now = match seen.hot() {
        Hot::Pool(pool) if Some(pool) == kept.expects.hot && seen.highest_epoch() == kept.expects.epoch => {
            // The plan is of the servers; whose lock is taken is decided now.
            let mut kept = kept;
            kept.expects.store = Stored::of(seen);
            return Ok(kept);
        }
        Hot::Pool(pool) => format!("{pool} hot"),
        Hot::Split(words) => format!("the routers split ({words})"),
        Hot::InDoubt(words) => format!("a router in doubt ({words})"),
    };
    Err(Outcome::refused(format!(
        "the world has changed since the plan was made: expected {} hot at epoch {}, found {now} at epoch {}",
        kept.expects
            .hot
            .map_or("nothing".to_owned(), |pool| pool.to_string()),
        kept.expects.epoch,
        seen.highest_epoch()
    ))
    .hint(format!("pointsman -e {env} plan {}", kept.release.tag)))
}

fn prober(inventory: &Inventory) -> Prober {
    let targets = inventory
        .switch
        .routers
        .iter()
        .flat_map(|router| targets(inventory, router))
        .collect();
    let identity = &inventory.app.identity;
    Prober::start(
        targets,
        identity.path.clone(),
        identity.json.clone(),
        inventory.switch.probe_rate,
    )
}

/// How a router is asked: by its URL; where a name's records are the switch, as each resolver leads there.
fn targets(inventory: &Inventory, router: &Router) -> Vec<ProbeTarget> {
    let target = |name: String, lookup: Option<Arc<dyn Lookup>>| ProbeTarget {
        router: name,
        url: router.url.clone(),
        host_header: router.host_header.clone(),
        lookup,
    };
    let Connector::Dns(dns, _) = &inventory.switch.connector else {
        return vec![target(router.name.clone(), None)];
    };
    if dns.resolvers.is_empty() {
        let own = ByResolver::new(&dns.name, None);
        return vec![target(router.name.clone(), Some(Arc::new(own)))];
    }
    let by = |resolver: &String| {
        let lookup = ByResolver::new(&dns.name, Some(resolver));
        target(format!("{} by {resolver}", router.name), Some(Arc::new(lookup)))
    };
    dns.resolvers.iter().map(by).collect()
}
