//! `pointsman lock status|acquire|release`: the environment's lock by hand.

use std::sync::Arc;

use super::args::{Lock, LockCommand};
use super::context::App;
use super::outcome::Outcome;
use crate::fleet::End;
use crate::inventory::Inventory;
use crate::observe::{Observation, Owner};
use crate::plan;
use crate::state::{self, Right, Store, StoreError, Take};

pub(super) async fn run(app: &App, args: &Lock) -> Result<Outcome, Outcome> {
    let (inventory, sessions) = app.open()?;
    let inventory = Arc::new(inventory);
    let stores = state::all(&inventory, &sessions)?;
    let seen = app.fleet(&inventory, sessions, None)?.routers().await;
    match &args.command {
        LockCommand::Status => status(app, &inventory, &seen),
        LockCommand::Acquire { message } => acquire(app, &inventory, &stores, &seen, message).await,
        LockCommand::Release { run } => release(app, &inventory, &stores, &seen, run.as_deref()).await,
    }
}

fn status(app: &App, inventory: &Inventory, seen: &Observation) -> Result<Outcome, Outcome> {
    let mut text = String::new();
    let mut rows = Vec::new();
    let routers = seen
        .routers
        .iter()
        .map(|(name, read)| (name, read.as_ref().map(|router| &router.state)));
    let store = seen.store.iter().map(|(name, read)| (name, read.as_ref()));
    for (name, read) in store.chain(routers) {
        let (words, owner) = match read {
            Err(problem) => (format!("in doubt: {problem}"), None),
            Ok(state) => match &state.holder {
                None => (format!("free, epoch {}", state.epoch), None),
                Some(holder) => {
                    let owner = state.owner.clone();
                    let by = owner.as_ref().map_or_else(String::new, |owner| {
                        let message = owner.message.as_ref().map_or(String::new(), |m| format!(": {m}"));
                        format!(
                            " ({} by {} since {}{message})",
                            owner.command, owner.who, owner.since
                        )
                    });
                    let age = state
                        .owner_age_s
                        .map_or(String::new(), |s| format!(", {s} s ago by its clock"));
                    (format!("held by {holder}{by}{age}, epoch {}", state.epoch), owner)
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
    stores: &[Arc<dyn Store>],
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
    let owner = owner(app, message.to_owned());
    plan::store_is_there(&inventory.env, seen)
        .map_err(|refusal| Outcome::of_refusal(&refusal, &inventory.env))?;
    let held: Vec<String> = seen
        .holders()
        .into_iter()
        .filter(|holder| !holder.is_over())
        .map(|holder| holder.run)
        .collect();
    take(app, stores, seen, &owner, &Hand::Takes { held }).await?;
    let text = format!("{} is locked as {}", inventory.env, app.run);
    app.data("lock", &text, &text);
    Ok(Outcome::done())
}

async fn release(
    app: &App,
    inventory: &Inventory,
    stores: &[Arc<dyn Store>],
    seen: &Observation,
    run: Option<&str>,
) -> Result<Outcome, Outcome> {
    let env = &inventory.env;
    let holders = seen.holders();
    let Some(holder) = holders.first() else {
        let text = format!("{env} is not locked");
        app.data("lock", &text, &text);
        return Ok(Outcome::done());
    };
    let by_hand = holder.by_hand();
    let holder = &holder.run;
    if !by_hand && run != Some(holder) {
        return Err(Outcome::ending(
            End::Locked,
            format!("the lock is held by run {holder}, which may still be alive"),
        )
        .hint(format!("if it is dead: pointsman -e {env} lock release {holder}")));
    }
    if let Some((name, Err(problem))) = &seen.store {
        app.sink.warn(format!("goes on without the {name}: {problem}"));
    }
    // A new epoch first: whatever the dead run still has under way is refused from here on.
    let owner = owner(app, format!("releases the lock of {holder}"));
    let mut taken = take(app, stores, seen, &owner, &Hand::Releases).await?;
    let (servers, right) = taken
        .pop()
        .ok_or_else(|| Outcome::refused("no router has a lock"))?;
    servers.release(&right).await?;
    for (store, right) in taken {
        // The routers decided: what the store does not hear of keeps nobody out.
        if let Err(error) = store.release(&right).await {
            app.sink.warn(format!(
                "the lock in {} could not be given back: {error}",
                store.name()
            ));
        }
    }
    let text = format!("the lock of {holder} on {env} is released");
    app.data("lock", &text, &text);
    Ok(Outcome::done())
}

/// What a person's hand does with the lock.
enum Hand {
    /// Takes it, but from none of these.
    Takes { held: Vec<String> },
    /// Takes it from whoever has it, to give it back.
    Releases,
}

impl Hand {
    fn may_rob(&self, run: &str) -> bool {
        match self {
            Hand::Takes { held } => held.iter().all(|held| held != run),
            Hand::Releases => true,
        }
    }
}

fn owner(app: &App, message: String) -> Owner {
    Owner {
        run: app.run.clone(),
        command: "lock".to_owned(),
        who: app.who.clone(),
        since: jiff::Timestamp::now(),
        message: Some(message),
    }
}

/// Takes the lock as a run does, by compare-and-set in each store in turn, the routers last; who holds it there is robbed
/// where that is allowed. A team's store that cannot be read, or not be written by who releases a lock, is left out.
async fn take<'a>(
    app: &App,
    stores: &'a [Arc<dyn Store>],
    seen: &Observation,
    owner: &Owner,
    hand: &Hand,
) -> Result<Vec<(&'a Arc<dyn Store>, Right)>, Outcome> {
    let first = seen.readable().next().map(|(_, router)| &router.state);
    // In the order of `state::all`.
    let team = seen.store.as_ref().map(|(_, read)| read.as_ref().ok());
    let states = team.into_iter().chain([first]);
    let mut taken: Vec<(&Arc<dyn Store>, Right)> = Vec::new();
    for (number, (store, state)) in stores.iter().zip(states).enumerate() {
        let Some(state) = state else { continue };
        let take = Take {
            expect_epoch: state.epoch,
            epoch: seen.highest_epoch() + 1,
            run: app.run.clone(),
            owner: serde_json::to_string(owner).unwrap_or_default(),
            steal: state.holder.clone().filter(|run| hand.may_rob(run)),
        };
        taken.push((store, take.right()));
        let Err(error) = store.acquire(&take).await else {
            continue;
        };
        let away = matches!(error, StoreError::Unreachable { .. } | StoreError::Refused { .. });
        if away && number + 1 < stores.len() && matches!(hand, Hand::Releases) {
            app.sink
                .warn(format!("goes on without the store {}: {error}", store.name()));
            taken.pop();
            continue;
        }
        // One of several routers may have been taken; what cannot be given back has no newer epoch than the next run's.
        for (store, right) in taken.iter().rev() {
            drop(store.release(right).await);
        }
        return Err(error.into());
    }
    Ok(taken)
}
