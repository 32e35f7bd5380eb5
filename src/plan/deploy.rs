//! The plan of a deploy: stage, prove and flip the cold pool.

use super::refuse::{Refusal, hot};
use super::{Action, Intent, Plan, Steps, ttl};
use crate::compose::Release;
use crate::inventory::{Inventory, Pool};
use crate::observe::{ColdPool, Observation};

pub(super) fn plan(
    intent: &Intent,
    tag: &str,
    flip: bool,
    inventory: &Inventory,
    seen: &Observation,
) -> Result<Plan, Refusal> {
    let from = hot(inventory, seen)?;
    let to = from.other();
    let Some(cold) = &seen.cold else {
        return Err(Refusal::one(
            format!("the hosts of {to} were not read"),
            String::new(),
        ));
    };
    let problems = cold.problems(inventory);
    if !problems.is_empty() {
        return Err(Refusal::one(problems.join("\n"), hint(inventory, cold)));
    }
    let Some(release) = cold.release.clone() else {
        return Err(Refusal::one(
            format!("no image of tag {tag} was resolved"),
            String::new(),
        ));
    };
    Ok(changing(
        intent,
        inventory,
        seen,
        (from, to),
        release,
        flip,
        inventory.migrate.is_some(),
    ))
}

/// Who looks closer; and how a dead host is left out.
pub(super) fn hint(inventory: &Inventory, cold: &ColdPool) -> String {
    let dead: Vec<String> = cold
        .hosts
        .iter()
        .filter(|(_, host)| host.is_err())
        .map(|(name, _)| format!("--without {name}"))
        .collect();
    let looks = format!("pointsman -e {} doctor looks at every server", inventory.env);
    if dead.is_empty() || dead.len() == cold.hosts.len() {
        looks
    } else {
        format!(
            "{looks}; {} goes on without what cannot be reached",
            dead.join(" ")
        )
    }
}

/// The steps that bring a release into a pool, whatever it comes from.
pub(super) fn changing(
    intent: &Intent,
    inventory: &Inventory,
    seen: &Observation,
    (from, to): (Pool, Pool),
    release: Release,
    flip: bool,
    migrate: bool,
) -> Plan {
    let tag = &release.tag;
    let count = inventory.hosts(to).len();
    let mut steps = Steps::new(inventory).on_routers(
        Action::Fence,
        "take the environment's lock and a new epoch on every router".into(),
    );
    if flip {
        steps = ttl::lower(steps, seen);
    }
    let lowered = steps.has(Action::LowerTtl);
    steps = steps
        .on_hosts(
            Action::Claim,
            to,
            format!("claim {to} on every router, fence its {count} hosts"),
        )
        .on_hosts(
            Action::Stage,
            to,
            format!("send the Compose file and .env of {tag}, pull its images by digest"),
        );
    if let (true, Some(settings)) = (migrate, &inventory.migrate) {
        let first = inventory
            .hosts(to)
            .first()
            .map(|h| h.name.clone())
            .into_iter()
            .collect();
        steps = steps.push(
            Action::Migrate,
            first,
            format!("run `{}` once, in the new image", settings.command.join(" ")),
        );
    }
    steps = steps
        .on_hosts(Action::Start, to, format!("start {tag} in {to}"))
        .on_hosts(
            Action::Check,
            to,
            format!(
                "prove each host: {}, and that it answers as {tag}",
                check_names(inventory)
            ),
        )
        .on_routers(
            Action::RouterCheck,
            format!("wait until every router sees the servers of {to} up"),
        )
        .on_routers(Action::Prove, format!("record {to} as proven with {tag}"));
    if flip {
        steps = steps
            .on_routers(
                Action::Flip,
                format!(
                    "move traffic from {from} to {to} on all routers{}",
                    ttl::when(seen, from, lowered)
                ),
            )
            .on_routers(
                Action::Verify,
                format!("see {tag} through every router; back to {from} otherwise"),
            );
    }
    let steps = steps
        .on_hosts(
            Action::Prune,
            to,
            format!("keep the last {} releases of {to}", inventory.app.keep_releases),
        )
        .on_routers(Action::Unlock, "give the lock back".into());
    let mut plan = Plan::draft(intent, inventory, seen, (from, to), release);
    plan.retained = seen.cold.as_ref().is_some_and(|cold| cold.retained);
    plan.compose = seen.cold.as_ref().map(|cold| cold.compose()).unwrap_or_default();
    plan.flips = flip;
    plan.steps = steps.steps;
    plan
}

fn check_names(inventory: &Inventory) -> String {
    inventory
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
