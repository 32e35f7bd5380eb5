//! Programs that look at a file for each request: nginx and Caddy. The file is there when green is hot and not there when
//! blue is. The guard makes or removes it on the router; no reload is needed, and none changes it.

mod caddy;
mod doctor;
mod nginx;
mod read;

use std::time::Duration;

use async_trait::async_trait;

use super::servers::{Target, health, targets};
use super::{ArmedFlip, Connector, Finding, Route, RouterView, SwitchError};
use crate::inventory::switch::Flag as Settings;
use crate::inventory::{Inventory, Pool, Router};
use crate::remote::{Guarded, Output, Script, Session};

/// Longest that one look at a router may take, once connected: it asks the program, and then all servers at once.
const READ: Duration = Duration::from_secs(10);

const OBSERVE: &str = concat!(include_str!("fetch.sh"), include_str!("observe.sh"));
const FLIP: &str = concat!(include_str!("fetch.sh"), include_str!("flip.sh"));
const DOCTOR: &str = concat!(include_str!("fetch.sh"), include_str!("doctor.sh"));

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

/// The connector. Its scripts and the readers of their output are public, so that they can be tried on a program without
/// SSH.
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

    /// Prints what the router does now, for [`FlagFile::view`].
    pub fn observe_script(&self) -> Script {
        let line = |target: &Target| {
            format!(
                "{} {} {} {}",
                target.pool, target.name, target.address, target.port
            )
        };
        let servers: Vec<String> = self.targets.iter().map(line).collect();
        self.script(OBSERVE)
            .var("SERVERS", servers.join("\n"))
            .var("HEALTH", &self.health.0)
            .var("HEALTH_NAME", &self.health.1)
    }

    /// Reads what [`FlagFile::observe_script`] printed.
    ///
    /// # Errors
    /// What was expected and found, where it did not end well or cannot be understood.
    pub fn view(&self, output: &Output) -> Result<RouterView, String> {
        if !output.ok() {
            return Err(output.complaint().to_owned());
        }
        let mut view = read::routes(output)?;
        view.backends = read::servers(&self.targets, output);
        Ok(view)
    }

    /// Defines `prepare` and `commit`, for [`Session::arm`].
    pub fn flip_script(&self, to: Pool) -> Script {
        self.script(FLIP).var("VALUE", to.as_str())
    }

    /// Reads what `commit` of [`FlagFile::flip_script`] printed: the routes as read back.
    ///
    /// # Errors
    /// Why it failed, and whether that is in doubt.
    pub fn flipped(output: &Output) -> Result<RouterView, (String, bool)> {
        read::flipped(output)
    }

    /// Looks at all that a flip needs, for [`FlagFile::findings`].
    pub fn doctor_script(&self) -> Script {
        self.script(DOCTOR)
    }

    /// Judges what [`FlagFile::doctor_script`] printed.
    pub fn findings(&self, router: &str, output: &Output) -> Vec<Finding> {
        doctor::findings(self, router, output)
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

#[async_trait]
impl Connector for FlagFile {
    async fn observe(&self, session: &Session, router: &Router) -> Result<RouterView, SwitchError> {
        let output = session.read(&self.observe_script(), READ).await?;
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
        let armed = session.arm(work, &self.flip_script(pool), lease).await?;
        Ok(ArmedFlip {
            armed,
            read: FlagFile::flipped,
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
        match session.read(&self.doctor_script(), READ).await {
            Ok(output) => self.findings(&router.name, &output),
            Err(error) => vec![Finding::bad(&router.name, error.to_string(), "see the error")],
        }
    }

    fn config(&self, inventory: &Inventory) -> String {
        match self.program {
            Program::Nginx => nginx::config(self, inventory),
            Program::Caddy => caddy::config(self, inventory),
        }
    }
}
