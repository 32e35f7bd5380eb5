//! The names, folders and variables of one pool of one environment on a host.

use std::collections::BTreeMap;

use crate::inventory::{Inventory, Pool};
use crate::remote::Script;

use super::variant::Compose;

/// One pool of one app's environment: everything that is named after it follows from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The app's name.
    pub app: String,
    /// The environment's name.
    pub env: String,
    /// The pool.
    pub pool: Pool,
    /// The environment's state directory on the host, absolute (`<path>/.pointsman/<app>/<env>`).
    pub state: String,
}

impl Project {
    /// The project of `pool` whose state lies in `state` on its hosts.
    pub fn new(
        app: impl Into<String>,
        env: impl Into<String>,
        pool: Pool,
        state: impl Into<String>,
    ) -> Project {
        Project {
            app: app.into(),
            env: env.into(),
            pool,
            state: state.into(),
        }
    }

    /// The Compose project's name: both pools may share a host, so it carries the pool.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.app, self.env, self.pool)
    }

    /// The folder of one release on the host.
    pub fn release_dir(&self, release: &str) -> String {
        format!("{}/{}/releases/{release}", self.state, self.pool)
    }

    /// The folder on the host in which a file says whether the pool hands requests on (`[switch.dns] tail_forward`).
    pub fn forward_dir(&self) -> String {
        format!("{}/{}/forward", self.state, self.pool)
    }

    /// A script that knows the project: `$APP`, `$ENV`, `$POOL`, `$STATE`, `$PROJECT`.
    pub(super) fn script(&self, body: &'static str) -> Script {
        Script::new(body)
            .var("APP", &self.app)
            .var("ENV", &self.env)
            .var("POOL", self.pool.as_str())
            .var("STATE", &self.state)
            .var("PROJECT", self.name())
    }
}

impl Inventory {
    /// The Compose project of a pool. Permanent, so that a pool's containers are found whatever
    /// release they run.
    pub fn project(&self, pool: Pool) -> Project {
        Project::new(&self.app.name, &self.env, pool, self.state_dir())
    }
}

/// A pool on one host: its project, the Compose found there, and the host's own environment.
#[derive(Debug, Clone, Copy)]
pub struct OnHost<'a> {
    /// The pool.
    pub project: &'a Project,
    /// Which Compose the host has.
    pub compose: &'a Compose,
    /// The inventory's `env` of this host, interpolated by the Compose file.
    pub env: &'a BTreeMap<String, String>,
}

impl OnHost<'_> {
    /// A script that can also run Compose for one release: `compose ARGS...` and `$RELEASE`.
    ///
    /// The values that Compose interpolates go into the process environment. Ours come last: a
    /// host's own settings must not be able to make it run another tag than the rest of its pool.
    pub(super) fn script(&self, body: &'static str, tag: &str, release: &str) -> Script {
        let mut script = self.project.script(body);
        for (name, value) in self.env {
            script = script.export(name, value);
        }
        script
            .export("DEPLOY_TAG", tag)
            .export("POINTSMAN_POOL", self.project.pool.as_str())
            .export("POINTSMAN_RELEASE", release)
            .export("POINTSMAN_FORWARD", self.project.forward_dir())
            .var("RELEASE", release)
            .command("compose", self.compose.argv(&self.project.name()))
    }
}
