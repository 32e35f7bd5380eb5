//! A fleet whose switch is an API: hosts over SSH as ever, one router that is no machine. What a router's guard keeps
//! stands in the note beside the switch; what an armed guard does is one change that compares that note.

mod ready;
mod routers;
mod tail;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use ready::MARGIN;
use tail::Tail;

use super::ssh::SshFleet;
use super::{Armed, Did, Fleet, Job, Records, StepError};
use crate::compose::traffic::Traffic;
use crate::health::direct;
use crate::inventory::switch::Connector;
use crate::inventory::{Host, Pool, Router};
use crate::observe::cold::Wanted;
use crate::observe::{ColdPool, Observation, RouterState};
use crate::plan::{Intent, Step};
use crate::remote::Fence;
use crate::report::Kind;
use crate::state::note::Note;
use crate::state::noted::Noted;
use crate::state::{Right, StoreError};
use crate::switch::api::Seen;
use crate::switch::dns::forward::Stand;
use crate::switch::{Caches, RouterView};

/// Pause between two looks at the switch: an API is asked no more often.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest that every part of a balancer may take to do as it was told.
const SETTLE: Duration = Duration::from_secs(60);
/// A change that every server gives out within this adds nothing to what caches may hold.
const PROMPT: Duration = Duration::from_secs(1);
/// For so long nobody may come to a pool before it counts as quiet.
const QUIET: Duration = Duration::from_secs(5);

/// Hosts over SSH, and the note beside the switch.
pub struct ApiFleet {
    /// The hosts.
    pub hosts: Arc<SshFleet>,
    /// The switch, and its note.
    pub noted: Noted,
}

impl ApiFleet {
    /// What the switch does, and what the note adds to that.
    fn view_of(&self, seen: &Seen, note: &Note) -> RouterView {
        let mut view = seen.view.clone();
        if let (Some(ttl), Connector::Dns(dns, _)) = (seen.ttl, &self.hosts.inventory.switch.connector) {
            let now = Timestamp::now();
            let ahead = |until: &Timestamp| *until > now;
            view.caches = Some(Caches {
                ttl_s: ttl,
                wanted_s: dns.ttl_s(),
                until: note
                    .cached
                    .iter()
                    .filter(|(_, until)| ahead(until))
                    .map(|(pool, until)| (*pool, *until))
                    .collect(),
                long_until: note.long_until.filter(ahead),
                unasked: seen.unasked.clone(),
            });
        }
        view
    }

    async fn look(&self) -> Result<(RouterView, Note), StoreError> {
        let (seen, note) = self.noted.look().await?;
        Ok((self.view_of(&seen, &note), note))
    }

    async fn glance(&self) -> Result<RouterView, StoreError> {
        let (seen, note) = self.noted.glance().await?;
        Ok(self.view_of(&seen, &note))
    }

    fn right(job: &Job) -> Right {
        Right {
            run: job.fence.run.clone(),
            epoch: job.fence.epoch,
        }
    }

    /// Looks until it is as wanted, or the time is over; the last look. `health`: the pools' servers are asked as well.
    async fn until(
        &self,
        within: Duration,
        health: bool,
        ready: impl Fn(&RouterView) -> bool,
        mut tell: impl FnMut(&RouterView),
    ) -> Result<RouterView, StepError> {
        let deadline = Instant::now() + within;
        loop {
            let looked = match health {
                true => self.look().await.map(|(view, _)| view),
                false => self.glance().await,
            };
            let late = Instant::now() >= deadline;
            match looked {
                Ok(view) if late || ready(&view) => return Ok(view),
                Ok(view) => tell(&view),
                Err(error) if late => return Err(StepError::from(error)),
                // One look that fails is no verdict.
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn settle(&self) -> Duration {
        match &self.hosts.inventory.switch.connector {
            Connector::Dns(dns, _) => dns.settle,
            _ => SETTLE,
        }
    }
}

/// Moves an instant back to when answers of this TTL, given out up to now and for `lingers` more, have run out.
fn later(until: &mut Option<Timestamp>, ttl: u32, lingers: Duration) {
    let lingers = SignedDuration::try_from(lingers).unwrap_or_default();
    let end = Timestamp::now() + SignedDuration::from_secs(ttl.into()) + MARGIN + lingers;
    *until = Some(until.map_or(end, |known| known.max(end)));
}

/// An error of a write under this right; a note that this run has not fenced yet is told apart.
fn refused(error: StoreError) -> StepError {
    let unfenced = matches!(&error, StoreError::Fenced { seen, ours, .. } if seen < ours);
    StepError {
        unfenced,
        ..StepError::from(error)
    }
}

#[async_trait]
impl Fleet for ApiFleet {
    async fn routers(&self) -> Observation {
        let name = self
            .hosts
            .inventory
            .switch
            .routers
            .first()
            .map_or_else(String::new, |router| router.name.clone());
        let read = match self.look().await {
            Ok((view, note)) => {
                let mut state = note.state();
                if note.writes == 0 {
                    // The first run, or a note that somebody took away: the hosts know which epochs there were.
                    state.epoch = self.noted.anchors.highest_epoch().await;
                }
                self.noted.anchors.look(&mut state).await;
                Ok(RouterState { view, state })
            }
            Err(error) => Err(error.with_hint()),
        };
        Observation {
            routers: vec![(name, read)],
            ..Observation::default()
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
        self.hosts.cold(pool, wanted, without, run, who).await
    }

    async fn view(&self, _router: &Router) -> Result<RouterView, String> {
        let looked = self.look().await;
        looked.map(|(view, _)| view).map_err(|error| error.with_hint())
    }

    async fn fence_router(&self, job: &Job, _: &Step, _: &Router, expect: Option<u64>) -> Did {
        self.take(job, expect).await
    }

    async fn record(&self, job: &Job, _: &Step, _: &Router, _: &str, records: &Records) -> Did {
        self.write(job, records).await
    }

    async fn arm(&self, job: &Job, router: &Router, _: &str, to: Pool) -> Result<Box<dyn Armed>, StepError> {
        self.ready(job, router, to).await
    }

    async fn leave_out(&self, job: &Job, _: &Step, router: &Router) -> Did {
        ApiFleet::without(job, router)
    }

    async fn wait_up(&self, job: &Job, step: &Step, router: &Router, pool: Pool, need: usize) -> Did {
        self.until_up(job, step, router, pool, need).await
    }

    async fn lower_ttl(&self, job: &Job, _: &Step, router: &Router) -> Did {
        self.lower(job, router).await
    }

    async fn traffic(&self, job: &Job, host: &Host) -> Result<Option<Traffic>, String> {
        match &self.hosts.inventory.switch.connector {
            Connector::Dns(..) => self.hosts.count_traffic(job, host, QUIET).await.map(Some),
            // A balancer's own health checks would be taken for clients.
            _ => Ok(None),
        }
    }

    async fn heartbeat(&self, fence: &Fence, phase: &str) {
        self.noted.anchors.beat(&fence.run, phase).await;
    }

    async fn fence_host(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.fence_host(job, step, host).await
    }

    async fn stage(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.stage(job, step, host).await
    }

    async fn migrate(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.migrate(job, step, host).await
    }

    async fn start(&self, job: &Job, step: &Step, host: &Host) -> Did {
        if let Some(tail) = Tail::of(&self.hosts, job) {
            // What an inventory wanted that wants it no more would answer for the other pool at the first check.
            let stand = if tail.wanted() { Stand::Ready } else { Stand::Gone };
            tail.on_host(host, job.to(), stand, 0)
                .await
                .map_err(StepError::failed)?;
        }
        self.hosts.start(job, step, host).await
    }

    async fn clean(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.clean(job, step, host).await
    }

    async fn check(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.check(job, step, host).await
    }

    async fn prune(&self, job: &Job, step: &Step, host: &Host) -> Did {
        self.hosts.prune(job, step, host).await
    }

    async fn answers(
        &self,
        job: &Job,
        tag: &str,
        in_a_row: u32,
        within: Duration,
    ) -> Result<(), Vec<String>> {
        let Connector::Dns(dns, _) = &self.hosts.inventory.switch.connector else {
            return self.hosts.answers(job, tag, in_a_row, within).await;
        };
        // Where clients are led from now on must answer as the release; that caches move is a matter of time.
        let looked = self.until(within, false, |_| true, |_| {}).await;
        let view = looked.map_err(|error| vec![error.to_string()])?;
        let pool = view
            .live
            .settled()
            .ok_or_else(|| vec!["no pool gets all requests".to_owned()])?;
        let need = self.hosts.inventory.servers_needed(pool);
        direct::answers(&self.hosts.inventory, dns.records(pool), need, tag, within).await?;
        if matches!(job.plan.intent, Intent::Deploy { .. } | Intent::Resume { .. }) {
            let old = view
                .caches
                .map(|caches| caches.left_for(pool.other(), Timestamp::now()));
            let horizon = old.unwrap_or_default();
            if let Err(missing) = self.hosts.answers(job, tag, in_a_row, horizon + within).await {
                job.sink.emit(Kind::Warning {
                    message: format!(
                        "{tag} is not seen through {} though every honest cache has moved: a resolver keeps answers longer than their TTL; {} is kept running",
                        missing.join(", "),
                        pool.other()
                    ),
                });
            }
        }
        Ok(())
    }

    fn count_errors(&self) {
        self.hosts.count_errors();
    }

    async fn bake(&self, job: &Job, tag: &str, time: Duration) -> Result<(), Vec<String>> {
        self.hosts.bake(job, tag, time).await
    }

    async fn pause(&self, time: Duration) {
        self.hosts.pause(time).await;
    }
}
