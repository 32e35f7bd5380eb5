//! The plans of `resume` and `abort`: what is left of another run's work, or its way back, from its journal and
//! from the world as it is now. The journal says what was wanted; only the routers say what is so.

use super::deploy::changing;
use super::refuse::{Refusal, routers_see};
use super::{Action, Intent, Plan, Steps, Taken};
use crate::inventory::{Inventory, Pool};
use crate::observe::{Hot, Observation};

/// `resume RUN`, or `abort RUN` where `back`.
pub(super) fn plan(
    intent: &Intent,
    run: &str,
    back: bool,
    inventory: &Inventory,
    seen: &Observation,
) -> Result<Plan, Refusal> {
    let env = &inventory.env;
    if let Hot::InDoubt(words) = seen.hot() {
        return Err(Refusal::InDoubt(words));
    }
    let Some(holder) = seen.holders().into_iter().find(|holder| holder.run == run) else {
        return Err(Refusal::one(
            format!("run {run} holds no lock in {env}: there is nothing of it to finish or to take back"),
            format!("pointsman -e {env} history {run}"),
        ));
    };
    let unreadable = |problem: String| {
        Refusal::one(
            format!("what run {run} was doing cannot be read: {problem}"),
            format!("pointsman -e {env} deploy TAG --steal {run} starts anew"),
        )
    };
    let progress = holder.progress.map_err(unreadable)?;
    let dead: Plan = serde_json::from_value(progress.plan)
        .map_err(|error| unreadable(format!("expected a plan of this pointsman, found: {error}")))?;
    let first = match dead.taken {
        Some(first) => Taken {
            back: back || first.back,
            settled: progress.settled || first.settled,
            ..first
        },
        None => Taken {
            run: run.to_owned(),
            plan: Box::new(dead),
            back,
            settled: progress.settled,
        },
    };
    let work = Work {
        intent,
        inventory,
        seen,
        first: &first,
        dead: &first.plan,
        run,
    };
    match &first.plan.intent {
        Intent::Prune { .. } => {
            Ok(work.nothing("pruning is left as it is: it removes only what nobody uses"))
        }
        _ if first.back => work.back(),
        _ => work.forward(),
    }
}

/// What a takeover is made from.
struct Work<'a> {
    intent: &'a Intent,
    inventory: &'a Inventory,
    seen: &'a Observation,
    first: &'a Taken,
    /// The plan of the run that began the work.
    dead: &'a Plan,
    /// The run that holds the lock.
    run: &'a str,
}

impl Work<'_> {
    /// Finishes what the dead run wanted.
    fn forward(&self) -> Result<Plan, Refusal> {
        let (from, to) = (self.dead.from, self.dead.to);
        let all_old = self.seen.hot() == Hot::Pool(from);
        let proven = self.is_proven(to);
        if self.dead.flips && (proven || !all_old) {
            return self.flip(from, to);
        }
        if proven {
            return Ok(self.nothing("the cold pool is proven already"));
        }
        let mut plan = changing(
            &self.dead.intent,
            self.inventory,
            self.seen,
            (from, to),
            self.dead.release.clone(),
            self.dead.flips,
            self.dead.has(Action::Migrate),
        );
        plan.retained = self.dead.retained;
        plan.compose.clone_from(&self.dead.compose);
        Ok(self.taken(plan, format!("goes on with {} on {to}", self.dead.release.tag)))
    }

    /// Takes back what the dead run did.
    fn back(&self) -> Result<Plan, Refusal> {
        let env = &self.inventory.env;
        let (from, to) = (self.dead.from, self.dead.to);
        if self.first.settled {
            return Err(Refusal::one(
                format!(
                    "run {} is past its point of no return: {} was seen to serve on {to}",
                    self.run, self.dead.release.tag
                ),
                format!(
                    "pointsman -e {env} resume {}, then pointsman -e {env} rollback",
                    self.run
                ),
            ));
        }
        if self.seen.hot() != Hot::Pool(from) || self.drifts() {
            return self.flip(to, from);
        }
        let changed = self.seen.claimed(to).is_some() || (self.dead.has(Action::Claim) && self.is_proven(to));
        if changed {
            self.clean()
        } else {
            Ok(self.nothing("nothing of it is left to take back"))
        }
    }

    /// Moves every router to a pool, and sees it serve.
    fn flip(&self, from: Pool, to: Pool) -> Result<Plan, Refusal> {
        let env = &self.inventory.env;
        if let Some(run) = self.seen.claimed(to) {
            return Err(Refusal::Split(format!(
                "{to} is claimed by run {run}, so traffic cannot be moved there: pointsman -e {env} abort {}",
                self.run
            )));
        }
        let release = match (self.seen.proven(to), &self.dead.old) {
            (Some(release), _) => release.clone(),
            // The old pool was never proven by pointsman: it is what was there before the first deploy.
            (None, Some(old)) if to != self.dead.to => old.clone(),
            (None, _) => self.dead.release.clone(),
        };
        routers_see(self.inventory, self.seen, to)?;
        let tag = release.tag.clone();
        let steps = Steps::new(self.inventory)
            .on_routers(
                Action::Fence,
                "take the lock over, with a new epoch on every router".into(),
            )
            .on_routers(Action::Flip, format!("move traffic to {to} on all routers"))
            .on_routers(Action::Verify, format!("see {tag} through every router"))
            .on_routers(Action::Unlock, "give the lock back".into());
        let mut plan = Plan::draft(self.intent, self.inventory, self.seen, (from, to), release);
        plan.old = self.seen.proven(from).cloned();
        plan.flips = true;
        plan.retained = true;
        plan.steps = steps.steps;
        Ok(self.taken(plan, format!("moves traffic to {tag} on {to}")))
    }

    /// Cleans the cold pool.
    fn clean(&self) -> Result<Plan, Refusal> {
        let to = self.dead.to;
        let steps = Steps::new(self.inventory)
            .on_routers(
                Action::Fence,
                "take the lock over, with a new epoch on every router".into(),
            )
            .on_hosts(
                Action::Claim,
                to,
                format!("claim {to} on every router, fence its hosts"),
            )
            .on_hosts(
                Action::Clean,
                to,
                format!("remove what run {} put into {to}", self.run),
            )
            .on_routers(Action::Unclaim, format!("take the claim off {to}"))
            .on_routers(Action::Unlock, "give the lock back".into());
        let mut plan = Plan::draft(
            self.intent,
            self.inventory,
            self.seen,
            (self.dead.from, to),
            self.dead.release.clone(),
        );
        plan.retained = self.dead.retained;
        plan.compose.clone_from(&self.dead.compose);
        plan.steps = steps.steps;
        Ok(self.taken(plan, format!("takes {} off {to}", self.dead.release.tag)))
    }

    /// Only takes the lock over and gives it back.
    fn nothing(&self, why: &str) -> Plan {
        let steps = Steps::new(self.inventory)
            .on_routers(
                Action::Fence,
                "take the lock over, with a new epoch on every router".into(),
            )
            .on_routers(Action::Unlock, "give the lock back".into());
        let mut plan = Plan::draft(
            self.intent,
            self.inventory,
            self.seen,
            (self.dead.from, self.dead.to),
            self.dead.release.clone(),
        );
        plan.steps = steps.steps;
        self.taken(plan, why.to_owned())
    }

    fn taken(&self, mut plan: Plan, how: String) -> Plan {
        plan.intent = self.intent.clone();
        plan.how = Some(how);
        plan.undoes = self.first.back;
        plan.taken = Some(self.first.clone());
        plan
    }

    /// Whether the pool is proven with the release of the dead run, on every router, and unclaimed.
    fn is_proven(&self, pool: Pool) -> bool {
        let release = self
            .seen
            .proven(pool)
            .filter(|_| self.seen.claimed(pool).is_none());
        release.is_some_and(|release| release.id == self.dead.release.id)
    }

    fn drifts(&self) -> bool {
        self.seen
            .readable()
            .any(|(_, router)| router.view.drift().is_some())
    }
}
