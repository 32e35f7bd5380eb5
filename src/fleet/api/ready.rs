//! The armed flip of a switch that is an API: one change that compares what was read.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::tail::Tail;
use super::{ApiFleet, refused};
use crate::fleet::ssh::SshFleet;
use crate::fleet::{Armed, StepError};
use crate::inventory::Pool;
use crate::state::noted::Noted;
use crate::state::{Done, Right};
use crate::switch::{Route, RouterView};

/// What is added to a TTL: an answer is given out up to the last moment, and travels.
pub(super) const MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// The switch, ready to be told.
pub(super) struct Ready {
    pub(super) hosts: Arc<SshFleet>,
    pub(super) noted: Noted,
    pub(super) right: Right,
    pub(super) to: Pool,
    pub(super) tail: Option<Tail>,
}

#[async_trait]
impl Armed for Ready {
    async fn commit(self: Box<Self>) -> Result<RouterView, StepError> {
        let (to, right) = (self.to, &self.right);
        let moved = self
            .noted
            .write("moving traffic", Some(Route::all(to)), None, &|seen, note| {
                Noted::holds(note, right)?;
                // Answers of the other pool may be kept for as long as the highest TTL that was given out says.
                if let Some(ttl) = seen.ttl.filter(|_| seen.view.live.settled() != Some(to)) {
                    let now = Timestamp::now();
                    let until = now + SignedDuration::from_secs(ttl.into()) + MARGIN;
                    let until = note.long_until.map_or(until, |long| long.max(until));
                    let cached = note.cached.entry(to.other()).or_insert(until);
                    *cached = until.max(*cached);
                }
                Ok(Done::Applied)
            })
            .await;
        if let Err(error) = moved {
            return Err(refused(error));
        }
        let fleet = ApiFleet {
            hosts: self.hosts,
            noted: self.noted,
        };
        // Who still has an old answer meets the new release all the same.
        let handed_on = async {
            if let Some(tail) = &self.tail {
                tail.left(to.other()).await;
            }
        };
        // Every authoritative server gives out the new records before anything is called done.
        let settled = fleet.until(fleet.settle(), false, |view| view.is_all(to), |_| {});
        let (settled, ()) = futures::future::join(settled, handed_on).await;
        settled.map_err(|error| StepError {
            in_doubt: true,
            ..error
        })
    }
}
