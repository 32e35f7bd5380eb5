//! A program of the user's own on each router: JSON on its standard input, JSON on its standard output. What it must do
//! is in `docs/reference/exec.md`.

mod message;

use std::time::Duration;

use async_trait::async_trait;

use super::servers::targets;
use super::{ArmedFlip, Connector, Finding, Route, RouterView, SwitchError};
use crate::inventory::switch::Exec as Settings;
use crate::inventory::{Inventory, Pool, Router};
use crate::remote::{Guarded, Output, Script, Session};
use message::{Request, Verb};

/// Longest that the program may take to look.
const READ: Duration = Duration::from_secs(10);

const OBSERVE: &str = concat!(include_str!("exec.sh"), include_str!("observe.sh"));
const FLIP: &str = concat!(include_str!("exec.sh"), include_str!("flip.sh"));

/// The connector. Its scripts and the readers of their output are public, so that they can be tried without SSH.
#[derive(Debug)]
pub struct Exec {
    settings: Settings,
    request: Request,
}

impl Exec {
    /// With the settings of `[switch.exec]`.
    pub fn new(settings: Settings, inventory: &Inventory) -> Exec {
        Exec {
            settings,
            request: Request::of(&inventory.app.name, &inventory.env, &targets(inventory)),
        }
    }

    /// Prints what the router does now, for [`Exec::view`].
    pub fn observe_script(&self, router: &str) -> Script {
        self.script(OBSERVE)
            .file("observe_request", self.request.text(Verb::Observe, router, None))
    }

    /// Reads what [`Exec::observe_script`] printed.
    ///
    /// # Errors
    /// What was expected and found, where it did not end well or cannot be understood.
    pub fn view(&self, output: &Output) -> Result<RouterView, String> {
        if output.ok() {
            message::view(output)
        } else {
            Err(complaint(output))
        }
    }

    /// Defines `prepare` and `commit`, for [`Session::arm`].
    pub fn flip_script(&self, router: &str, to: Pool) -> Script {
        self.script(FLIP)
            .file(
                "prepare_request",
                self.request.text(Verb::Prepare, router, Some(to)),
            )
            .file("move_request", self.request.text(Verb::Move, router, Some(to)))
    }

    /// Reads what `commit` of [`Exec::flip_script`] printed: the routes as read back.
    ///
    /// # Errors
    /// Why it failed, and whether that is in doubt.
    pub fn flipped(output: &Output) -> Result<RouterView, (String, bool)> {
        if output.ok() {
            // It has moved, so what cannot be understood is in doubt.
            return message::view(output).map_err(|problem| (problem, true));
        }
        Err((complaint(output), output.code != message::NOT_DONE))
    }

    /// What `doctor` finds: whether the program can say what the router does.
    pub fn findings(&self, router: &str, output: &Output) -> Vec<Finding> {
        let program = &self.settings.program;
        let hint = "run it on the router by hand; docs/reference/exec.md says what it reads and prints";
        let view = match self.view(output) {
            Ok(view) => view,
            Err(problem) => return vec![Finding::bad(router, format!("`{program}`: {problem}"), hint)],
        };
        let mut found = vec![Finding::good(
            router,
            format!("`{program}` says that it routes to {}", view.live),
        )];
        if let Some(drift) = view.drift() {
            found.push(Finding::bad(router, drift, hint));
        }
        found
    }

    fn script(&self, body: &'static str) -> Script {
        let settings = &self.settings;
        let line = std::iter::once(&settings.program).chain(&settings.args);
        Script::new(body).command("program", line)
    }
}

/// What the program said on standard error; it may say nothing.
fn complaint(output: &Output) -> String {
    let said = output.complaint();
    if said.is_empty() {
        format!(
            "the program of [switch.exec] ended with {} and said nothing",
            output.code
        )
    } else {
        said.to_owned()
    }
}

#[async_trait]
impl Connector for Exec {
    async fn observe(&self, session: &Session, router: &Router) -> Result<RouterView, SwitchError> {
        let output = session.read(&self.observe_script(&router.name), READ).await?;
        self.view(&output).map_err(|problem| SwitchError::Router {
            router: router.name.clone(),
            problem,
            in_doubt: false,
        })
    }

    async fn arm(
        &self,
        session: &Session,
        work: &Guarded<'_>,
        to: &Route,
        lease: Duration,
    ) -> Result<ArmedFlip, SwitchError> {
        let pool = super::whole(session.name(), to)?;
        let script = self.flip_script(session.name(), pool);
        let armed = session.arm(work, &script, lease).await?;
        Ok(ArmedFlip {
            armed,
            read: Exec::flipped,
            router: session.name().to_owned(),
        })
    }

    async fn leave_out(
        &self,
        session: &Session,
        _work: &Guarded<'_>,
        _pool: Pool,
        servers: &[String],
        _deadline: Duration,
    ) -> Result<(), SwitchError> {
        super::nobody(session.name(), servers)
    }

    async fn doctor(&self, session: &Session, router: &Router) -> Vec<Finding> {
        match session.read(&self.observe_script(&router.name), READ).await {
            Ok(output) => self.findings(&router.name, &output),
            Err(error) => vec![Finding::bad(&router.name, error.to_string(), "see the error")],
        }
    }

    fn config(&self, inventory: &Inventory) -> String {
        format!(
            "# The router is set up by whoever wrote `{}`; this is what it is asked on {}:\n{}\n",
            self.settings.program,
            inventory.switch.routers.first().map_or("", |router| &router.name),
            String::from_utf8_lossy(&self.request.text(
                Verb::Observe,
                inventory.switch.routers.first().map_or("", |router| &router.name),
                None
            ))
            .trim_end()
        )
    }
}
