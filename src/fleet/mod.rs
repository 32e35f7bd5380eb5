//! What steps ask of servers, routers and the outside view, as one contract: carried out over SSH
//! ([`ssh::SshFleet`]), or by a simulated fleet that breaks in every way (`simulate`).

pub mod api;
mod error;
mod job;
mod records;
pub mod ssh;
pub mod stored;

use std::time::Duration;

use async_trait::async_trait;

pub use error::{End, StepError};
pub use job::{Job, Stop};
pub use records::Records;

use crate::compose::traffic::Traffic;
use crate::inventory::{Host, Pool, Router};
use crate::observe::cold::Wanted;
use crate::observe::{ColdPool, Observation};
use crate::plan::Step;
use crate::remote::Fence;
use crate::report::StepOutcome;
use crate::switch::RouterView;

/// What was done on one server, with a word for people; or why not.
pub type Did = Result<(StepOutcome, Option<String>), StepError>;

/// The servers of one environment. Whatever changes a server goes through its guard, under the
/// job's fence; an error that is not in doubt means that nothing was changed, now or later.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Reads every router, and what pointsman keeps there.
    async fn routers(&self) -> Observation;

    /// Looks at the hosts of a pool that is about to be changed, but for those that are left out, and chooses the
    /// release.
    ///
    /// # Errors
    /// Every problem, a line each; nothing was changed.
    async fn cold(
        &self,
        pool: Pool,
        wanted: &Wanted,
        without: &[String],
        run: &str,
        who: &str,
    ) -> Result<ColdPool, Vec<String>>;

    /// What a router does with traffic now.
    ///
    /// # Errors
    /// In words, when it cannot be read: it is in doubt then.
    async fn view(&self, router: &Router) -> Result<RouterView, String>;

    /// Takes a router's lock and epoch; by compare-and-set where `expect` says what was seen.
    async fn fence_router(&self, job: &Job, step: &Step, router: &Router, expect: Option<u64>) -> Did;

    /// Writes records on a router.
    async fn record(&self, job: &Job, step: &Step, router: &Router, name: &str, records: &Records) -> Did;

    /// Prepares a router to send everything to a pool, up to the last word. Nothing moves.
    ///
    /// # Errors
    /// When it could not move; nothing was changed.
    async fn arm(
        &self,
        job: &Job,
        router: &Router,
        name: &str,
        to: Pool,
    ) -> Result<Box<dyn Armed>, StepError>;

    /// Leaves the plan's `without` out of a router, puts the pool's other hosts in again, and waits until the router
    /// sees none of those that are out as up.
    async fn leave_out(&self, job: &Job, step: &Step, router: &Router) -> Did;

    /// Waits until a router sees at least `need` servers of a pool up.
    async fn wait_up(&self, job: &Job, step: &Step, router: &Router, pool: Pool, need: usize) -> Did;

    /// Lowers how long answers of a switch are cached to what the inventory wants; nothing where none are.
    async fn lower_ttl(&self, _job: &Job, _step: &Step, _router: &Router) -> Did {
        Ok((StepOutcome::AlreadyDone, None))
    }

    /// What reaches the plan's pool on a host, by its own counts, for switches that do not count what is in progress;
    /// `None` where they do.
    ///
    /// # Errors
    /// In words, when it cannot be counted.
    async fn traffic(&self, _job: &Job, _host: &Host) -> Result<Option<Traffic>, String> {
        Ok(None)
    }

    /// Says on every router that the run is alive, and in which phase. Never waits for a lock.
    async fn heartbeat(&self, fence: &Fence, phase: &str);

    /// Fences a host: what older runs have under way there is refused from here on.
    async fn fence_host(&self, job: &Job, step: &Step, host: &Host) -> Did;

    /// Sends the release's files to a host and pulls its images.
    async fn stage(&self, job: &Job, step: &Step, host: &Host) -> Did;

    /// Runs the migration once, from a host; takes over the one that an earlier run has started.
    async fn migrate(&self, job: &Job, step: &Step, host: &Host) -> Did;

    /// Starts the release's containers on a host.
    async fn start(&self, job: &Job, step: &Step, host: &Host) -> Did;

    /// Removes what runs in the pool on a host, and the release's files unless they are retained.
    async fn clean(&self, job: &Job, step: &Step, host: &Host) -> Did;

    /// Proves a host: its checks, and that it answers as the release.
    async fn check(&self, job: &Job, step: &Step, host: &Host) -> Did;

    /// Removes old releases of the pool from a host.
    async fn prune(&self, job: &Job, step: &Step, host: &Host) -> Did;

    /// Waits until every router has answered as `tag` so many times in a row, seen from outside.
    ///
    /// # Errors
    /// The routers through which that was not seen in time.
    async fn answers(&self, job: &Job, tag: &str, in_a_row: u32, within: Duration)
    -> Result<(), Vec<String>>;

    /// Errors that are seen from here on count in [`Fleet::bake`]; if they rise before, they end [`Fleet::answers`].
    fn count_errors(&self);

    /// Goes on watching what the routers answer, seen from outside.
    ///
    /// # Errors
    /// The errors that rose, in words, as soon as they did.
    async fn bake(&self, job: &Job, tag: &str, time: Duration) -> Result<(), Vec<String>>;

    /// Lets time pass between two looks at something that cannot tell.
    async fn pause(&self, time: Duration);
}

/// A router that holds its lock and waits for the word. Dropped without it, it changes nothing.
#[async_trait]
pub trait Armed: Send {
    /// Moves the router, and says what was read back from it.
    ///
    /// # Errors
    /// In doubt when no answer came; else nothing was changed.
    async fn commit(self: Box<Self>) -> Result<RouterView, StepError>;
}
