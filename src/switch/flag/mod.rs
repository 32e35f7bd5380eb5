//! Programs that look at a file for each request: nginx and Caddy. The file is there when green is hot and not there when
//! blue is. The guard makes or removes it on the router; no reload is needed, and none changes it.

mod caddy;
mod doctor;
mod nginx;
pub(super) mod read;

use super::servers::{self, Target, health, targets};
use super::{Finding, Reader, Route, RouterView, Scripted, whole};
use crate::inventory::Inventory;
use crate::inventory::balancer::Flag as Settings;
use crate::remote::{Output, Script};

const OBSERVE: &str = concat!(
    include_str!("fetch.sh"),
    include_str!("ask.sh"),
    include_str!("servers.sh"),
    include_str!("observe.sh")
);
const FLIP: &str = concat!(
    include_str!("fetch.sh"),
    include_str!("ask.sh"),
    include_str!("flip.sh")
);
const DOCTOR: &str = concat!(
    include_str!("fetch.sh"),
    include_str!("ask.sh"),
    include_str!("doctor.sh")
);

/// What one program needs that others do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// nginx: `if (-f FILE)`.
    Nginx,
    /// Caddy: the `file` matcher.
    Caddy,
}

impl Program {
    /// The name in `connector = "..."`, and of the program.
    pub fn name(self) -> &'static str {
        match self {
            Program::Nginx => "nginx",
            Program::Caddy => "caddy",
        }
    }
}

/// The connector.
#[derive(Debug)]
pub struct FlagFile {
    program: Program,
    settings: Settings,
    app: String,
    targets: Vec<Target>,
    health: (String, String),
}

impl FlagFile {
    /// With the settings of `[switch.nginx]` or `[switch.caddy]`.
    pub fn new(program: Program, settings: Settings, inventory: &Inventory) -> FlagFile {
        let (path, host) = health(inventory);
        FlagFile {
            program,
            settings,
            app: inventory.app.name.clone(),
            targets: targets(inventory),
            health: (path.to_owned(), host.unwrap_or_default().to_owned()),
        }
    }

    /// The host name under which the program says which pool it uses, on the router alone.
    fn status_name(&self) -> String {
        format!("{}.pointsman", self.app)
    }

    fn script(&self, body: &'static str) -> Script {
        Script::new(body)
            .file("fetch_pl", include_str!("fetch.pl"))
            .file("fetch_py", include_str!("fetch.py"))
            .var("PROGRAM", self.program.name())
            .var("FLAGS", &self.settings.flags)
            .var("STATUS_PORT", self.settings.status_port.to_string())
            .var("STATUS_NAME", self.status_name())
    }
}

impl Scripted for FlagFile {
    fn observe_script(&self, _router: &str) -> Script {
        self.script(OBSERVE)
            .var("SERVERS", servers::lines(&self.targets))
            .var("HEALTH", &self.health.0)
            .var("HEALTH_NAME", &self.health.1)
    }

    fn seen(&self, output: &Output) -> Result<RouterView, String> {
        let mut view = read::routes(output)?;
        view.backends = read::servers(&self.targets, output);
        Ok(view)
    }

    fn flip_script(&self, _router: &str, to: &Route) -> Result<Script, String> {
        Ok(self.script(FLIP).var("VALUE", whole(to)?.as_str()))
    }

    fn reader(&self) -> Reader {
        read::routes
    }

    fn doctor_script(&self, _router: &str) -> Script {
        self.script(DOCTOR)
    }

    fn findings(&self, router: &str, output: &Output) -> Vec<Finding> {
        doctor::findings(self, router, output)
    }

    fn config(&self, inventory: &Inventory) -> String {
        match self.program {
            Program::Nginx => nginx::config(self, inventory),
            Program::Caddy => caddy::config(self, inventory),
        }
    }
}
