//! Moves traffic: every router prepares itself, then all move at once, then all are read back.
//! Whatever goes wrong leads back to the old pool on all, or to plain words (FAULTS.md 54, 55).

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;

use super::context::{Context, router_name};
use super::error::{End, StepError};
use crate::inventory::{Pool, Router};
use crate::plan;
use crate::report::{Kind, StepOutcome};
use crate::switch::{Route, RouterView};

pub(super) struct Flip;

/// Longest that a prepared router waits for the word: all routers prepare within this, or none moves.
const LEASE: Duration = Duration::from_secs(30);
/// Longest to wait for a router's answer to the word; it takes one round trip and a file rename.
const COMMIT: Duration = Duration::from_secs(5);

#[async_trait]
impl super::Step for Flip {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let (from, to) = (cx.plan.from(), cx.to());
        // Prepare all: nothing has moved when one of them cannot.
        let routers = cx.routers();
        let armed = join_all(routers.iter().map(|router| async move {
            let session = cx.router(router);
            cx.connector
                .arm(&session, &cx.fence, "flip", &Route::all(to), LEASE)
                .await
                .map_err(StepError::from)
        }))
        .await;
        let (armed, errors): (Vec<_>, Vec<_>) = armed.into_iter().partition(Result::is_ok);
        if let Some(error) = StepError::all(errors.into_iter().filter_map(Result::err).collect()) {
            return Err(error);
        }
        // Commit all at once; then believe only what is read back.
        let commits = join_all(armed.into_iter().flatten().map(|armed| armed.commit(COMMIT))).await;
        let mut failures = Vec::new();
        for (router, commit) in routers.iter().zip(commits) {
            match commit {
                Ok(view) if view.is_all(to) => {}
                Ok(view) => failures.push(format!(
                    "{}: expected {to} to be read back, found that it {}",
                    router.name,
                    view.drift().unwrap_or_else(|| format!("serves {}", view.live))
                )),
                // Sent and not answered: the truth is read, not guessed.
                Err(error) => match observe(cx, router).await {
                    Ok(view) if view.is_all(to) => {}
                    Ok(view) => failures.push(format!(
                        "{}: {error}; it still routes to {}",
                        router.name, view.live
                    )),
                    Err(unread) => failures.push(format!(
                        "{}: {error}; and it cannot be read: {unread}",
                        router.name
                    )),
                },
            }
        }
        if failures.is_empty() {
            for router in routers {
                self.report(cx, step, router, StepOutcome::Applied, &format!("{from} → {to}"));
            }
            return Ok(StepOutcome::Applied);
        }
        Err(lead_back(cx, step, failures.join("\n")).await)
    }

    /// After traffic moved and was seen to go wrong.
    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        let moved = moved_from_the_dead(cx).await?;
        let error = lead_back(cx, step, String::new()).await;
        if error.end != End::RolledBack {
            return Err(error);
        }
        match &cx.plan.old {
            Some(old) if moved => answers_again(cx, &old.tag).await,
            _ => Ok(()),
        }
    }
}

/// So many answers in a row show that the old release serves again after it was led back to.
const AGAIN: u32 = 3;
/// Longest that they may take; a prober's request alone may be under way for 5 s.
const AGAIN_WITHIN: Duration = Duration::from_secs(10);

/// Whether traffic is on the new pool everywhere.
///
/// # Errors
/// When it is, and the routers see nobody alive in the old one: moving back would only exchange one dead pool
/// for another. A run moves back once at most (FAULTS.md 70).
async fn moved_from_the_dead(cx: &Context) -> Result<bool, StepError> {
    let (old, new) = (cx.plan.from(), cx.to());
    let views = join_all(cx.routers().iter().map(|router| observe(cx, router))).await;
    let moved = views
        .iter()
        .all(|view| view.as_ref().is_ok_and(|view| view.is_all(new)));
    let dead = |view: &Result<RouterView, String>| view.as_ref().is_ok_and(|view| view.up(old) == 0);
    if !moved || !views.iter().all(dead) {
        return Ok(moved);
    }
    let words: Vec<String> = cx
        .routers()
        .iter()
        .zip(views.iter().flatten())
        .map(|(router, view)| {
            format!(
                "{}: {old}: {}; {new}: {}",
                router.name,
                view.servers_in_words(old),
                view.servers_in_words(new)
            )
        })
        .collect();
    Err(both(
        cx,
        format!(
            "{old} is down as well, so traffic stays on {new}:\n{}",
            words.join("\n")
        ),
    ))
}

/// # Errors
/// When the old release does not answer: then both pools fail, and traffic is left where it is.
async fn answers_again(cx: &Context, tag: &str) -> Result<(), StepError> {
    cx.prober.wait_for(tag, AGAIN, AGAIN_WITHIN).await.map_err(|missing| {
        let (old, routers) = (cx.plan.from(), missing.join(", "));
        both(cx, format!("traffic is back on {old}, and {tag} does not answer there either (through {routers}); it stays there"))
    })
}

fn both(cx: &Context, words: String) -> StepError {
    let env = &cx.inventory.env;
    StepError::failed(format!("both pools fail: {words}"))
        .ending(End::Stuck)
        .hint(format!(
            "mend one pool, then pointsman -e {env} lock release {} and pointsman -e {env} flip --to POOL",
            cx.fence.run
        ))
}

impl Flip {
    fn report(&self, cx: &Context, step: &plan::Step, router: &Router, result: StepOutcome, message: &str) {
        cx.sink.emit(Kind::StepEnded {
            phase: step.action.name().to_owned(),
            target: router.name.clone(),
            result,
            message: Some(message.to_owned()),
            elapsed_ms: 0,
        });
    }
}

/// Moves every router back to the old pool, reads all of them, and says how that ended.
async fn lead_back(cx: &Context, step: &plan::Step, why: String) -> StepError {
    let old = cx.plan.from();
    cx.sink.emit(Kind::Warning {
        message: format!("moving all routers back to {old}"),
    });
    let moved_back = cx
        .each(step, cx.routers(), router_name, |router| async move {
            let session = cx.router(router);
            if observe(cx, router).await.is_ok_and(|view| view.is_all(old)) {
                return Ok((StepOutcome::AlreadyDone, Some(format!("routes to {old}"))));
            }
            let back = async {
                let armed = cx
                    .connector
                    .arm(&session, &cx.fence, "flip-back", &Route::all(old), LEASE)
                    .await?;
                armed.commit(COMMIT).await
            };
            match back.await {
                Ok(_) => Ok((StepOutcome::Applied, Some(format!("back to {old}")))),
                Err(error) => Err(StepError::from(error)),
            }
        })
        .await;
    let mut readings = Vec::new();
    let (mut unread, mut elsewhere) = (false, false);
    for router in cx.routers() {
        match observe(cx, router).await {
            Ok(view) => {
                elsewhere |= !view.is_all(old);
                readings.push(format!("{}: routes to {}", router.name, view.live));
            }
            Err(problem) => {
                unread = true;
                readings.push(format!("{}: in doubt, it cannot be read: {problem}", router.name));
            }
        }
    }
    let mut message = why;
    if let Err(error) = moved_back {
        message = format!("{message}\nwhile moving back: {error}");
    }
    let env = &cx.inventory.env;
    let (end, words, hint) = if unread {
        (
            End::InDoubt,
            "what follows is known of each router".to_owned(),
            format!("pointsman -e {env} status"),
        )
    } else if elsewhere {
        (
            End::Split,
            "the routers are split".to_owned(),
            format!("pointsman -e {env} flip --to {old}"),
        )
    } else {
        (
            End::RolledBack,
            format!("every router was read as routing to {old}"),
            format!("pointsman -e {env} doctor"),
        )
    };
    let message = format!("{}\n{words}:\n{}", message.trim(), readings.join("\n"));
    StepError {
        in_doubt: unread,
        end,
        message: message.trim().to_owned(),
        hint: Some(hint),
    }
}

/// What a router does now.
pub(super) async fn observe(cx: &Context, router: &Router) -> Result<RouterView, String> {
    cx.connector
        .observe(&cx.router(router), router)
        .await
        .map_err(|error| error.to_string())
}

/// Every router was read, under this run's epoch, as sending nothing to `pool`. Unknown counts as
/// using it (invariant 3).
///
/// # Errors
/// With the router that uses it, or that could not be read.
pub(super) async fn expect_cold(cx: &Context, pool: Pool) -> Result<(), StepError> {
    let views = join_all(cx.routers().iter().map(|router| observe(cx, router))).await;
    let mut problems = Vec::new();
    let mut end = End::Failed;
    for (router, view) in cx.routers().iter().zip(views) {
        match view {
            Ok(view) if view.is_all(pool.other()) => {}
            Ok(view) => problems.push(format!(
                "{}: expected no traffic to {pool}, found {}",
                router.name, view.live
            )),
            Err(problem) => {
                end = End::InDoubt;
                problems.push(format!(
                    "{}: cannot be read, so it counts as using {pool}: {problem}",
                    router.name
                ));
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(StepError::failed(problems.join("\n")).ending(end))
    }
}
