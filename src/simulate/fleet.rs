//! The simulated fleet of one run: every question and every mutation is a message that may be lost on its way there or
//! back, come late, or come twice.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use async_trait::async_trait;
use rand::Rng as _;

use super::world::{Change, Message, Protection, Said, World, release};
use crate::compose::Compose;
use crate::compose::variant::Call;
use crate::fleet::{Armed, Did, End, Fleet, Job, Records, StepError};
use crate::inventory::{Host, Pool, Router};
use crate::observe::cold::{ColdHost, Wanted};
use crate::observe::{ColdPool, Observation, RouterState, ServerState, state::PoolClaim};
use crate::plan::Step;
use crate::remote::Fence;
use crate::report::StepOutcome;
use crate::switch::{BackendServer, Route, RouterView};

/// The world as one run reaches it.
#[derive(Clone)]
pub(super) struct SimFleet(pub(super) Arc<Mutex<World>>);

/// Gives the others a turn, so many times.
struct Turns(u32);

impl Future for Turns {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
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
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Some turns pass on the way.
    async fn travel(&self) {
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
                _ => Answer::Said(world.arrive(&message)),
            }
        };
        self.travel().await;
        answer
    }

    /// What was sent and not answered is in doubt; unless that protection is out, and silence is taken for a no.
    fn unanswered(&self, error: &StepError) -> StepError {
        StepError {
            in_doubt: self.world().without != Some(Protection::UndoInDoubt),
            ..error.clone()
        }
    }

    /// One guarded mutation.
    async fn mutate(&self, job: &Job, server: &str, change: Change) -> Did {
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

    fn view_of(world: &World, router: &Router) -> RouterView {
        let server = &world.servers[&router.name];
        let route = Route::all(server.route.unwrap_or(Pool::Green));
        let backends = Pool::ALL.map(|pool| {
            let servers = world.inventory.hosts(pool).iter().map(|host| {
                let up = world.servers[&host.name].runs.contains_key(&pool);
                BackendServer {
                    name: host.name.clone(),
                    status: if up { "UP" } else { "DOWN" }.to_owned(),
                    up,
                    active: true,
                    sessions: 0,
                    queued: 0,
                }
            });
            (pool, servers.collect())
        });
        RouterView {
            live: route,
            persisted: Some(route),
            workers: Vec::new(),
            problems: Vec::new(),
            backends: backends.into(),
        }
    }

    fn state_of(world: &World, router: &Router) -> ServerState {
        let server = &world.servers[&router.name];
        let claim = |(pool, run): (&Pool, &String)| (*pool, PoolClaim { run: run.clone() });
        ServerState {
            epoch: server.epoch,
            holder: server.holder.clone(),
            owner: serde_json::from_str(&server.owner).ok(),
            journal: server
                .holder
                .as_ref()
                .and_then(|run| server.journals.get(run))
                .cloned(),
            claims: server.claims.iter().map(claim).collect(),
            proven: server.proven.clone(),
            ..ServerState::default()
        }
    }
}

#[async_trait]
impl Fleet for SimFleet {
    async fn routers(&self) -> Observation {
        self.travel().await;
        let mut world = self.world();
        let routers = world.inventory.switch.routers.clone();
        let read = routers.iter().map(|router| {
            let lost = world.rough && world.chance(60);
            let state = RouterState {
                view: Self::view_of(&world, router),
                state: Self::state_of(&world, router),
            };
            (
                router.name.clone(),
                if lost {
                    Err("no answer".to_owned())
                } else {
                    Ok(state)
                },
            )
        });
        let routers = read.collect();
        Observation {
            routers,
            ..Observation::default()
        }
    }

    async fn cold(&self, pool: Pool, wanted: &Wanted, run: &str, _: &str) -> Result<ColdPool, Vec<String>> {
        self.travel().await;
        let compose = Compose {
            call: Call::Plugin,
            version: "2.26.1".to_owned(),
        };
        let world = self.world();
        let hosts = world.inventory.hosts(pool).iter().map(|host| {
            let cold = ColdHost {
                compose: Some(compose.clone()),
                docker_free: u64::MAX,
                ..ColdHost::default()
            };
            (host.name.clone(), Ok(cold))
        });
        Ok(ColdPool {
            pool,
            hosts: hosts.collect(),
            release: match wanted {
                Wanted::Tag(tag) | Wanted::RetainedOrTag(tag) => Some(release(tag, pool, run)),
                Wanted::LastRetained => None,
            },
            retained: false,
        })
    }

    async fn view(&self, router: &Router) -> Result<RouterView, String> {
        self.travel().await;
        let mut world = self.world();
        if world.rough && world.chance(60) {
            return Err("no answer".to_owned());
        }
        Ok(Self::view_of(&world, router))
    }

    async fn fence_router(&self, job: &Job, _: &Step, router: &Router, expect: Option<u64>) -> Did {
        let change = Change::Fence {
            expect,
            hold: true,
            owner: job.owner.clone(),
            steal: job.plan.steal.clone(),
        };
        self.mutate(job, &router.name, change).await
    }

    async fn record(&self, job: &Job, _: &Step, router: &Router, _: &str, records: &Records) -> Did {
        self.mutate(job, &router.name, Change::Record(records.clone()))
            .await
    }

    async fn arm(&self, job: &Job, router: &Router, _: &str, to: Pool) -> Result<Box<dyn Armed>, StepError> {
        let token = self.world().rng.random();
        self.mutate(job, &router.name, Change::Arm(token))
            .await
            .map_err(|error| StepError {
                // Nothing has moved before the word.
                in_doubt: false,
                ..error
            })?;
        Ok(Box::new(Ready {
            fleet: self.clone(),
            router: router.clone(),
            message: Message {
                server: router.name.clone(),
                run: job.fence.run.clone(),
                epoch: job.fence.epoch,
                lines: String::new(),
                change: Change::Route(to, token),
            },
            to,
        }))
    }

    async fn wait_up(&self, _: &Job, _: &Step, router: &Router, pool: Pool, need: usize) -> Did {
        self.travel().await;
        let up = Self::view_of(&self.world(), router).up(pool);
        if up >= need {
            Ok((StepOutcome::Applied, None))
        } else {
            Err(StepError::failed(format!("{}: sees {up} of {need}", router.name)))
        }
    }

    async fn heartbeat(&self, _: &Fence, _: &str) {}

    async fn fence_host(&self, job: &Job, _: &Step, host: &Host) -> Did {
        let change = Change::Fence {
            expect: None,
            hold: false,
            owner: String::new(),
            steal: Vec::new(),
        };
        self.mutate(job, &host.name, change).await
    }

    async fn stage(&self, job: &Job, _: &Step, host: &Host) -> Did {
        self.mutate(job, &host.name, Change::Stage(job.plan.release.id.clone()))
            .await
    }

    async fn migrate(&self, job: &Job, _: &Step, host: &Host) -> Did {
        self.mutate(job, &host.name, Change::Nothing).await
    }

    async fn start(&self, job: &Job, _: &Step, host: &Host) -> Did {
        // What was there goes first, as it does on a host.
        self.mutate(job, &host.name, Change::Stop(job.to())).await?;
        self.mutate(
            job,
            &host.name,
            Change::Start(job.to(), job.plan.release.id.clone()),
        )
        .await
    }

    async fn clean(&self, job: &Job, _: &Step, host: &Host) -> Did {
        self.mutate(job, &host.name, Change::Stop(job.to())).await
    }

    async fn check(&self, job: &Job, _: &Step, host: &Host) -> Did {
        self.travel().await;
        let mut world = self.world();
        let sick = world.rough && world.chance(12);
        let found = world.servers[&host.name].runs.get(&job.to());
        if !sick && found == Some(&job.plan.release.id) {
            Ok((StepOutcome::Applied, None))
        } else {
            Err(StepError::failed(format!(
                "{}: runs {found:?}, sick: {sick}",
                host.name
            )))
        }
    }

    async fn prune(&self, job: &Job, _: &Step, host: &Host) -> Did {
        self.mutate(job, &host.name, Change::Nothing).await
    }

    async fn answers(&self, job: &Job, tag: &str, _: u32, _: Duration) -> Result<(), Vec<String>> {
        self.travel().await;
        let mut world = self.world();
        let mut missing = Vec::new();
        for router in job.routers() {
            let pool = world.servers[&router.name].route.unwrap_or(Pool::Green);
            let hosts = world.inventory.hosts(pool);
            let all = hosts.iter().all(|host| {
                let release = world.servers[&host.name].runs.get(&pool);
                release.is_some_and(|id| id.starts_with(&format!("{tag}-")))
            });
            if !all {
                missing.push(router.name.clone());
            }
        }
        // A release may break under real traffic.
        if world.rough && world.chance(15) {
            missing.push("all".to_owned());
        }
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    fn count_errors(&self) {}

    async fn bake(&self, _: &Job, _: &str, _: Duration) -> Result<(), Vec<String>> {
        Ok(())
    }

    async fn pause(&self, _: Duration) {
        self.travel().await;
    }
}

/// A simulated router that waits for the word.
struct Ready {
    fleet: SimFleet,
    router: Router,
    message: Message,
    to: Pool,
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
