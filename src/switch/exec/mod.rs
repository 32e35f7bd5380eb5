//! A program of the user's own on each router: JSON on its standard input, JSON on its standard output. What it must do
//! is in `docs/reference/exec.md`.

mod message;

use super::servers::targets;
use super::{Finding, Reader, Route, RouterView, Scripted, whole};
use crate::inventory::Inventory;
use crate::inventory::balancer::Exec as Settings;
use crate::remote::{Output, Script};
use message::{Request, Verb};

const OBSERVE: &str = concat!(include_str!("exec.sh"), include_str!("observe.sh"));
const FLIP: &str = concat!(include_str!("exec.sh"), include_str!("flip.sh"));

/// The connector.
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

    fn script(&self, body: &'static str) -> Script {
        let settings = &self.settings;
        let line = std::iter::once(&settings.program).chain(&settings.args);
        Script::new(body).command("program", line)
    }
}

impl Scripted for Exec {
    fn observe_script(&self, router: &str) -> Script {
        self.script(OBSERVE)
            .file("observe_request", self.request.text(Verb::Observe, router, None))
    }

    fn seen(&self, output: &Output) -> Result<RouterView, String> {
        message::view(output)
    }

    fn flip_script(&self, router: &str, to: &Route) -> Result<Script, String> {
        let to = Some(whole(to)?);
        Ok(self
            .script(FLIP)
            .file("prepare_request", self.request.text(Verb::Prepare, router, to))
            .file("move_request", self.request.text(Verb::Move, router, to)))
    }

    fn reader(&self) -> Reader {
        message::view
    }

    fn doctor_script(&self, router: &str) -> Script {
        self.observe_script(router)
    }

    fn findings(&self, router: &str, output: &Output) -> Vec<Finding> {
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

    fn config(&self, inventory: &Inventory) -> String {
        let router = inventory.switch.routers.first().map_or("", |router| &router.name);
        let request = self.request.text(Verb::Observe, router, None);
        format!(
            "# The router is set up by whoever wrote {}; this is what it is asked on {router}:\n{}",
            self.settings.program,
            String::from_utf8_lossy(&request)
        )
    }
}
