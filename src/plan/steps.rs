//! The steps of a plan, with their deadlines, from one place.

use std::time::Duration;

use super::{Action, Step};
use crate::inventory::switch::Connector;
use crate::inventory::{Inventory, Pool};

/// Builds steps.
pub(crate) struct Steps<'a> {
    inventory: &'a Inventory,
    pub(super) steps: Vec<Step>,
}

/// A look, a small write or a flip on one server; generous, because a busy server is no error.
const SHORT: Duration = Duration::from_secs(20);
/// Pruning removes images, which is slow on a full disk.
const PRUNE: Duration = Duration::from_secs(120);

impl<'a> Steps<'a> {
    pub(super) fn new(inventory: &'a Inventory) -> Steps<'a> {
        Steps {
            inventory,
            steps: Vec::new(),
        }
    }

    pub(super) fn has(&self, action: Action) -> bool {
        self.steps.iter().any(|step| step.action == action)
    }

    pub(super) fn on_routers(self, action: Action, words: String) -> Self {
        let targets = self
            .inventory
            .switch
            .routers
            .iter()
            .map(|r| r.name.clone())
            .collect();
        self.push(action, targets, words)
    }

    pub(super) fn on_hosts(self, action: Action, pool: Pool, words: String) -> Self {
        let targets = self
            .inventory
            .hosts(pool)
            .iter()
            .map(|h| h.name.clone())
            .collect();
        self.push(action, targets, words)
    }

    fn settle(&self) -> Duration {
        match &self.inventory.switch.connector {
            Connector::Dns(dns, _) => dns.settle + SHORT,
            _ => Duration::ZERO,
        }
    }

    pub(super) fn push(mut self, action: Action, targets: Vec<String>, words: String) -> Self {
        let app = &self.inventory.app;
        let deadline = match action {
            Action::Stage => app.pull_timeout,
            Action::Migrate => self
                .inventory
                .migrate
                .as_ref()
                .map_or(SHORT, |m| m.timeout + m.wait),
            Action::Start | Action::Check => app.start_timeout,
            Action::Prune => PRUNE,
            // All authoritative servers must follow.
            Action::LowerTtl | Action::Flip => SHORT.max(self.settle()),
            _ => SHORT,
        };
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        self.steps.push(Step {
            action,
            targets,
            deadline_ms,
            words,
        });
        self
    }
}
