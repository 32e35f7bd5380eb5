//! Proves each host of the cold pool: nginx and Unicorn apart, and the release's identity.

use std::time::Duration;

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::StepError;
use crate::compose::{Container, Project as ComposeProject, containers, logs};
use crate::health::{CheckError, Project, Proof, Tunnels, check_host};
use crate::plan;
use crate::remote::{RemoteError, Session};
use crate::report::StepOutcome;

pub(super) struct Check;

/// Longest that one look at a host's containers or logs may take.
const LOOK: Duration = Duration::from_secs(10);
/// Last lines of a service's log that a failure shows.
const LOG_LINES: u32 = 50;

#[async_trait]
impl super::Step for Check {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let checks = &cx.inventory.checks;
        cx.each(step, cx.target_hosts(), host_name, |host| async move {
            let session = cx.host(host);
            let proof = Proof {
                checks,
                identity: &cx.inventory.app.identity,
                tag: &cx.plan.release.tag,
                deadline: step.deadline(),
            };
            let project = OnHost {
                session: session.clone(),
                project: cx.inventory.project(cx.to()),
            };
            let progress = |words| cx.progress(step, &host.name, words);
            match check_host(&proof, &Tunnels::new(session), &project, &progress).await {
                Ok(_) => {
                    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
                    let words = format!("{} healthy, answers as {}", names.join(" and "), proof.tag);
                    Ok((StepOutcome::Applied, Some(words)))
                }
                Err(CheckError::Unhealthy(unhealthy)) => {
                    Err(StepError::failed(unhealthy.explain().trim_end()))
                }
                Err(CheckError::Remote(error)) => Err(error.into()),
            }
        })
        .await
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
