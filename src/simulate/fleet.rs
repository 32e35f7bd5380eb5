//! The simulated fleet of one run: its servers as the steps see them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::Rng as _;

use super::wire::Ready;
use super::world::{Change, Message, World, release};
use crate::compose::Compose;
use crate::compose::variant::Call;
use crate::fleet::{Armed, Did, Fleet, Job, Records, StepError};
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

impl SimFleet {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn view_of(world: &World, router: &Router) -> RouterView {
        let server = &world.servers[&router.name];
        let route = Route::all(server.route.unwrap_or(Pool::Green));
        let backends = Pool::ALL.map(|pool| {
            let servers = world.inventory.hosts(pool).iter().map(|host| {
                let out = server
                    .left_out
                    .get(&pool)
                    .is_some_and(|out| out.contains(&host.name));
                let up = !out && world.servers[&host.name].runs.contains_key(&pool);
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
            left_out: server.left_out.clone(),
            caches: None,
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

    async fn cold(
        &self,
        pool: Pool,
        wanted: &Wanted,
        without: &[String],
        run: &str,
        _: &str,
    ) -> Result<ColdPool, Vec<String>> {
        self.travel().await;
        let compose = Compose {
            call: Call::Plugin,
            version: "2.26.1".to_owned(),
        };
        let world = self.world();
        let inventory = world.inventory.without(pool, without);
        if let Some(away) = inventory
            .hosts(pool)
            .iter()
            .find(|host| world.away.as_ref() == Some(&host.name))
        {
            return Err(vec![format!("{} cannot be reached", away.name)]);
        }
        let hosts = inventory.hosts(pool).iter().map(|host| {
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

    async fn leave_out(&self, job: &Job, _: &Step, router: &Router) -> Did {
        let change = Change::LeaveOut(job.to(), job.plan.without.clone());
        self.mutate(job, &router.name, change).await
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
            let out = world.servers[&router.name]
                .left_out
                .get(&pool)
                .cloned()
                .unwrap_or_default();
            let inventory = world.inventory.without(pool, &out);
            let all = inventory.hosts(pool).iter().all(|host| {
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
