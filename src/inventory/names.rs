//! Names and folders that follow from an inventory.

use super::switch::Connector;
use super::{Host, Inventory, Pool};

impl Inventory {
    /// The folder that pointsman keeps on every server: `<app.path>/.pointsman/<app>/<env>`.
    pub fn state_dir(&self) -> String {
        format!(
            "{}/.pointsman/{}/{}",
            self.app.path.trim_end_matches('/'),
            self.app.name,
            self.env
        )
    }

    /// How many servers of a pool each router must see up before a flip to it.
    pub fn servers_needed(&self, pool: Pool) -> usize {
        let all = match &self.switch.connector {
            Connector::Dns(dns, _) => dns.records(pool).len(),
            _ => self.hosts(pool).len(),
        };
        self.switch.connector.min_up().map_or(all, |least| least.min(all))
    }

    /// A pool's hosts.
    pub fn hosts(&self, pool: Pool) -> &[Host] {
        self.pools.get(&pool).map_or(&[], Vec::as_slice)
    }

    /// The same environment without these hosts of a pool: they are left out of a run.
    #[must_use]
    pub fn without(&self, pool: Pool, names: &[String]) -> Inventory {
        let mut inventory = self.clone();
        if let Some(hosts) = inventory.pools.get_mut(&pool) {
            hosts.retain(|host| !names.contains(&host.name));
        }
        inventory
    }

    /// Whether a server keeps copies of the journals: each router, and the first host of each pool.
    pub fn is_anchor(&self, name: &str) -> bool {
        let first = |pool| self.hosts(pool).first().is_some_and(|host| host.name == name);
        self.switch.routers.iter().any(|router| router.name == name) || Pool::ALL.into_iter().any(first)
    }
}
