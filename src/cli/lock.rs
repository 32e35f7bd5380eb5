//! `pointsman lock status|acquire|release`: the environment's lock by hand.

use std::time::Duration;

use super::args::{Lock, LockCommand};
use super::context::App;
use super::outcome::Outcome;
use crate::fleet::{End, Records};
use crate::inventory::Inventory;
use crate::observe::{self, Observation, Owner};
use crate::remote::{Claim, Fence, Guarded, Script, Sessions};
use crate::switch::connector_for;

/// Longest that writing a lock on one router may take.
const WRITE: Duration = Duration::from_secs(20);

pub(super) async fn run(app: &App, args: &Lock) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let connector = connector_for(&inventory.switch);
    let seen = observe::routers::observe(&inventory, &sessions, connector.as_ref()).await;
    match &args.command {
        LockCommand::Status => status(app, &inventory, &seen),
        LockCommand::Acquire { message } => acquire(app, &inventory, &sessions, &seen, message).await,
        LockCommand::Release { run } => release(app, &inventory, &sessions, &seen, run.as_deref()).await,
    }
}

fn status(app: &App, inventory: &Inventory, seen: &Observation) -> Result<Outcome, Outcome> {
    let mut text = String::new();
    let mut rows = Vec::new();
    for (name, router) in &seen.routers {
        let (words, owner) = match router {
            Err(problem) => (format!("in doubt: {problem}"), None),
            Ok(router) => match &router.state.holder {
                None => (format!("free, epoch {}", router.state.epoch), None),
                Some(holder) => {
                    let owner = router.state.owner.clone();
                    let by = owner.as_ref().map_or_else(String::new, |owner| {
                        let message = owner.message.as_ref().map_or(String::new(), |m| format!(": {m}"));
                        format!(
                            " ({} by {} since {}{message})",
                            owner.command, owner.who, owner.since
                        )
                    });
                    let age = router
                        .state
                        .owner_age_s
                        .map_or(String::new(), |s| format!(", {s} s ago by its clock"));
                    (
                        format!("held by {holder}{by}{age}, epoch {}", router.state.epoch),
                        owner,
                    )
                }
            },
        };
        text.push_str(&format!("{name}: {words}\n"));
        rows.push(serde_json::json!({ "router": name, "state": words, "owner": owner }));
    }
    app.data(
        "lock",
        &serde_json::json!({ "environment": inventory.env, "routers": rows }),
        &text,
    );
    if seen.readable().count() < seen.routers.len() {
        return Err(Outcome::ending(End::InDoubt, "not every router could be read"));
    }
    Ok(Outcome::done())
}

async fn acquire(
    app: &App,
    inventory: &Inventory,
    sessions: &Sessions,
    seen: &Observation,
    message: &str,
) -> Result<Outcome, Outcome> {
    if let Some((name, problem)) = seen
        .routers
        .iter()
        .find_map(|(name, r)| r.as_ref().err().map(|e| (name, e)))
    {
        return Err(Outcome::ending(End::InDoubt, format!("{name}: {problem}")));
    }
    let owner = Owner {
        run: app.run.clone(),
        command: "lock".to_owned(),
        who: app.who.clone(),
        since: jiff::Timestamp::now(),
        message: Some(message.to_owned()),
    };
    let claim = Claim {
        hold: true,
        owner: serde_json::to_string(&owner).unwrap_or_default(),
        ..Claim::default()
    };
    let fence = fence_of(app, inventory, seen);
    take(inventory, sessions, seen, &fence, &claim, &Script::new(":")).await?;
    let text = format!("{} is locked as {}", inventory.env, app.run);
    app.data("lock", &text, &text);
    Ok(Outcome::done())
}

async fn release(
    app: &App,
    inventory: &Inventory,
    sessions: &Sessions,
    seen: &Observation,
    run: Option<&str>,
) -> Result<Outcome, Outcome> {
    let env = &inventory.env;
    let holders: Vec<_> = seen
        .readable()
        .filter_map(|(_, r)| Some((r.state.holder.clone()?, r.state.owner.clone())))
        .collect();
    let Some((holder, owner)) = holders.first() else {
        let text = format!("{env} is not locked");
        app.data("lock", &text, &text);
        return Ok(Outcome::done());
    };
    let by_hand = owner.as_ref().is_some_and(|owner| owner.command == "lock");
    if !by_hand && run != Some(holder) {
        return Err(Outcome::ending(
            End::Locked,
            format!("the lock is held by run {holder}, which may still be alive"),
        )
        .hint(format!("if it is dead: pointsman -e {env} lock release {holder}")));
    }
    // A new epoch first: whatever the dead run still has under way is refused from here on.
    let fence = fence_of(app, inventory, seen);
    let claim = Claim {
        hold: true,
        steal: vec![holder.clone()],
        ..Claim::default()
    };
    let unlock = Records {
        unlock: true,
        ..Records::default()
    };
    take(inventory, sessions, seen, &fence, &claim, &unlock.script(&fence)).await?;
    let text = format!("the lock of {holder} on {env} is released");
    app.data("lock", &text, &text);
    Ok(Outcome::done())
}

fn fence_of(app: &App, inventory: &Inventory, seen: &Observation) -> Fence {
    Fence {
        state_dir: inventory.state_dir(),
        epoch: seen.highest_epoch() + 1,
        run: app.run.clone(),
    }
}

/// Takes the lock as a run does: by compare-and-set on the first router, then on the others.
async fn take(
    inventory: &Inventory,
    sessions: &Sessions,
    seen: &Observation,
    fence: &Fence,
    claim: &Claim,
    script: &Script,
) -> Result<(), Outcome> {
    let first = seen.readable().next().map_or(0, |(_, router)| router.state.epoch);
    for (number, router) in inventory.switch.routers.iter().enumerate() {
        let claim = Claim {
            expect: (number == 0).then_some(first),
            ..claim.clone()
        };
        sessions
            .session(&router.server())
            .fence(&Guarded::new(fence, "lock"), &claim, script, WRITE)
            .await?;
    }
    Ok(())
}
