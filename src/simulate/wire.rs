//! How messages travel: each may be lost on its way there or back, come late, or come twice; and a router may say that
//! it did what it did not do.

use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use rand::Rng as _;

use super::fleet::SimFleet;
use super::world::{Change, Message, Protection, Said};
use crate::fleet::{Armed, Did, End, Job, StepError};
use crate::inventory::{Pool, Router};
use crate::report::StepOutcome;
use crate::switch::{Route, RouterView};

/// Gives the others a turn, so many times.
struct Turns(u32);

impl Future for Turns {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// How an unanswered message ends for its sender.
enum Answer {
    Said(Said),
    /// Nobody knows.
    None,
}

impl SimFleet {
    /// Some turns pass on the way.
    pub(super) async fn travel(&self) {
        let turns = self.world().rng.random_range(1..4);
        Turns(turns).await;
    }

    async fn send(&self, message: Message) -> Answer {
        self.travel().await;
        let answer = {
            let mut world = self.world();
            let rough = world.rough;
            match world.rng.random_range(0..40) {
                // Lost before it arrived.
                0 if rough => Answer::None,
                // Held up somewhere: it arrives when nobody waits for it any more.
                1 if rough => {
                    world.late.push(message);
                    Answer::None
                }
                // Its answer is lost; its recorded result may be read, or not.
                2 if rough => {
                    let said = world.arrive(&message);
                    if world.chance(2) {
                        Answer::Said(said)
                    } else {
                        Answer::None
                    }
                }
                // Twice: a client that repeats what it sent. SSH itself never delivers a command a second time.
                3 if rough => {
                    world.arrive(&message);
                    Answer::Said(world.arrive(&message))
                }
                // A router that says that it did it.
                4 if rough && matches!(message.change, Change::Route(..)) => {
                    world.tell(|| format!("      {message}: a lie"));
                    Answer::Said(Said::Done)
                }
                _ => Answer::Said(world.arrive(&message)),
            }
        };
        self.travel().await;
        answer
    }

    /// What was sent and not answered is in doubt; unless that protection is out, and silence is taken for a no.
    fn unanswered(&self, error: &StepError) -> StepError {
        StepError {
            in_doubt: self.world().without != Some(Protection::InDoubt),
            ..error.clone()
        }
    }

    /// One guarded mutation.
    pub(super) async fn mutate(&self, job: &Job, server: &str, change: Change) -> Did {
        let pending = job.ledger.pending(server);
        let keeps = job.inventory.is_anchor(server);
        let message = Message {
            server: server.to_owned(),
            run: job.fence.run.clone(),
            epoch: job.fence.epoch,
            lines: if keeps {
                pending.text.clone()
            } else {
                String::new()
            },
            change,
        };
        let error = |end, words: String| StepError::failed(format!("{server}: {words}")).ending(end);
        match self.send(message).await {
            Answer::Said(Said::Done) => {
                job.ledger.delivered(server, &pending);
                Ok((StepOutcome::Applied, None))
            }
            Answer::Said(Said::Fenced(seen)) => Err(error(End::Fenced, format!("fenced by epoch {seen}"))),
            Answer::Said(Said::Raced(seen)) => Err(error(End::Locked, format!("raced by epoch {seen}"))),
            Answer::Said(Said::Locked(run)) => Err(error(End::Locked, format!("locked by {run}"))),
            Answer::Said(Said::Cancelled) => Err(error(End::Failed, "the lock is another one's".to_owned())),
            Answer::Said(Said::Unfenced(_)) => Err(StepError {
                unfenced: true,
                ..error(End::Failed, "not fenced".to_owned())
            }),
            Answer::None => Err(self.unanswered(&error(End::Failed, "no answer".to_owned()))),
        }
    }
}

/// A simulated router that waits for the word.
pub(super) struct Ready {
    pub(super) fleet: SimFleet,
    pub(super) router: Router,
    pub(super) message: Message,
    pub(super) to: Pool,
}

#[async_trait]
impl Armed for Ready {
    async fn commit(self: Box<Self>) -> Result<RouterView, StepError> {
        let believed = |view: RouterView| RouterView {
            live: Route::all(self.to),
            persisted: Some(Route::all(self.to)),
            ..view
        };
        match self.fleet.send(self.message.clone()).await {
            Answer::Said(Said::Done) => Ok(SimFleet::view_of(&self.fleet.world(), &self.router)),
            Answer::Said(Said::Fenced(seen)) => {
                Err(StepError::failed(format!("fenced by epoch {seen}")).ending(End::Fenced))
            }
            Answer::Said(other) => Err(StepError::failed(format!("{other:?}"))),
            Answer::None if self.fleet.world().without == Some(Protection::ReadBack) => {
                Ok(believed(SimFleet::view_of(&self.fleet.world(), &self.router)))
            }
            Answer::None => Err(self.fleet.unanswered(&StepError::failed("no answer"))),
        }
    }
}
