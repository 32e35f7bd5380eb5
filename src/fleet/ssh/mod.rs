//! The fleet as it is: servers over SSH, routers by their connector, and a prober outside.

mod check;
mod hosts;
mod migrate;
mod routers;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Armed, Did, Fleet, Job, Records, StepError};
use crate::compose::{OnHost, Project};
use crate::inventory::{Host, Inventory, Pool, Router};
use crate::journal::Pending;
use crate::observe::cold::Wanted;
use crate::observe::{self, ColdPool, Observation};
use crate::plan::Step;
use crate::remote::{Claim, Fence, Guarded, Output, Script, Session, Sessions};
use crate::report::Prober;
use crate::switch::{Connector, RouterView};

/// The servers of one environment, over SSH.
pub struct SshFleet {
    /// The environment.
    pub inventory: Arc<Inventory>,
    /// The servers.
    pub sessions: Sessions,
    /// What drives the routers; `None` where none is a machine, and another fleet stands in front of this one.
    pub connector: Option<Box<dyn Connector>>,
    /// Who watches the routers from outside; nobody, for commands that move nothing.
    pub prober: Option<Arc<Prober>>,
}

impl SshFleet {
    /// # Errors
    /// When no router is a machine.
    fn connector(&self) -> Result<&dyn Connector, StepError> {
        self.connector
            .as_deref()
            .ok_or_else(|| StepError::failed("this switch is an API, no router is reached by SSH"))
    }

    fn router(&self, router: &Router) -> Session {
        self.sessions.session(&router.server())
    }

    fn host(&self, host: &Host) -> Session {
        self.sessions.session(&host.server())
    }

    /// One guarded mutation, which the newest journal lines travel with where they are kept.
    async fn mutate(
        &self,
        job: &Job,
        session: &Session,
        name: &str,
        script: &Script,
        deadline: Duration,
    ) -> Result<Output, StepError> {
        job.go_on()?;
        let pending = self.pending(job, session);
        let work = Guarded {
            fence: &job.fence,
            step: name,
            lines: &pending.text,
            required: pending.required,
        };
        let output = session.mutate(&work, script, deadline).await?;
        job.ledger.delivered(session.name(), &pending);
        Ok(output)
    }

    /// Fences a server.
    async fn fence(
        &self,
        job: &Job,
        session: &Session,
        name: &str,
        claim: &Claim,
        deadline: Duration,
    ) -> Result<(), StepError> {
        job.go_on()?;
        let pending = self.pending(job, session);
        let work = Guarded {
            fence: &job.fence,
            step: name,
            lines: &pending.text,
            required: pending.required,
        };
        session
            .fence(&work, claim, &Script::new(":"), deadline)
            .await
            .map_err(StepError::from)?;
        job.ledger.delivered(session.name(), &pending);
        Ok(())
    }

    /// What goes to this server with the next mutation: nothing, unless it is an anchor.
    fn pending(&self, job: &Job, session: &Session) -> Pending {
        if job.inventory.is_anchor(session.name()) {
            job.ledger.pending(session.name())
        } else {
            Pending::default()
        }
    }

    /// A pool's project on one of its hosts, with the Compose that the plan found there.
    fn on_host<'a>(
        &self,
        job: &'a Job,
        project: &'a Project,
        host: &'a Host,
    ) -> Result<OnHost<'a>, StepError> {
        match job.plan.compose.get(&host.name) {
            Some(compose) => Ok(OnHost {
                project,
                compose,
                env: &host.env,
            }),
            None => Err(StepError::failed(format!(
                "{}: the plan does not say which Compose it has",
                host.name
            ))),
        }
    }
}

/// A step's name on a host: a host of both pools must not mix the two.
fn named(job: &Job, step: &str) -> String {
    format!("{step}-{}", job.to())
}

#[async_trait]
impl Fleet for SshFleet {
    async fn routers(&self) -> Observation {
        match self.connector() {
            Ok(connector) => observe::routers::observe(&self.inventory, &self.sessions, connector).await,
            Err(_) => Observation::default(),
        }
    }

    async fn cold(
        &self,
        pool: Pool,
        wanted: &Wanted,
        without: &[String],
        run: &str,
        who: &str,
    ) -> Result<ColdPool, Vec<String>> {
        let inventory = self.inventory.without(pool, without);
        observe::cold::observe_cold(&inventory, &self.sessions, pool, wanted, run, who).await
    }

    async fn leave_out(&self, job: &Job, step: &Step, router: &Router) -> Did {
        self.leave(job, step, router).await
    }

    async fn view(&self, router: &Router) -> Result<RouterView, String> {
        let connector = self.connector().map_err(|error| error.to_string())?;
        connector
            .observe(&self.router(router), router)
            .await
            .map_err(|error| error.to_string())
    }

    async fn fence_router(&self, job: &Job, step: &Step, router: &Router, expect: Option<u64>) -> Did {
        self.take(job, step, router, expect).await
    }

    async fn record(&self, job: &Job, step: &Step, router: &Router, name: &str, records: &Records) -> Did {
        self.write(job, step, router, name, records).await
    }

    async fn arm(
        &self,
        job: &Job,
        router: &Router,
        name: &str,
        to: Pool,
    ) -> Result<Box<dyn Armed>, StepError> {
        self.prepare(job, router, name, to).await
    }

    async fn wait_up(&self, job: &Job, step: &Step, router: &Router, pool: Pool, need: usize) -> Did {
        self.sees_up(job, step, router, pool, need).await
    }

    async fn heartbeat(&self, fence: &Fence, phase: &str) {
        self.beat(fence, phase).await;
    }

    async fn fence_host(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.take_host(job, step, host).await
    }

    async fn stage(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.send_release(job, step, host).await
    }

    async fn migrate(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.watch_migration(job, step, host).await
    }

    async fn start(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.start_release(job, step, host).await
    }

    async fn clean(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.remove_release(job, step, host).await
    }

    async fn check(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.prove_host(job, step, host).await
    }

    async fn prune(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.prune_releases(job, step, host).await
    }

    async fn answers(
        &self,
        _job: &Job,
        tag: &str,
        in_a_row: u32,
        within: Duration,
    ) -> Result<(), Vec<String>> {
        match &self.prober {
            Some(prober) => prober.wait_for(tag, in_a_row, within).await,
            None => Err(vec!["nobody watches the routers".to_owned()]),
        }
    }

    fn count_errors(&self) {
        if let Some(prober) = &self.prober {
            prober.count_errors();
        }
    }

    async fn bake(&self, _job: &Job, tag: &str, time: Duration) -> Result<(), Vec<String>> {
        match &self.prober {
            Some(prober) => prober.watch(tag, time).await,
            None => Ok(()),
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
