//! The second look, at what the schema cannot tell: keys that must fit each other.

use std::collections::BTreeSet;

use super::compose_services;
use super::diagnostic::{Mistake, Mistakes, shown};
use super::node::Node;
use super::suggest::{one_of, with_nearest};
use super::{app, checks, migrate, registry, servers, ssh, state, switch};

/// What the checks look at. What the walk found mistaken is not there, so that nothing is said twice.
pub(super) struct Checker<'a> {
    pub(super) root: &'a Node,
    pub(super) mistakes: &'a mut Mistakes,
    /// Services of the Compose file; `None` when it could not be read.
    services: Option<BTreeSet<String>>,
    /// The address of a server that is in both pools, if there is one.
    shared: Option<&'a str>,
}

/// Runs every check.
pub(super) fn check(root: &Node, mistakes: &mut Mistakes) {
    let services = compose_services::read(root, mistakes);
    let mut checker = Checker {
        root,
        mistakes,
        services,
        shared: servers::shared(root),
    };
    app::check(&mut checker);
    registry::check(&mut checker);
    ssh::check(&mut checker);
    servers::check(&mut checker);
    checks::check(&mut checker);
    migrate::check(&mut checker);
    state::check(&mut checker);
    switch::check(&mut checker);
}

impl<'a> Checker<'a> {
    /// What is asked by HTTP on each host must belong to one pool: its `service` must be in the Compose
    /// file, and must be there where both pools share a host, whose port may answer for either.
    pub(super) fn endpoint(&mut self, table: &'a Node, key: &str) {
        self.service_of(table, &format!("{key}.service"));
        if let Some(shared) = self.shared
            && table.table().is_some()
            && table.get(&["service"]).is_none()
        {
            let place = table.get(&["port"]).map_or(&table.place, |node| &node.place);
            self.mistakes.add(
                Mistake::at(
                    place,
                    format!("{key}.service"),
                    format!("`{key}` cannot tell the pools apart"),
                )
                .expected(format!("a `service`, as {} is in both pools", shown(shared)))
                .found("a port of the host, which may be either pool's")
                .help("add `service = \"...\"`: it is then asked inside the pool's own Compose network"),
            );
        }
    }

    /// The `service` of this table must be in the Compose file.
    pub(super) fn service_of(&mut self, table: &'a Node, key: &str) {
        let (Some(services), Some(name)) = (&self.services, table.text(&["service"])) else {
            return;
        };
        let Some(node) = table.get(&["service"]).filter(|_| !services.contains(name)) else {
            return;
        };
        let known: Vec<&str> = services.iter().map(String::as_str).collect();
        let mistake = Mistake::at(
            &node.place,
            key,
            format!("the Compose file has no service {}", shown(name)),
        )
        .expected(one_of(&known))
        .found_text(node, name);
        self.mistakes.add(with_nearest(mistake, name, &known));
    }
}
