//! The armed flip of a switch that is an API: one change that compares what was read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::tail::Tail;
use super::{ApiFleet, PROMPT, later, refused};
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
    /// Every host of the pool that is flipped to was told to answer itself.
    pub(super) told_off: bool,
}

#[async_trait]
impl Armed for Ready {
    async fn commit(self: Box<Self>) -> Result<RouterView, StepError> {
        let (to, right, left) = (self.to, &self.right, self.to.other());
        let tail = self.tail.filter(Tail::wanted);
        let fleet = ApiFleet {
            hosts: self.hosts,
            noted: self.noted,
        };
        let since = Instant::now();
        // The TTL of what was replaced, and which note did it.
        let moved = Mutex::new((None, 0));
        let told = fleet
            .noted
            .write("moving traffic", Some(Route::all(to)), None, &|seen, note| {
                Noted::holds(note, right)?;
                let old = seen
                    .ttl
                    .filter(|_| seen.view.live.settled() != Some(to) || !seen.view.agrees());
                let long = note.long_until;
                if let Some(ttl) = old {
                    until(
                        note.cached.entry(left).or_insert(Timestamp::MIN),
                        ttl,
                        long,
                        Duration::ZERO,
                    );
                }
                if self.told_off {
                    note.handing_on.remove(&to);
                }
                if tail.is_some() {
                    note.handing_on.insert(left);
                }
                *moved.lock().unwrap_or_else(PoisonError::into_inner) = (old, note.writes + 1);
                Ok(Done::Applied)
            })
            .await;
        told.map_err(refused)?;
        let (old, number) = moved.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Who still has an old answer meets the new release all the same.
        let handed_on = async {
            if let Some(tail) = &tail {
                tail.left(left, number).await;
            }
        };
        // Every authoritative server gives out the new records before anything is called done.
        let settled = fleet.until(fleet.settle(), false, |view| view.is_all(to), |_| {});
        let (settled, ()) = futures::future::join(settled, handed_on).await;
        let lingers = fleet.lingers();
        if let Some(ttl) = old.filter(|_| since.elapsed() > PROMPT || !lingers.is_zero()) {
            // Who lagged gave out the old records for as long. Where this cannot be noted, the pool's own counts still tell.
            let noted = fleet
                .noted
                .write("noting until when", None, None, &|_, note| {
                    Noted::holds(note, right)?;
                    let long = note.long_until;
                    until(
                        note.cached.entry(left).or_insert(Timestamp::MIN),
                        ttl,
                        long,
                        lingers,
                    );
                    Ok(Done::Applied)
                })
                .await;
            drop(noted);
        }
        settled.map_err(|error| StepError {
            in_doubt: true,
            ..error
        })
    }
}

/// Moves an instant back to when answers of this TTL, given out up to now and for `lingers` more, have run out.
fn until(known: &mut Timestamp, ttl: u32, long: Option<Timestamp>, lingers: Duration) {
    let mut end = long;
    later(&mut end, ttl, lingers);
    *known = end.map_or(*known, |end| end.max(*known));
}
