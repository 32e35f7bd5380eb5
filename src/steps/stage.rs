//! Sends the release's files to each host and pulls its images, by digest.

use async_trait::async_trait;

use super::context::{Context, host_name};
use super::error::StepError;
use crate::compose::overlay::overlay;
use crate::compose::stage::{Bundle, stage, staged};
use crate::compose::{ComposeFile, pull};
use crate::plan;
use crate::report::StepOutcome;

pub(super) struct Stage;

#[async_trait]
impl super::Step for Stage {
    async fn apply(&self, cx: &Context, step: &plan::Step) -> Result<StepOutcome, StepError> {
        let app = &cx.inventory.app;
        let release = &cx.plan.release;
        let project = &cx.inventory.project(cx.to());
        let registry = cx.inventory.registry.as_ref();
        let pull_script = &pull::pull(project, &release.images, registry);
        // A retained release is started from what the hosts keep of it: its own files and env.
        let stage_script = &match cx.plan.retained {
            true => None,
            false => {
                let compose_file = read(&app.compose)?;
                let env_file = app.env_file.as_ref().map(|path| read(path)).transpose()?;
                let file = ComposeFile::parse(&String::from_utf8_lossy(&compose_file))
                    .map_err(|error| StepError::failed(format!("{}: {error}", app.compose)))?;
                let services = file.service_names();
                let version = file.version.as_deref();
                let overlay = overlay(
                    version,
                    &services,
                    &release.images,
                    project,
                    &release.id,
                    &release.run,
                );
                let bundle = Bundle {
                    release,
                    compose_file: &compose_file,
                    env_file: env_file.as_deref(),
                    overlay: &overlay,
                };
                Some(stage(project, &bundle))
            }
        };
        cx.each(step, cx.target_hosts(), host_name, |host| async move {
            let session = cx.host(host);
            if let Some(script) = stage_script {
                let output = session
                    .mutate(&cx.fence, &name(cx, "stage"), script, step.deadline())
                    .await?;
                staged(&output)
                    .map_err(|e| StepError::failed(format!("{}: {e}", host.name)).hint(e.hint()))?;
            }
            cx.progress(step, &host.name, "pulling");
            let output = session
                .mutate(&cx.fence, &name(cx, "pull"), pull_script, step.deadline())
                .await?;
            let images = pull::pulled(&output)
                .map_err(|e| StepError::failed(format!("{}: {e}", host.name)).hint(e.failure.hint()))?;
            let news = images.iter().filter(|image| !image.was_present).count();
            let nothing_new = stage_script.is_none() && news == 0;
            let outcome = if nothing_new {
                StepOutcome::AlreadyDone
            } else {
                StepOutcome::Applied
            };
            Ok((
                outcome,
                Some(format!("{} images by digest, {news} pulled", images.len())),
            ))
        })
        .await
    }

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
