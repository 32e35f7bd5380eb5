//! Sends a release's files to a host over SSH, and pulls its images by digest.

use super::{SshFleet, named};
use crate::compose::overlay::overlay;
use crate::compose::release::sha256_hex;
use crate::compose::stage::{Bundle, stage, staged};
use crate::compose::{ComposeFile, pull};
use crate::fleet::{Did, Job, StepError};
use crate::inventory::Host;
use crate::plan::Step;
use crate::remote::Script;
use crate::report::StepOutcome;

impl SshFleet {
    pub(super) async fn send_release(&self, job: &Job, step: &Step, host: &Host) -> Did {
        let project = &self.inventory.project(job.to());
        let session = self.host(host);
        // A retained release is started from what the hosts keep of it: its own files and env.
        let files = match job.plan.retained {
            true => None,
            false => Some(self.files(job)?),
        };
        if let Some(script) = &files {
            let output = self
                .mutate(job, &session, &named(job, "stage"), script, step.deadline())
                .await?;
            staged(&output).map_err(|e| StepError::failed(format!("{}: {e}", host.name)).hint(e.hint()))?;
        }
        job.progress(step, &host.name, "pulling");
        let script = pull::pull(
            project,
            &job.plan.release.images,
            self.inventory.registry.as_ref(),
        );
        let output = self
            .mutate(job, &session, &named(job, "pull"), &script, step.deadline())
            .await?;
        let images = pull::pulled(&output)
            .map_err(|e| StepError::failed(format!("{}: {e}", host.name)).hint(e.failure.hint()))?;
        let news = images.iter().filter(|image| !image.was_present).count();
        let outcome = if files.is_none() && news == 0 {
            StepOutcome::AlreadyDone
        } else {
            StepOutcome::Applied
        };
        let words = format!("{} images by digest, {news} pulled", images.len());
        Ok((outcome, Some(words)))
    }

    /// The script that writes the release's folder. The files must be those that the release was
    /// planned with: a run may be taken over from another machine, or after an edit.
    fn files(&self, job: &Job) -> Result<Script, StepError> {
        let app = &self.inventory.app;
        let release = &job.plan.release;
        let project = self.inventory.project(job.to());
        let compose_file = read(&app.compose)?;
        let env_file = app.env_file.as_ref().map(|path| read(path)).transpose()?;
        let same = sha256_hex(&compose_file) == release.compose_sha256
            && env_file.as_deref().map(sha256_hex) == release.env_sha256;
        if !same {
            return Err(StepError::failed(format!(
                "{} or the env file here is not what release {} was planned with",
                app.compose, release.id
            ))
            .hint("take the run over from the same checkout, or abort it and deploy again"));
        }
        let file = ComposeFile::parse(&String::from_utf8_lossy(&compose_file))
            .map_err(|error| StepError::failed(format!("{}: {error}", app.compose)))?;
        let overlay = overlay(
            file.version.as_deref(),
            &file.service_names(),
            &release.images,
            &project,
            &release.id,
            &release.run,
        );
        let bundle = Bundle {
            release,
            compose_file: &compose_file,
            env_file: env_file.as_deref(),
            overlay: &overlay,
        };
        Ok(stage(&project, &bundle))
    }
}

fn read(path: &camino::Utf8Path) -> Result<Vec<u8>, StepError> {
    std::fs::read(path).map_err(|error| StepError::failed(format!("{path} cannot be read: {error}")))
}
