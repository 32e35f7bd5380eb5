//! kamal-proxy, by its own command line on the router: `deploy` moves a service to all servers of a pool in one step, once it
//! has found each of them healthy.

mod config;
mod doctor;
mod options;
mod read;

use super::servers::{self, Target, health, targets};
use super::{Finding, Reader, Route, RouterView, Scripted, flag, whole};
use crate::inventory::balancer::KamalProxy as Settings;
use crate::inventory::{Inventory, Pool};
use crate::remote::{Output, Script};
use options::Options;

const OBSERVE: &str = concat!(
    include_str!("../flag/fetch.sh"),
    include_str!("../flag/servers.sh"),
    include_str!("../until.sh"),
    include_str!("ask.sh"),
    include_str!("observe.sh")
);
const FLIP: &str = concat!(
    include_str!("../until.sh"),
    include_str!("ask.sh"),
    include_str!("flip.sh")
);
const DOCTOR: &str = concat!(
    include_str!("../flag/fetch.sh"),
    include_str!("../until.sh"),
    include_str!("ask.sh"),
    include_str!("flip.sh"),
    include_str!("doctor.sh")
);

/// Seconds in which kamal-proxy must find every server of the pool healthy; they were, a moment before.
const ANSWER: u32 = 5;
/// Longest that kamal-proxy lets what is in progress on the old pool go on. It cuts what is left then, so it is long.
const DRAIN: &str = "10m";

/// The connector.
#[derive(Debug)]
pub struct KamalProxy {
    settings: Settings,
    targets: Vec<Target>,
    health: (String, String),
}

impl KamalProxy {
    /// With the settings of `[switch.kamal_proxy]`.
    pub fn new(settings: Settings, inventory: &Inventory) -> KamalProxy {
        let (path, host) = health(inventory);
        KamalProxy {
            settings,
            targets: targets(inventory),
            health: (path.to_owned(), host.unwrap_or_default().to_owned()),
        }
    }

    /// A pool's servers, as `--target` takes them and as the list shows them.
    fn of(&self, pool: Pool) -> String {
        let of = self.targets.iter().filter(|target| target.pool == pool);
        of.map(Target::endpoint).collect::<Vec<_>>().join(",")
    }

    /// The command line that moves the service, but for `--target`.
    fn deploy(&self) -> Vec<String> {
        let mut line = self.settings.command.clone();
        line.extend([
            "deploy".to_owned(),
            self.settings.service.clone(),
            format!("--deploy-timeout={ANSWER}s"),
            format!("--drain-timeout={DRAIN}"),
            format!("--health-check-path={}", self.health.0),
        ]);
        if !self.health.1.is_empty() {
            line.push(format!("--health-check-host={}", self.health.1));
        }
        // The user's come last, so that they win.
        line.extend(self.settings.options.iter().cloned());
        line
    }

    fn script(&self, body: &'static str) -> Script {
        let pools = Pool::ALL.map(|pool| format!("{pool} {}", self.of(pool)));
        Script::new(body)
            .command("proxy", &self.settings.command)
            .command("state", &self.settings.state)
            .var("SERVICE", &self.settings.service)
            .var("POOLS", pools.join("\n"))
    }

    /// [`KamalProxy::script`], with what a flip compares and does.
    fn moving(&self, body: &'static str, wanted: String) -> Script {
        let options = Options::of(&self.settings.options);
        self.script(body)
            .command("deploy", self.deploy())
            .var("WANTED", wanted)
            .var("ANSWER", ANSWER.to_string())
            .var("HOST", options.hosts)
            .var("PATH_PREFIX", options.paths)
            .var("TLS", if options.tls { "yes" } else { "no" })
    }

    /// What no flip can be done with.
    fn refuse(&self) -> Result<(), String> {
        if let Some(target) = self.targets.iter().find(|target| target.address.contains(':')) {
            return Err(format!(
                "kamal-proxy takes host names and IPv4 addresses as targets, found {} for {}",
                target.address, target.name
            ));
        }
        match Options::of(&self.settings.options).targets {
            Some(option) => Err(format!(
                "expected no targets among the options of [switch.kamal_proxy], which are the pool's, found {option}"
            )),
            None => Ok(()),
        }
    }
}

impl Scripted for KamalProxy {
    fn observe_script(&self, _router: &str) -> Script {
        self.script(OBSERVE)
            .file("fetch_pl", include_str!("../flag/fetch.pl"))
            .file("fetch_py", include_str!("../flag/fetch.py"))
            .var("SERVERS", servers::lines(&self.targets))
            .var("HEALTH", &self.health.0)
            .var("HEALTH_NAME", &self.health.1)
    }

    fn seen(&self, output: &Output) -> Result<RouterView, String> {
        let mut view = read::routes(output)?;
        view.backends = flag::read::servers(&self.targets, output);
        Ok(view)
    }

    fn flip_script(&self, _router: &str, to: &Route) -> Result<Script, String> {
        self.refuse()?;
        Ok(self.moving(FLIP, self.of(whole(to)?)))
    }

    fn reader(&self) -> Reader {
        read::routes
    }

    fn doctor_script(&self, _router: &str) -> Script {
        self.moving(DOCTOR, String::new())
            .file("fetch_pl", include_str!("../flag/fetch.pl"))
            .file("fetch_py", include_str!("../flag/fetch.py"))
    }

    fn findings(&self, router: &str, output: &Output) -> Vec<Finding> {
        doctor::findings(self, router, output)
    }

    fn config(&self, inventory: &Inventory) -> String {
        config::config(self, inventory)
    }
}
