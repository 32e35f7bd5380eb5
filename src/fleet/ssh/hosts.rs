//! App hosts over SSH: fence, start, clean, prune.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{SshFleet, named};
use crate::compose::prune::{Prunable, prunable, prune, pruned};
use crate::compose::releases::{parse_releases, releases};
use crate::compose::start::{adopted, start, started};
use crate::compose::stop::{stop, stopped};
use crate::compose::traffic::{Traffic, parse_traffic, traffic};
use crate::fleet::{Did, End, Job, StepError};
use crate::inventory::Host;
use crate::plan::Step;
use crate::remote::Claim;
use crate::report::StepOutcome;

/// Longest that counting may take beyond the time that is counted.
const COUNT: Duration = Duration::from_secs(10);

impl SshFleet {
    /// What reaches the plan's pool on a host within this time, by its kernel's counts.
    ///
    /// # Errors
    /// In words, when it cannot be counted.
    pub(in crate::fleet) async fn count_traffic(
        &self,
        job: &Job,
        host: &Host,
        window: Duration,
    ) -> Result<Traffic, String> {
        let script = traffic(&self.inventory.project(job.to()), window);
        let output = self.host(host).read(&script, window + COUNT).await;
        let output = output.map_err(|error| error.to_string())?;
        parse_traffic(&output).map_err(|problem| format!("{}: {problem}", host.name))
    }

    pub(super) async fn take_host(&self, job: &Job, step: &Step, host: &Host) -> Did {
        let claim = Claim {
            owner: job.owner.clone(),
            ..Claim::default()
        };
        self.fence(
            job,
            &self.host(host),
            &named(job, "fence"),
            &claim,
            step.deadline(),
        )
        .await?;
        Ok((StepOutcome::Applied, Some("fenced".to_owned())))
    }

    pub(super) async fn start_release(&self, job: &Job, step: &Step, host: &Host) -> Did {
        let release = &job.plan.release;
        let services: Vec<&str> = release
            .images
            .iter()
            .map(|image| image.service.as_str())
            .collect();
        let project = self.inventory.project(job.to());
        // What the run that is taken over has started stays up: it is this very release.
        let adopt = job.plan.taken.is_some();
        let script = start(self.on_host(job, &project, host)?, release, adopt);
        let output = self
            .mutate(
                job,
                &self.host(host),
                &named(job, "start"),
                &script,
                step.deadline(),
            )
            .await?;
        started(&output, release, &services)
            .map_err(|e| StepError::failed(format!("{}: {e}", host.name)).hint(e.hint()))?;
        let outcome = if adopted(&output) {
            StepOutcome::TakenOver
        } else {
            StepOutcome::Applied
        };
        Ok((outcome, Some(format!("{} started", release.tag))))
    }

    pub(super) async fn remove_release(&self, job: &Job, step: &Step, host: &Host) -> Did {
        let project = self.inventory.project(job.to());
        let stuck = |words: String| StepError::failed(format!("{}: {words}", host.name)).ending(End::Stuck);
        let session = self.host(host);
        let output = self
            .mutate(
                job,
                &session,
                &named(job, "clean-stop"),
                &stop(&project),
                step.deadline(),
            )
            .await?;
        stopped(&output).map_err(|error| stuck(error.to_string()))?;
        // What was made for this run goes; a release that the hosts kept before stays kept.
        if !job.plan.retained {
            let unproven = Prunable {
                releases: vec![job.plan.release.id.clone()],
                images: Vec::new(),
            };
            let script = prune(&project, &unproven);
            let output = self
                .mutate(
                    job,
                    &session,
                    &named(job, "clean-forget"),
                    &script,
                    step.deadline(),
                )
                .await?;
            pruned(&output).map_err(|error| stuck(error.to_string()))?;
        }
        Ok((StepOutcome::Applied, Some("cleaned up".to_owned())))
    }

    pub(super) async fn prune_releases(&self, job: &Job, step: &Step, host: &Host) -> Did {
        let project = self.inventory.project(job.to());
        // What a pool runs, or is recorded as proven with, always stays.
        let protected: BTreeSet<String> = std::iter::once(&job.plan.release)
            .chain(&job.plan.old)
            .map(|release| release.id.clone())
            .collect();
        let session = self.host(host);
        let failed = |words: String| StepError::failed(format!("{}: {words}", host.name));
        let kept = session.read(&releases(&project), step.deadline()).await?;
        let kept = parse_releases(&kept).map_err(|error| failed(error.to_string()))?;
        let spare = prunable(&kept, job.to(), self.inventory.app.keep_releases, &protected);
        if spare.releases.is_empty() && spare.images.is_empty() {
            return Ok((StepOutcome::AlreadyDone, None));
        }
        let script = prune(&project, &spare);
        let output = self
            .mutate(job, &session, &named(job, "prune"), &script, step.deadline())
            .await?;
        let gone = pruned(&output).map_err(|error| failed(error.to_string()))?;
        let words = format!(
            "{} releases and {} images removed",
            gone.releases.len(),
            gone.images.len()
        );
        Ok((StepOutcome::Applied, Some(words)))
    }
}
