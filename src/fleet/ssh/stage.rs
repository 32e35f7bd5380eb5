//! Sends a release's files to a host over SSH, and pulls its images by digest.

use std::time::Duration;

use super::{SshFleet, named};
use crate::compose::overlay::overlay;
use crate::compose::pull::{PullFailure, Pulled};
use crate::compose::release::sha256_hex;
use crate::compose::stage::{Bundle, stage, staged};
use crate::compose::{ComposeFile, pull};
use crate::fleet::{Did, Job, StepError};
use crate::inventory::Host;
use crate::plan::Step;
use crate::remote::Script;
use crate::report::StepOutcome;

/// Pulls in all where a registry is away, busy or stalls; docker itself tries each layer five times. With the pauses
/// some 20 s: a registry that is restarted is back by then.
const PULL_TRIES: u32 = 4;
/// Pause after the first of them; doubles, with jitter, so that a pool's hosts do not come back in step.
const PULL_PAUSE: Duration = Duration::from_secs(3);
/// The longest pause.
const PULL_PAUSE_MAX: Duration = Duration::from_secs(60);
/// The same for a registry that asks to wait: docker does not tell for how long, and limits count by the minute.
const THROTTLED_PAUSE: Duration = Duration::from_secs(20);

impl SshFleet {
    pub(super) async fn send_release(&self, job: &Job, step: &Step, host: &Host) -> Did {
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
        let images = self.pull_release(job, step, host).await?;
        let news = images.iter().filter(|image| !image.was_present).count();
        let outcome = if files.is_none() && news == 0 {
            StepOutcome::AlreadyDone
        } else {
            StepOutcome::Applied
        };
        let words = format!("{} images by digest, {news} pulled", images.len());
        Ok((outcome, Some(words)))
    }

    /// Pulls, and tries again where waiting may help: layers that are there already stay there.
    async fn pull_release(&self, job: &Job, step: &Step, host: &Host) -> Result<Vec<Pulled>, StepError> {
        let app = &self.inventory.app;
        let script = pull::pull(
            &self.inventory.project(job.to()),
            &job.plan.release.images,
            self.inventory.registry.as_ref(),
            app.pull_stall,
        );
        let mut tries = 1;
        loop {
            // Each try has a record of its own: what is read back after a lost answer is that try's.
            let name = match tries {
                1 => "pull".to_owned(),
                again => format!("pull-{again}"),
            };
            let output = self
                .mutate(
                    job,
                    &self.host(host),
                    &named(job, &name),
                    &script,
                    step.deadline(),
                )
                .await?;
            let error = match pull::pulled(&output) {
                Ok(images) => return Ok(images),
                Err(error) => error,
            };
            if tries >= PULL_TRIES || !error.failure.is_transient() {
                let often = match tries {
                    1 => String::new(),
                    tries => format!(" (tried {tries} times)"),
                };
                return Err(
                    StepError::failed(format!("{}: {error}{often}", host.name)).hint(error.failure.hint())
                );
            }
            job.progress(
                step,
                &host.name,
                format!("pulls again, because {}", error.failure),
            );
            let pause = match error.failure {
                PullFailure::Throttled => THROTTLED_PAUSE,
                _ => PULL_PAUSE,
            };
            let pause = (pause * (1 << (tries - 1))).min(PULL_PAUSE_MAX);
            let mut stop = job.stop.clone();
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.75..1.25))) => {}
                Ok(_) = stop.wait_for(|stop| *stop) => {}
            }
            tries += 1;
        }
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
