//! A release on one host: the scripts that stage, start, stop, migrate and prune it.

use super::file::{ComposeFile, overlay};
use super::release::Release;
use crate::inventory::{Host, Inventory, Migrate, Pool};
use crate::remote::Script;

const STAGE: &str = include_str!("stage.sh");
const START: &str = concat!(include_str!("find.sh"), include_str!("start.sh"));
const MIGRATE: &str = concat!(include_str!("find.sh"), include_str!("migrate.sh"));
const STOP: &str = include_str!("stop.sh");
const PRUNE: &str = include_str!("prune.sh");
const INSPECT: &str = concat!(include_str!("find.sh"), include_str!("inspect.sh"));

/// A release on one host.
#[derive(Debug, Clone, Copy)]
pub struct Deployment<'a> {
    /// The environment.
    pub inventory: &'a Inventory,
    /// The host.
    pub host: &'a Host,
    /// The pool that the host is in, for this release.
    pub pool: Pool,
    /// The release.
    pub release: &'a Release,
}

impl Deployment<'_> {
    /// The environment that Compose interpolates: the host's own, and what names the release.
    fn script(&self, body: &'static str) -> Script {
        let state = self.inventory.state_dir();
        let mut script = Script::new(body)
            .var("STATE", &state)
            .var("POOL", self.pool.as_str())
            .var(
                "DIR",
                format!("{state}/{}/releases/{}", self.pool, self.release.id),
            )
            .var("PROJECT", self.inventory.project(self.pool))
            .var("RELEASE", &self.release.id)
            .var("APP", &self.inventory.app.name)
            .var("ENVIRONMENT", &self.inventory.env);
        for (name, value) in &self.host.env {
            script = script.export(name, value);
        }
        script
            .export("DEPLOY_TAG", &self.release.tag)
            .export("POINTSMAN_POOL", self.pool.as_str())
            .export("POINTSMAN_RELEASE", &self.release.id)
            .export("COMPOSE_INTERACTIVE_NO_CLI", "1")
    }

    /// Looks at the host before anything is changed: engine, Compose, disk, ports, and what the
    /// Compose file comes to with this tag and env. Read by [`super::host::parse`].
    pub fn inspect(&self, compose: &[u8], env: &[u8]) -> Script {
        self.script(INSPECT)
            .file("pm_compose", compose)
            .file("pm_env", env)
    }

    /// Writes the release's folder; nothing when it is there already.
    pub fn stage(&self, file: &ComposeFile, compose: &[u8], env: &[u8]) -> Script {
        let record = serde_json::to_vec(self.release).unwrap_or_default();
        let overlay = overlay(file, self.inventory, self.release);
        let sums = [compose, env, overlay.as_bytes(), &record].map(super::release::sha256);
        self.script(STAGE)
            .file("pm_compose", compose)
            .file("pm_env", env)
            .file("pm_overlay", overlay.as_bytes())
            .file("pm_record", record)
            .var("SUMS", sums.join(" "))
    }

    /// Starts the release's containers in place of what the pool ran.
    pub fn start(&self) -> Script {
        self.script(START)
    }

    /// Runs the migration in a container named after the run, and ends with its exit code.
    pub fn migrate(&self, migrate: &Migrate) -> Script {
        self.script(MIGRATE)
            .var("SERVICE", &migrate.service)
            .var(
                "NAME",
                format!(
                    "{}-migrate-{}",
                    self.inventory.project(self.pool),
                    self.release.run
                ),
            )
            .command(
                "migration",
                std::iter::once("in_service").chain(migrate.command.iter().map(String::as_str)),
            )
    }

    /// Stops and removes the pool's containers and networks on this host; also the release's
    /// folder where `forget` is set, because the release was never proven.
    pub fn stop(&self, forget: bool) -> Script {
        self.script(STOP).var("FORGET", if forget { "yes" } else { "" })
    }

    /// Removes all but the newest `keep` releases of the pool besides the running one, and images
    /// that no kept release names.
    pub fn prune(&self, keep: usize) -> Script {
        self.script(PRUNE).var("KEEP", keep.to_string())
    }
}
