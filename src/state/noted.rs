//! Lock, claims and proofs in the note beside a switch that is an API. Every write compares the whole note, so whoever
//! writes has seen everything that was written before, as far as the provider can compare.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::anchors::Anchors;
use super::note::Note;
use super::rules::{self, Kept};
use super::{Done, Held, Right, Snapshot, Store, StoreError, Take};
use crate::observe::Owner;
use crate::switch::Route;
use crate::switch::api::{Api, ApiError, Change, Seen};

/// Longest that one write is tried, with all looks in between: others write small notes too, one at a time.
const WRITE: Duration = Duration::from_secs(20);
/// First pause before a note that somebody else wrote in between is read again; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The note of one environment, and the hosts that keep its journals.
#[derive(Clone)]
pub struct Noted {
    /// The switch that it stands beside.
    pub api: Arc<dyn Api>,
    /// Who keeps journals.
    pub anchors: Anchors,
    site: String,
}

/// What a write makes of a note that was read: whether it is another one then.
pub type Edit<'a> = &'a (dyn Fn(&Seen, &mut Note) -> Result<Done, StoreError> + Sync);

impl Noted {
    /// Of `site`, `<app>/<env>`.
    pub fn new(api: Arc<dyn Api>, anchors: Anchors, site: String) -> Noted {
        Noted { api, anchors, site }
    }

    /// What stands there now.
    ///
    /// # Errors
    /// When it cannot be read, or is no note of this environment.
    pub async fn look(&self) -> Result<(Seen, Note), StoreError> {
        self.of(self.api.read().await)
    }

    /// The same without the health of the pools' servers.
    ///
    /// # Errors
    /// As [`Noted::look`].
    pub async fn glance(&self) -> Result<(Seen, Note), StoreError> {
        self.of(self.api.glance().await)
    }

    fn of(&self, read: Result<Seen, ApiError>) -> Result<(Seen, Note), StoreError> {
        let seen = read.map_err(unread)?;
        let note = Note::parse(seen.note.as_deref(), &self.site).map_err(|problem| StoreError::Refused {
            problem,
            hint: "see who else writes there; pointsman writes over no text that is not its own".to_owned(),
        })?;
        Ok((seen, note))
    }

    /// Writes the note that `edit` makes of what stands there, and moves requests to `to` in the same change.
    ///
    /// # Errors
    /// What `edit` says; [`StoreError::InDoubt`] where a write was not answered and cannot be read back.
    pub async fn write(
        &self,
        what: &'static str,
        to: Option<Route>,
        ttl: Option<u32>,
        edit: Edit<'_>,
    ) -> Result<Done, StoreError> {
        let (until, mut pause) = (Instant::now() + WRITE, PAUSE);
        let mut sent: Option<Note> = None;
        let mut doubt: Option<StoreError> = None;
        loop {
            let (seen, mut note) = match self.glance().await {
                Ok(looked) => looked,
                // What was sent may have been done, and nobody can tell.
                Err(error) => match (doubt.take(), Instant::now() < until) {
                    (None, _) => return Err(error),
                    (Some(doubt), false) => return Err(doubt),
                    (Some(kept), true) => {
                        doubt = Some(kept);
                        wait(&mut pause).await;
                        continue;
                    }
                },
            };
            let moved = to.is_none_or(|to| seen.view.live.same_as(&to));
            if sent.as_ref() == Some(&note) && moved {
                return Ok(Done::Applied);
            }
            if Instant::now() >= until
                && let Some(doubt) = doubt
            {
                return Err(doubt);
            }
            if edit(&seen, &mut note)? == Done::AlreadyDone {
                return Ok(Done::AlreadyDone);
            }
            let (next, text) = note.next();
            let change = Change { note: &text, to, ttl };
            let error = match self.api.change(&seen, &change).await {
                Ok(()) => return Ok(Done::Applied),
                Err(error) => error,
            };
            let late = Instant::now() >= until;
            match error {
                // Somebody else wrote in between: what they wrote is looked at first.
                ApiError::Stale { .. } if late && doubt.is_none() => return Err(unread(error)),
                ApiError::Stale { .. } => {}
                // The same note is read back, or written once more: only one of the two can be taken, as each expects
                // what stood there before.
                ApiError::InDoubt { problem } => {
                    let error = StoreError::InDoubt {
                        at: "the switch".to_owned(),
                        what,
                        problem,
                    };
                    if late {
                        return Err(error);
                    }
                    sent = Some(next);
                    doubt = Some(error);
                }
                ApiError::Unreachable { .. } | ApiError::Refused { .. } => {
                    return Err(match doubt {
                        Some(doubt) => doubt,
                        None => unread(error),
                    });
                }
            }
            wait(&mut pause).await;
        }
    }

    /// Takes the lock for a run whose journal's first lines are on an anchor: since when it is silent is told by those.
    ///
    /// # Errors
    /// As [`Store::acquire`].
    pub async fn take(&self, take: &Take) -> Result<Done, StoreError> {
        self.write("taking the lock", None, None, &|_, note| {
            if note.writes == 0 {
                // No note yet, or none any more: which epochs there were is known of the hosts.
                note.epoch = take.expect_epoch;
            }
            let done = rules::acquire(&kept(note), take)?;
            note.epoch = take.epoch;
            note.run = Some(take.run.clone());
            note.owner = serde_json::from_str::<Owner>(&take.owner).ok();
            Ok(done)
        })
        .await
    }

    /// What an `edit` of a run that must hold the lock begins with.
    ///
    /// # Errors
    /// [`StoreError::Fenced`].
    pub fn holds(note: &Note, right: &Right) -> Result<(), StoreError> {
        rules::holds(&kept(note), right)
    }
}

async fn wait(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

fn unread(error: ApiError) -> StoreError {
    let hint = error.hint().unwrap_or("look with `pointsman doctor`").to_owned();
    let problem = error.to_string();
    match error {
        ApiError::Refused { .. } | ApiError::Stale { .. } => StoreError::Refused { problem, hint },
        ApiError::Unreachable { .. } | ApiError::InDoubt { .. } => StoreError::Unreachable { problem, hint },
    }
}

fn kept(note: &Note) -> Kept {
    Kept {
        epoch: note.epoch,
        run: note.run.clone(),
        owner: owner_text(note),
    }
}

fn owner_text(note: &Note) -> String {
    note.owner
        .as_ref()
        .and_then(|owner| serde_json::to_string(owner).ok())
        .unwrap_or_default()
}

#[async_trait]
impl Store for Noted {
    fn name(&self) -> &'static str {
        "switch"
    }

    async fn read(&self) -> Result<Snapshot, StoreError> {
        let (_, note) = self.glance().await?;
        let mut state = note.state();
        self.anchors.look(&mut state).await;
        let held = note.run.clone().map(|run| Held {
            run,
            epoch: note.epoch,
            owner: owner_text(&note),
            phase: state.phase.unwrap_or_default(),
            heartbeat_age: Duration::from_secs(state.owner_age_s.unwrap_or_default().unsigned_abs()),
        });
        Ok(Snapshot {
            epoch: note.epoch,
            held,
        })
    }

    async fn acquire(&self, take: &Take) -> Result<Done, StoreError> {
        let done = self.take(take).await?;
        // There may be no journal to tell since when it is silent.
        self.anchors.begin(&take.run, take.epoch).await;
        Ok(done)
    }

    async fn append(&self, right: &Right, first_seq: u64, lines: &[String]) -> Result<Done, StoreError> {
        let (_, note) = self.glance().await?;
        Noted::holds(&note, right)?;
        let journals = self.anchors.journals().await.unwrap_or_default();
        let text = journals.into_iter().find(|(run, _)| *run == right.run);
        let there: Vec<String> = text
            .map(|(_, text)| text.lines().map(str::to_owned).collect())
            .unwrap_or_default();
        let from = usize::try_from(first_seq).unwrap_or(usize::MAX);
        let since = there.get(from..).unwrap_or_default();
        let have = rules::append(first_seq, lines, since, there.len() as u64)?;
        if have == lines.len() {
            return Ok(Done::AlreadyDone);
        }
        let ledger = crate::journal::Ledger::default();
        for line in &lines[have..] {
            ledger.push(format!("{line}\n"));
        }
        self.anchors.append(&right.run, &ledger).await?;
        Ok(Done::Applied)
    }

    async fn heartbeat(&self, right: &Right, phase: &str) -> Result<(), StoreError> {
        let (_, note) = self.glance().await?;
        Noted::holds(&note, right)?;
        self.anchors.beat(&right.run, phase).await;
        Ok(())
    }

    async fn release(&self, right: &Right) -> Result<Done, StoreError> {
        self.write("giving the lock back", None, None, &|_, note| {
            let done = rules::release(&kept(note), right)?;
            note.run = None;
            note.owner = None;
            Ok(done)
        })
        .await
    }

    async fn journals(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.anchors
            .journals()
            .await
            .map_err(|problem| StoreError::Unreachable {
                problem,
                hint: "see that the first host of a pool can be reached: `pointsman doctor`".to_owned(),
            })
    }
}
