//! The lock and the journal on the routers, under their own guard: what needs no service.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use rand::Rng as _;

use super::{Done, Held, Right, Snapshot, Store, StoreError, Take};
use crate::observe::ServerState;
use crate::observe::{journals, state};
use crate::remote::{Claim, Fence, Guarded, Output, RemoteError, Script, Server, Session, Sessions};

/// Longest that one write may take on a router, once its lock is free: a few small files.
const WRITE: Duration = Duration::from_secs(20);
/// Longest that reading one router may take, once connected.
const READ: Duration = Duration::from_secs(10);

/// Lock and journal on the routers.
pub struct Servers {
    sessions: Sessions,
    /// The first one is where runs compare and set.
    routers: Vec<Server>,
    state_dir: String,
}

impl Servers {
    /// On these routers, in the order of the fence.
    pub fn new(sessions: Sessions, routers: Vec<Server>, state_dir: String) -> Servers {
        Servers {
            sessions,
            routers,
            state_dir,
        }
    }

    fn fence(&self, right: &Right) -> Fence {
        Fence {
            state_dir: self.state_dir.clone(),
            epoch: right.epoch,
            run: right.run.clone(),
        }
    }

    async fn read_all(&self) -> Result<Vec<ServerState>, StoreError> {
        let kept = &state::script(&self.state_dir);
        let read = self.routers.iter().map(|router| async move {
            let session = self.sessions.connect(router).await?;
            Ok::<_, RemoteError>((router.name.clone(), session.read(kept, READ).await?))
        });
        let mut states = Vec::new();
        for answer in join_all(read).await {
            let (name, kept) = answer.map_err(question)?;
            states.push(state::parse(&kept).map_err(|problem| StoreError::Refused {
                problem: format!("{name}: {problem}"),
                hint: format!("look at {} on {name}", self.state_dir),
            })?);
        }
        Ok(states)
    }

    /// One write on every router at once; all must have done it.
    async fn everywhere(
        &self,
        right: &Right,
        what: &'static str,
        script: impl Fn() -> Script,
    ) -> Result<Done, StoreError> {
        // A name of its own for each call: its recorded result must not be read as another one's.
        let step = format!("{what}-{:08x}", rand::rng().random::<u32>());
        let (fence, step) = (&self.fence(right), &step);
        let writes = self.routers.iter().map(|router| {
            let script = script();
            async move {
                let session = self.sessions.session(router);
                let output = session.mutate(&Guarded::new(fence, step), &script, WRITE).await;
                written(output.map_err(|error| lost(what, error, right))?, &session, right)
            }
        });
        let mut all = Done::AlreadyDone;
        let (mut any, mut worst) = (false, None::<StoreError>);
        for result in join_all(writes).await {
            match result {
                Ok(done) => {
                    any = true;
                    if done == Done::Applied {
                        all = done;
                    }
                }
                // A doubt about one router is a doubt about the whole.
                Err(error) if worst.as_ref().is_none_or(|worst| !worst.is_in_doubt()) => {
                    worst = Some(error);
                }
                Err(_) => {}
            }
        }
        // What one router has and another could not be told is neither done nor not done.
        if let (true, Some(StoreError::Unreachable { problem, .. })) = (any, &worst) {
            worst = Some(StoreError::InDoubt {
                at: "the routers".to_owned(),
                what,
                problem: problem.clone(),
            });
        }
        worst.map_or(Ok(all), Err)
    }

    fn script(&self, right: &Right, op: &'static str) -> Script {
        Script::new(include_str!("servers.sh"))
            .var("STATE", &self.state_dir)
            .var("RUN", &right.run)
            .var("OP", op)
    }

    /// The lock on one router; `expect` on the one where runs compare and set.
    async fn take_one(&self, router: &Server, take: &Take, expect: Option<u64>) -> Result<Done, StoreError> {
        let claim = Claim {
            expect,
            hold: true,
            owner: take.owner.clone(),
            steal: take.steal.iter().cloned().collect(),
        };
        let (session, fence) = (self.sessions.session(router), self.fence(&take.right()));
        let step = format!("acquire-{:08x}", rand::rng().random::<u32>());
        match session
            .fence(&Guarded::new(&fence, &step), &claim, &Script::new(":"), WRITE)
            .await
        {
            Ok(_) => Ok(Done::Applied),
            // The guard tells neither of these from a repetition.
            Err(RemoteError::Raced { seen, .. } | RemoteError::Fenced { seen, .. }) => {
                let kept = session
                    .read(&state::script(&self.state_dir), READ)
                    .await
                    .map_err(question)?;
                let kept = state::parse(&kept).unwrap_or_default();
                if kept.epoch == take.epoch && kept.holder.as_ref() == Some(&take.run) {
                    Ok(Done::AlreadyDone)
                } else {
                    Err(StoreError::Raced { seen })
                }
            }
            Err(error) => Err(write_error("taking the lock", error)),
        }
    }
}

#[async_trait]
impl Store for Servers {
    fn name(&self) -> &'static str {
        "servers"
    }

    async fn read(&self) -> Result<Snapshot, StoreError> {
        let states = self.read_all().await?;
        let epoch = states.iter().map(|state| state.epoch).max().unwrap_or_default();
        let held = states.into_iter().find_map(|state| {
            Some(Held {
                run: state.holder?,
                epoch: state.epoch,
                owner: state
                    .owner
                    .and_then(|owner| serde_json::to_string(&owner).ok())
                    .unwrap_or_default(),
                phase: state.phase.unwrap_or_default(),
                heartbeat_age: Duration::from_secs(state.owner_age_s.unwrap_or_default().unsigned_abs()),
            })
        });
        Ok(Snapshot { epoch, held })
    }

    async fn acquire(&self, take: &Take) -> Result<Done, StoreError> {
        let Some((first, others)) = self.routers.split_first() else {
            return Err(StoreError::Refused {
                problem: "the environment has no router".to_owned(),
                hint: "name one in `switch.routers`".to_owned(),
            });
        };
        let done = self.take_one(first, take, Some(take.expect_epoch)).await?;
        let taken = join_all(others.iter().map(|router| self.take_one(router, take, None))).await;
        taken.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(done)
    }

    async fn append(&self, right: &Right, first_seq: u64, lines: &[String]) -> Result<Done, StoreError> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.everywhere(right, "append", || {
            self.script(right, "append")
                .var("FIRST", first_seq.to_string())
                .var("PHASE", "")
                .file("pm_lines", text.as_bytes())
        })
        .await
    }

    async fn heartbeat(&self, right: &Right, phase: &str) -> Result<(), StoreError> {
        self.everywhere(right, "heartbeat", || {
            self.script(right, "heartbeat")
                .var("FIRST", "0")
                .var("PHASE", phase)
                .file("pm_lines", "")
        })
        .await
        .map(drop)
    }

    async fn release(&self, right: &Right) -> Result<Done, StoreError> {
        self.everywhere(right, "release", || {
            self.script(right, "release")
                .var("FIRST", "0")
                .var("PHASE", "")
                .file("pm_lines", "")
        })
        .await
    }

    async fn journals(&self) -> Result<Vec<(String, String)>, StoreError> {
        let script = Script::new(include_str!("../observe/journals.sh")).var("STATE", &self.state_dir);
        let script = &script;
        let read = self.routers.iter().map(|router| async move {
            let session = self.sessions.connect(router).await?;
            session.read(script, READ).await
        });
        let mut copies = Vec::new();
        for output in join_all(read).await {
            let output = output.map_err(question)?;
            let whole = journals::whole(&output).ok_or_else(|| StoreError::Unreachable {
                problem: format!("the journals could not be read: {}", output.complaint()),
                hint: "try again in a moment".to_owned(),
            })?;
            copies.extend(whole);
        }
        Ok(journals::fullest(copies))
    }
}

/// What `servers.sh` says.
fn written(output: Output, session: &Session, right: &Right) -> Result<Done, StoreError> {
    let said = output.stdout.trim();
    match said.split_once(' ').unwrap_or((said, "")) {
        ("applied", _) if output.ok() => Ok(Done::Applied),
        ("already", _) if output.ok() => Ok(Done::AlreadyDone),
        ("fenced", holder) => Err(StoreError::Fenced {
            seen: right.epoch,
            ours: right.epoch,
            holder: Some(holder.to_owned()).filter(|holder| !holder.is_empty()),
        }),
        _ => Err(StoreError::Refused {
            problem: format!("{}: {}", session.name(), output.complaint()),
            hint: "free space there, or see who else writes in pointsman's folder".to_owned(),
        }),
    }
}

/// Of a write under this right: the guard says who has the lock now.
fn lost(what: &'static str, error: RemoteError, right: &Right) -> StoreError {
    match error {
        RemoteError::LockLost { holder, .. } => StoreError::Fenced {
            seen: right.epoch,
            ours: right.epoch,
            holder: Some(holder).filter(|holder| !holder.is_empty()),
        },
        error => write_error(what, error),
    }
}

/// Of a question: nothing was changed.
fn question(error: RemoteError) -> StoreError {
    match write_error("a question", error) {
        StoreError::InDoubt { at, problem, .. } => StoreError::Unreachable {
            problem: format!("{at}: {problem}"),
            hint: "see that it can be reached: `pointsman doctor`".to_owned(),
        },
        other => other,
    }
}

fn write_error(what: &'static str, error: RemoteError) -> StoreError {
    let words = error.to_string();
    match error {
        RemoteError::Connect { hint, .. } => StoreError::Unreachable { problem: words, hint },
        RemoteError::InDoubt { server, deadline, .. } => StoreError::InDoubt {
            at: server,
            what,
            problem: format!("none within {deadline:?}"),
        },
        RemoteError::Unrecorded { server, .. } => StoreError::InDoubt {
            at: server,
            what,
            problem: "how it ended could not be written there".to_owned(),
        },
        RemoteError::Fenced { seen, ours, .. } => StoreError::Fenced {
            seen,
            ours,
            holder: None,
        },
        // Of a write that has no right to lose: see `lost`.
        RemoteError::LockLost { holder, .. } => StoreError::Locked {
            holder,
            owner: String::new(),
        },
        RemoteError::Locked { holder, owner, .. } => StoreError::Locked { holder, owner },
        RemoteError::Raced { seen, .. } => StoreError::Raced { seen },
        RemoteError::Unfenced { .. }
        | RemoteError::Busy { .. }
        | RemoteError::Refused { .. }
        | RemoteError::Script(_) => StoreError::Refused {
            problem: words,
            hint: "see what `pointsman doctor` says of that server".to_owned(),
        },
    }
}
