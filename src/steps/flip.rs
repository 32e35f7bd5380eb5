//! Moves traffic: every router prepares itself, then all move at once, then all are read back.
//! Whatever goes wrong leads back to the old pool on all, or to plain words (FAULTS.md 54, 55).

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;

use super::Context;
use crate::fleet::{End, StepError};
use crate::inventory::{Pool, Router};
use crate::plan;
use crate::report::{Kind, StepOutcome};
use crate::switch::RouterView;

pub(super) struct Flip;

#[async_trait]
impl super::Step for Flip {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let (from, to) = (cx.from(), cx.to());
        super::lower_ttl::wait_out(cx, step).await?;
        // Prepare all: nothing has moved when one of them cannot.
        let routers = cx.job.routers();
        let armed = join_all(
            routers
                .iter()
                .map(|router| cx.fleet.arm(&cx.job, router, "flip", to)),
        )
        .await;
        let (armed, errors): (Vec<_>, Vec<_>) = armed.into_iter().partition(Result::is_ok);
        if let Some(error) = StepError::all(errors.into_iter().filter_map(Result::err).collect()) {
            return Err(error);
        }
        cx.job.go_on()?;
        // Traffic comes before the record from here on (FAULTS.md 75).
        cx.job.ledger.be_lenient();
        // Commit all at once; then believe only what is read back.
        let commits = join_all(armed.into_iter().flatten().map(|armed| armed.commit())).await;
        let mut failures = Vec::new();
        let mut in_doubt = false;
        for (router, commit) in routers.iter().zip(commits) {
            match commit {
                Ok(view) if view.is_all(to) => {}
                Ok(view) => failures.push(format!(
                    "{}: expected {to} to be read back, found that it {}",
                    router.name,
                    view.drift().unwrap_or_else(|| format!("serves {}", view.live))
                )),
                // Sent and not answered: the truth is read, not guessed.
                Err(error) => match cx.fleet.view(router).await {
                    Ok(view) if view.is_all(to) => {}
                    Ok(view) => {
                        if error.in_doubt {
                            cx.job.may_be_late(router);
                        }
                        in_doubt |= error.in_doubt;
                        failures.push(format!(
                            "{}: {error}; it still routes to {}",
                            router.name, view.live
                        ));
                    }
                    Err(unread) => {
                        cx.job.may_be_late(router);
                        in_doubt = true;
                        failures.push(format!(
                            "{}: {error}; and it cannot be read: {unread}",
                            router.name
                        ));
                    }
                },
            }
        }
        if failures.is_empty() {
            for router in routers {
                self.report(cx, step, router, StepOutcome::Applied, &format!("{from} → {to}"));
            }
            return Ok(StepOutcome::Applied);
        }
        Err(StepError {
            in_doubt,
            moved: true,
            ..StepError::failed(failures.join("\n")).ending(End::RolledBack)
        })
    }

    /// After traffic moved and was seen to go wrong, or may have moved on some routers only.
    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        let moved = moved_from_the_dead(cx).await?;
        lead_back(cx, step).await?;
        match &cx.job.plan.old {
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
    let (old, new) = (cx.from(), cx.to());
    let views = cx.views().await;
    let moved = views
        .iter()
        .all(|(_, view)| view.as_ref().is_ok_and(|view| view.is_all(new)));
    let dead = |view: &Result<RouterView, String>| view.as_ref().is_ok_and(|view| view.up(old) == 0);
    if !moved || !views.iter().all(|(_, view)| dead(view)) {
        return Ok(moved);
    }
    let words: Vec<String> = views
        .iter()
        .filter_map(|(router, view)| Some((router, view.as_ref().ok()?)))
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
    let again = cx.fleet.answers(&cx.job, tag, AGAIN, AGAIN_WITHIN).await;
    again.map_err(|missing| {
        let (old, routers) = (cx.from(), missing.join(", "));
        both(cx, format!("traffic is back on {old}, and {tag} does not answer there either (through {routers}); it stays there"))
    })
}

fn both(cx: &Context, words: String) -> StepError {
    let (env, run) = (cx.env(), &cx.job.fence.run);
    StepError::failed(format!("both pools fail: {words}"))
        .ending(End::Stuck)
        .hint(format!(
            "mend one pool, then pointsman -e {env} lock release {run} and pointsman -e {env} flip --to POOL"
        ))
}

impl Flip {
    fn report(&self, cx: &Context, step: &plan::Step, router: &Router, result: StepOutcome, message: &str) {
        cx.job.sink.emit(Kind::StepEnded {
            phase: step.action.name().to_owned(),
            target: router.name.clone(),
            result,
            message: Some(message.to_owned()),
            elapsed_ms: 0,
        });
    }
}

/// Moves every router back to the old pool, reads all of them, and says how that ended where it is not
/// all well.
async fn lead_back(cx: &Context, step: &plan::Step) -> Result<(), StepError> {
    let old = cx.from();
    cx.job.sink.emit(Kind::Warning {
        message: format!("moving all routers back to {old}"),
    });
    let moved_back = cx
        .on_routers(step, |router| async move {
            let late = cx.job.is_late(router);
            if !late && cx.fleet.view(router).await.is_ok_and(|view| view.is_all(old)) {
                return Ok((StepOutcome::AlreadyDone, Some(format!("routes to {old}"))));
            }
            // Who has the router's lock knows that no earlier word is on its way any more.
            let back = async {
                let armed = cx.fleet.arm(&cx.job, router, "flip-back", old).await?;
                armed.commit().await
            };
            back.await.map_err(|error: StepError| StepError {
                in_doubt: late || error.in_doubt,
                ..error
            })?;
            Ok((StepOutcome::Applied, Some(format!("back to {old}"))))
        })
        .await;
    let mut readings = Vec::new();
    let (mut unread, mut elsewhere) = (false, false);
    for (router, view) in cx.views().await {
        match view {
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
    // A router that is read as all old may still obey a late word, where its lock could not be had.
    let late = moved_back.as_ref().is_err_and(|error| error.in_doubt);
    let why = match &moved_back {
        Ok(_) => String::new(),
        Err(error) if error.end == End::Fenced => return Err(error.clone()),
        Err(error) => format!("while moving back: {error}\n"),
    };
    let (end, words) = if unread || late {
        (End::InDoubt, "what follows is known of each router")
    } else if elsewhere {
        (End::Split, "the routers are split")
    } else {
        return Ok(());
    };
    let message = format!("{why}{words}:\n{}", readings.join("\n"));
    Err(StepError {
        in_doubt: end == End::InDoubt,
        ..StepError::failed(message).ending(end)
    })
}

/// Every router was read, under this run's epoch, as sending nothing to `pool`. Unknown counts as
/// using it (invariant 3).
///
/// # Errors
/// With the router that uses it, or that could not be read.
pub(super) async fn expect_cold(cx: &Context, pool: Pool) -> Result<(), StepError> {
    let mut problems = Vec::new();
    let mut end = End::Failed;
    for (router, view) in cx.views().await {
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
