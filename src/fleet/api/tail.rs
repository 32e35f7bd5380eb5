//! The hosts' part in a flip by DNS: the pool that is left hands requests on to the other one.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::fleet::Job;
use crate::fleet::ssh::SshFleet;
use crate::inventory::dns::Dns;
use crate::inventory::switch::Connector;
use crate::inventory::{Host, Pool};
use crate::remote::{Claim, Fence, Guarded, Script};
use crate::report::Sink;
use crate::switch::dns::forward::{self, Stand};

/// Longest that a host may take to look at one file.
const HAND_ON: Duration = Duration::from_secs(5);

/// The hosts' part in a flip: the pool that is left hands requests on to the other one.
pub(super) struct Tail {
    hosts: Arc<SshFleet>,
    dns: Dns,
    fence: Fence,
    owner: String,
    sink: Sink,
}

impl Tail {
    /// Where the switch is a name.
    pub(super) fn of(hosts: &Arc<SshFleet>, job: &Job) -> Option<Tail> {
        match &hosts.inventory.switch.connector {
            Connector::Dns(dns, _) => Some(Tail {
                hosts: hosts.clone(),
                dns: dns.clone(),
                fence: job.fence.clone(),
                owner: job.owner.clone(),
                sink: job.sink.clone(),
            }),
            _ => None,
        }
    }

    /// Whether the inventory wants requests handed on.
    pub(super) fn wanted(&self) -> bool {
        self.dns.tail_forward
    }

    /// One host of a pool, fenced first: a late word of an older run must not turn a pool that serves away. `number` is of
    /// the note that it follows from: a late word of this very run must not either.
    pub(super) async fn on_host(
        &self,
        host: &Host,
        pool: Pool,
        stand: Stand,
        number: u64,
    ) -> Result<(), String> {
        let session = self.hosts.sessions.session(&host.server());
        let claim = Claim {
            owner: self.owner.clone(),
            ..Claim::default()
        };
        let (fence, name) = (&self.fence, format!("forward-{pool}"));
        let fenced = session
            .fence(
                &Guarded::new(fence, &format!("{name}-fence")),
                &claim,
                &Script::new(":"),
                HAND_ON,
            )
            .await;
        fenced.map_err(|error| error.to_string())?;
        let script = forward::script(
            &self.hosts.inventory,
            &self.dns,
            pool,
            stand,
            (fence.epoch, number),
        );
        let output = session
            .mutate(&Guarded::new(fence, &name), &script, HAND_ON)
            .await;
        let output = output.map_err(|error| error.to_string())?;
        if output.ok() {
            Ok(())
        } else {
            Err(format!("{}: {}", host.name, output.complaint()))
        }
    }

    /// All hosts of a pool; what could not be done.
    pub(super) async fn stand(&self, pool: Pool, stand: Stand, number: u64) -> Vec<String> {
        let hosts = self.hosts.inventory.hosts(pool);
        let all = join_all(hosts.iter().map(|host| self.on_host(host, pool, stand, number))).await;
        all.into_iter().filter_map(Result::err).collect()
    }

    /// The pool that the name has left. A dead host there has nobody to hand on, and holds nobody up.
    pub(super) async fn left(&self, pool: Pool, number: u64) {
        let problems = match tokio::time::timeout(HAND_ON, self.stand(pool, Stand::On, number)).await {
            Ok(problems) => problems,
            Err(_) => vec![format!("not done within {HAND_ON:?}")],
        };
        if !problems.is_empty() {
            self.sink.warn(format!(
                "{pool} does not hand on the requests that caches still lead to it: {}",
                problems.join("; ")
            ));
        }
    }
}
