//! Sends the release's files to each host and pulls its images, by digest.

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::StepError;
use crate::compose::{ComposeFile, Deployment, pull};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Stage;

#[async_trait]
impl super::Step for Stage {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let app = &cx.inventory.app;
        let release = &cx.plan.release;
        let compose = read(&app.compose)?;
        let env = app
            .env_file
            .as_ref()
            .map_or_else(|| Ok(Vec::new()), |path| read(path))?;
        let file = ComposeFile::parse(&String::from_utf8_lossy(&compose))
            .map_err(|problem| StepError::failed(format!("{}: {problem}", app.compose)))?;
        let registry = cx.inventory.registry.as_ref();
        let pull_script = &pull::pull(release, registry);
        let (file, compose, env) = (&file, &compose, &env);
        cx.each(step, cx.target_hosts(), host_name, |host| async move {
            let session = cx.host(host);
            let deployment = Deployment {
                inventory: &cx.inventory,
                host,
                pool: cx.to(),
                release,
            };
            // A retained release is started from what the host keeps of it: its own files and env.
            let script = deployment.stage(file, compose, env);
            let staged = session
                .mutate(&cx.fence, &name(cx, "stage"), &script, step.deadline())
                .await?;
            if !staged.ok() {
                return Err(StepError::failed(format!(
                    "{}: {}",
                    host.name,
                    staged.complaint()
                )));
            }
            cx.progress(step, &host.name, "pulling");
            let pulled = session
                .mutate(&cx.fence, &name(cx, "pull"), pull_script, step.deadline())
                .await?;
            if !pulled.ok() {
                return Err(StepError::failed(format!(
                    "{}: {}",
                    host.name,
                    pull::explain(&pulled, registry)
                )));
            }
            let news = pulled
                .stdout
                .lines()
                .filter(|line| line.starts_with("pulled "))
                .count();
            let already = staged.stdout.trim() == "already" && news == 0;
            let outcome = if already {
                StepOutcome::AlreadyDone
            } else {
                StepOutcome::Applied
            };
            let images = release.images.len();
            Ok((outcome, Some(format!("{images} images by digest, {news} pulled"))))
        })
        .await
    }

    /// `start` undoes both: it runs whether or not containers were started.
    async fn undo(&self, cx: &Context, step: &plan::Step) -> Result<(), StepError> {
        super::start::clean_up(cx, step).await
    }
}

/// A step's name on a host: a host of both pools must not mix the two.
pub(super) fn name(cx: &Context, step: &str) -> String {
    format!("{step}-{}", cx.to())
}

fn read(path: &camino::Utf8Path) -> Result<Vec<u8>, StepError> {
    std::fs::read(path).map_err(|error| StepError::failed(format!("{path} cannot be read: {error}")))
}
