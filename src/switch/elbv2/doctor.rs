//! What a flip will need: keys, listener or rule, both target groups in its action, and targets in each.

use super::Elbv2;
use crate::inventory::Pool;
use crate::switch::Finding;
use crate::switch::api::ApiError;

impl Elbv2 {
    pub(super) async fn findings(&self) -> Vec<Finding> {
        let server = self.place.arn.as_str();
        let mut findings = vec![self.of_the_action(server).await];
        let groups = futures::join!(self.group(&self.groups.blue), self.group(&self.groups.green));
        match groups {
            (Ok(blue), Ok(green)) if blue.protocol == green.protocol => findings.push(Finding::good(
                server,
                format!(
                    "target groups: both take {}; checked by {} and {}",
                    blue.protocol, blue.health, green.health
                ),
            )),
            (Ok(blue), Ok(green)) => findings.push(Finding::bad(
                server,
                format!(
                    "target groups: expected one protocol, found {} for blue and {} for green",
                    blue.protocol, green.protocol
                ),
                "make one of them anew: `aws elbv2 create-target-group`",
            )),
            (blue, green) => findings.extend(
                [blue.err(), green.err()]
                    .into_iter()
                    .flatten()
                    .map(|e| bad(server, &e)),
            ),
        }
        for pool in Pool::ALL {
            findings.push(self.of_the_targets(server, pool).await);
        }
        findings.push(self.client.clock(server));
        findings
    }

    async fn of_the_action(&self, server: &str) -> Finding {
        match self.look().await {
            Err(error) => bad(server, &error),
            Ok(look) if look.actions.both => Finding::good(
                server,
                format!(
                    "these keys can read it, and it forwards to {}",
                    look.actions.route
                ),
            ),
            Ok(look) => Finding::bad(
                server,
                format!(
                    "expected both target groups in its action, found only that of {}: AWS does not check the targets \
                     of the other",
                    look.actions.route
                ),
                "add the other group with weight 0: `pointsman switch config` prints the command",
            ),
        }
    }

    async fn of_the_targets(&self, server: &str, pool: Pool) -> Finding {
        let group = self.groups.of(pool);
        let expected = self.hosts.get(&pool).copied().unwrap_or_default();
        match self.servers(group).await {
            Err(error) => bad(server, &error),
            Ok(targets) if targets.len() == expected => Finding::good(
                server,
                format!("targets of {pool}: {expected}, as many as the pool has hosts"),
            ),
            Ok(targets) => Finding::bad(
                server,
                format!(
                    "targets of {pool}: expected {expected}, as many as the pool has hosts, found {}",
                    targets.len()
                ),
                format!("`aws elbv2 register-targets --target-group-arn {group} --targets Id=...`"),
            ),
        }
    }
}

fn bad(server: &str, error: &ApiError) -> Finding {
    Finding::bad(server, error.to_string(), error.hint().unwrap_or_default())
}
