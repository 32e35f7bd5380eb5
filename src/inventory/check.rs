//! The second look, at what the schema cannot tell: keys that must fit each other.

use std::collections::BTreeSet;

use super::compose_services;
use super::diagnostic::{Mistake, Mistakes, shown};
use super::node::Node;
use super::{app, checks, migrate, registry, servers, ssh};

/// What the checks look at. What the walk found mistaken is not there, so that nothing is said twice.
pub(super) struct Checker<'a> {
    pub(super) root: &'a Node,
    pub(super) mistakes: &'a mut Mistakes,
    /// Services of the Compose file; `None` when it could not be read.
    services: Option<BTreeSet<String>>,
}

/// Runs every check.
pub(super) fn check(root: &Node, mistakes: &mut Mistakes) {
    let services = compose_services::read(root, mistakes);
    let mut checker = Checker { root, mistakes, services };
    app::check(&mut checker);
    registry::check(&mut checker);
    ssh::check(&mut checker);
    servers::check(&mut checker);
    checks::check(&mut checker);
    migrate::check(&mut checker);
}

impl<'a> Checker<'a> {
    /// The `service` of the table at this path must be in the Compose file.
    pub(super) fn service(&mut self, path: &[&str], key: &str) {
        if let Some(table) = self.root.get(path) {
            self.service_of(table, key);
        }
    }

    /// The `service` of this table must be in the Compose file.
    pub(super) fn service_of(&mut self, table: &'a Node, key: &str) {
        let (Some(services), Some(name)) = (&self.services, table.text(&["service"])) else { return };
        let Some(node) = table.get(&["service"]).filter(|_| !services.contains(name)) else { return };
        let known: Vec<&str> = services.iter().map(String::as_str).collect();
        let mistake = Mistake::at(&node.place, key, format!("the Compose file has no service {}", shown(name)))
            .expected(super::walk::one_of(&known))
            .found_text(node, name);
        self.mistakes.add(super::walk::with_nearest(mistake, name, &known));
    }
}
