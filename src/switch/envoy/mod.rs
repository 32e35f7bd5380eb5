//! Envoy, by a file of runtime values that it watches: one of them is green's share, which its routes look at for each
//! request. The guard renames a new file into place; no reload is needed, and Envoy reads the file when it starts.

mod config;
mod doctor;
mod read;

use super::servers::{Target, targets};
use super::{Finding, Reader, Route, RouterView, Scripted};
use crate::inventory::balancer::Envoy as Settings;
use crate::inventory::{Inventory, Pool};
use crate::remote::{Output, Script};

const OBSERVE: &str = concat!(
    include_str!("../flag/fetch.sh"),
    include_str!("../until.sh"),
    include_str!("ask.sh"),
    include_str!("observe.sh")
);
const FLIP: &str = concat!(
    include_str!("../flag/fetch.sh"),
    include_str!("../until.sh"),
    include_str!("ask.sh"),
    include_str!("flip.sh")
);
const DOCTOR: &str = concat!(
    include_str!("../flag/fetch.sh"),
    include_str!("../until.sh"),
    include_str!("ask.sh"),
    include_str!("doctor.sh")
);

/// The connector.
#[derive(Debug)]
pub struct Envoy {
    settings: Settings,
    app: String,
    targets: Vec<Target>,
}

impl Envoy {
    /// With the settings of `[switch.envoy]`.
    pub fn new(settings: Settings, inventory: &Inventory) -> Envoy {
        Envoy {
            settings,
            app: inventory.app.name.clone(),
            targets: targets(inventory),
        }
    }

    /// The runtime file. Envoy goes by the ending of its name.
    fn file(&self) -> String {
        format!("{}/{}.json", self.settings.folder, self.app)
    }

    /// The host name under which Envoy says what it does, on the router alone.
    fn status_name(&self) -> String {
        format!("{}.pointsman", self.app)
    }

    /// A pool's cluster.
    fn cluster(&self, pool: Pool) -> String {
        format!("{}_{pool}", self.app)
    }

    fn script(&self, body: &'static str) -> Script {
        Script::new(body)
            .file("fetch_pl", include_str!("../flag/fetch.pl"))
            .file("fetch_py", include_str!("../flag/fetch.py"))
            .var("APP", &self.app)
            .var("FILE", self.file())
            .var("STATUS_PORT", self.settings.status_port.to_string())
            .var("STATUS_NAME", self.status_name())
    }
}

/// Green's share of the requests, in percent.
fn share_of_green(route: &Route) -> u8 {
    match (route.live, route.next) {
        (Pool::Blue, Pool::Blue) => 0,
        (Pool::Green, Pool::Green) => 100,
        (Pool::Blue, Pool::Green) => route.percent.min(100),
        (Pool::Green, Pool::Blue) => 100 - route.percent.min(100),
    }
}

/// The runtime file that says so: one resource of Envoy's runtime discovery.
fn runtime(app: &str, route: &Route) -> String {
    format!(
        r#"{{"resources": [{{"@type": "type.googleapis.com/envoy.service.runtime.v3.Runtime", "name": "pointsman_{app}", "layer": {{"pointsman.{app}.route": "{}", "pointsman.{app}.green": {}}}}}]}}"#,
        route.value(),
        share_of_green(route)
    )
}

impl Scripted for Envoy {
    fn observe_script(&self, _router: &str) -> Script {
        let clusters = Pool::ALL.map(|pool| self.cluster(pool)).join(" ");
        self.script(OBSERVE).var("CLUSTERS", clusters)
    }

    fn seen(&self, output: &Output) -> Result<RouterView, String> {
        let mut view = read::routes(output)?;
        view.backends = Pool::ALL
            .into_iter()
            .map(|pool| {
                let cluster = self.cluster(pool);
                let of = self.targets.iter().filter(|target| target.pool == pool);
                (pool, read::servers(of, &cluster, output))
            })
            .collect();
        Ok(view)
    }

    fn flip_script(&self, _router: &str, to: &Route) -> Result<Script, String> {
        Ok(self
            .script(FLIP)
            .var("VALUE", to.value())
            .var("SHARE", share_of_green(to).to_string())
            .file("new_runtime", runtime(&self.app, to) + "\n"))
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
        config::config(self, inventory)
    }
}
