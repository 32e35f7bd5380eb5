//! Proves a host over SSH: nginx and Unicorn apart, and the release's identity.

use std::time::Duration;

use async_trait::async_trait;

use super::SshFleet;
use crate::compose::{Container, Project as ComposeProject, containers, logs};
use crate::fleet::{Did, Job, StepError};
use crate::health::{CheckError, Project, Proof, Tunnels, check_host};
use crate::inventory::Host;
use crate::plan::Step;
use crate::remote::{RemoteError, Session};
use crate::report::StepOutcome;

/// Longest that one look at a host's containers or logs may take.
const LOOK: Duration = Duration::from_secs(10);
/// Last lines of a service's log that a failure shows.
const LOG_LINES: u32 = 50;

impl SshFleet {
    pub(super) async fn prove_host(&self, job: &Job, step: &Step, host: &Host) -> Did {
        let checks = &self.inventory.checks;
        let session = self.host(host);
        let proof = Proof {
            checks,
            identity: &self.inventory.app.identity,
            tag: &job.plan.release.tag,
            deadline: step.deadline(),
        };
        let project = OnHost {
            session: session.clone(),
            project: self.inventory.project(job.to()),
        };
        let progress = |words| job.progress(step, &host.name, words);
        match check_host(&proof, &Tunnels::new(session), &project, &progress).await {
            Ok(_) => {
                let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
                let words = format!("{} healthy, answers as {}", names.join(" and "), proof.tag);
                Ok((StepOutcome::Applied, Some(words)))
            }
            Err(CheckError::Unhealthy(unhealthy)) => Err(StepError::failed(unhealthy.explain().trim_end())),
            Err(CheckError::Remote(error)) => Err(error.into()),
        }
    }
}

/// A Compose project on a host, looked at over SSH.
struct OnHost {
    session: Session,
    project: ComposeProject,
}

#[async_trait]
impl Project for OnHost {
    async fn containers(&self) -> Result<Vec<Container>, RemoteError> {
        let output = self
            .session
            .read(&containers::containers(&self.project), LOOK)
            .await?;
        containers::parse_containers(&output).map_err(|problem| RemoteError::Refused {
            server: self.session.name().to_owned(),
            problem: problem.to_string(),
        })
    }

    async fn logs(&self, service: &str) -> Result<Vec<String>, RemoteError> {
        let output = self
            .session
            .read(&logs::logs(&self.project, Some(service), LOG_LINES), LOOK)
            .await?;
        Ok(logs::parse_logs(&output)
            .into_iter()
            .map(|(_, line)| line.to_owned())
            .collect())
    }
}
