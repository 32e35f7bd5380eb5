//! The calls: what stands at the listener or rule, its tags, the targets of a group, and new weights.

use http::Method;
use roxmltree::{Document, Node};

use super::actions::{self, Actions, Groups};
use super::note::Tags;
use super::query::{Parameters, parameters};
use super::{Elbv2, Route};
use crate::switch::BackendServer;
use crate::switch::api::ApiError;
use crate::switch::aws::xml::{self, anywhere, child, children, text};
use crate::switch::aws::{Body, Call, Fault};

/// A listener, or one of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) arn: String,
    pub(super) is_rule: bool,
}

impl Place {
    pub(super) fn of(arn: String) -> Place {
        Place {
            is_rule: arn.contains(":listener-rule/"),
            arn,
        }
    }

    /// The parameter that names it.
    fn key(&self) -> &'static str {
        if self.is_rule { "RuleArn" } else { "ListenerArn" }
    }

    /// The parameter and element of its actions.
    fn actions(&self) -> &'static str {
        if self.is_rule { "Actions" } else { "DefaultActions" }
    }
}

/// The answer about a listener or rule.
pub(super) struct Found {
    answer: String,
    actions: &'static str,
}

impl Found {
    /// The actions in it. The answer was a tree when it came, so an error here is one of the actions.
    fn with<T>(&self, read: impl FnOnce(Node<'_, '_>) -> Result<T, String>) -> Result<T, String> {
        let document = Document::parse(&self.answer).map_err(|error| error.to_string())?;
        let list = anywhere(&document, self.actions).ok_or("expected actions, found none")?;
        read(list)
    }

    pub(super) fn actions(&self, groups: &Groups) -> Result<Actions, String> {
        self.with(|list| actions::read(list, groups))
    }
}

/// A target group.
pub(super) struct Group {
    pub(super) protocol: String,
    pub(super) health: String,
}

impl Elbv2 {
    async fn call(&self, parameters: Parameters, changes: bool) -> Result<String, ApiError> {
        let call = Call {
            method: Method::POST,
            path: "/",
            parameters,
            body: Body::Form,
            changes,
        };
        let answer = self.client.call(&call).await;
        let answer = answer.map_err(|fault| self.verdict(fault))?;
        // What is no XML is no answer of AWS, also where nothing of it is needed.
        xml::parse(&answer, &self.client.at, changes).map_err(|fault| self.verdict(fault))?;
        Ok(answer)
    }

    async fn ask(&self, action: &str, pairs: &[(&str, &str)]) -> Result<String, ApiError> {
        self.call(parameters(action, pairs), false).await
    }

    fn verdict(&self, fault: Fault) -> ApiError {
        let missing = [
            "ListenerNotFound",
            "RuleNotFound",
            "LoadBalancerNotFound",
            "TargetGroupNotFound",
        ];
        match fault {
            Fault::Said(said) if missing.contains(&said.code.as_str()) => ApiError::Refused {
                problem: format!("{}: {}", self.client.at, said.in_words()),
                hint:
                    "check `listener`, `blue`, `green` and `region` of `switch.aws`, and whose keys these are"
                        .to_owned(),
            },
            fault => self.client.verdict(fault),
        }
    }

    /// The listener or rule.
    pub(super) async fn found(&self) -> Result<Found, ApiError> {
        let place = &self.place;
        let answer = if place.is_rule {
            self.ask("DescribeRules", &[("RuleArns.member.1", &place.arn)])
                .await?
        } else {
            self.ask("DescribeListeners", &[("ListenerArns.member.1", &place.arn)])
                .await?
        };
        Ok(Found {
            answer,
            actions: place.actions(),
        })
    }

    /// Its tags.
    pub(super) async fn tags(&self) -> Result<Tags, ApiError> {
        let answer = self
            .ask("DescribeTags", &[("ResourceArns.member.1", &self.place.arn)])
            .await?;
        let document = self.tree(&answer)?;
        let tags = document
            .descendants()
            .filter(|node| node.tag_name().name() == "Tags");
        Ok(tags
            .flat_map(|tags| children(tags, "member"))
            .filter_map(|tag| {
                Some((
                    text(tag, "Key")?.to_owned(),
                    text(tag, "Value").unwrap_or_default().to_owned(),
                ))
            })
            .collect())
    }

    pub(super) async fn tag(&self, tags: &Tags) -> Result<(), ApiError> {
        if tags.is_empty() {
            return Ok(());
        }
        let mut all = parameters("AddTags", &[("ResourceArns.member.1", &self.place.arn)]);
        for (number, (key, value)) in tags.iter().enumerate() {
            all.push((format!("Tags.member.{}.Key", number + 1), key.clone()));
            all.push((format!("Tags.member.{}.Value", number + 1), value.clone()));
        }
        self.call(all, true).await.map(drop)
    }

    pub(super) async fn untag(&self, keys: &[String]) -> Result<(), ApiError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut all = parameters("RemoveTags", &[("ResourceArns.member.1", &self.place.arn)]);
        let keys = keys.iter().enumerate();
        all.extend(keys.map(|(number, key)| (format!("TagKeys.member.{}", number + 1), key.clone())));
        self.call(all, true).await.map(drop)
    }

    /// Sends the actions back with other weights.
    pub(super) async fn modify(&self, found: &Found, groups: &Groups, to: &Route) -> Result<(), ApiError> {
        let place = &self.place;
        let action = if place.is_rule {
            "ModifyRule"
        } else {
            "ModifyListener"
        };
        let mut all = parameters(action, &[(place.key(), &place.arn)]);
        let moved = found.with(|list| Ok(actions::moved(list, place.actions(), groups, to)));
        all.extend(moved.map_err(|problem| self.refused(&problem, ""))?);
        self.call(all, true).await.map(drop)
    }

    /// The targets of a group. AWS counts no requests in progress; targets that still have some are `draining`.
    pub(super) async fn servers(&self, group: &str) -> Result<Vec<BackendServer>, ApiError> {
        let answer = self
            .ask("DescribeTargetHealth", &[("TargetGroupArn", group)])
            .await?;
        let document = self.tree(&answer)?;
        let list = anywhere(&document, "TargetHealthDescriptions").into_iter();
        let mut servers: Vec<BackendServer> = list
            .flat_map(|list| children(list, "member"))
            .map(server)
            .collect();
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(servers)
    }

    /// What a target group is.
    pub(super) async fn group(&self, arn: &str) -> Result<Group, ApiError> {
        let answer = self
            .ask("DescribeTargetGroups", &[("TargetGroupArns.member.1", arn)])
            .await?;
        let document = self.tree(&answer)?;
        let group = anywhere(&document, "TargetGroups").and_then(|groups| child(groups, "member"));
        let of = |name| {
            group
                .and_then(|group| text(group, name))
                .unwrap_or("none")
                .to_owned()
        };
        Ok(Group {
            protocol: of("Protocol"),
            health: format!("{} {}", of("HealthCheckProtocol"), of("HealthCheckPath")),
        })
    }

    fn tree<'a>(&self, answer: &'a str) -> Result<Document<'a>, ApiError> {
        xml::parse(answer, &self.client.at, false).map_err(|fault| self.verdict(fault))
    }
}

fn server(description: Node<'_, '_>) -> BackendServer {
    let target = child(description, "Target");
    let of_target = |name| target.and_then(|target| text(target, name));
    let health = child(description, "TargetHealth");
    let of_health = |name| health.and_then(|health| text(health, name));
    let state = of_health("State").unwrap_or("no state");
    let reason = of_health("Description").or(of_health("Reason"));
    BackendServer {
        name: match (of_target("Id"), of_target("Port")) {
            (Some(id), Some(port)) => format!("{id}:{port}"),
            (id, _) => id.unwrap_or("no id").to_owned(),
        },
        status: match (reason, of_health("Reason")) {
            (Some(words), Some(code)) if words != code => format!("{state} ({code}: {words})"),
            (Some(words), _) => format!("{state} ({words})"),
            (None, _) => state.to_owned(),
        },
        up: state == "healthy",
        active: true,
        sessions: 0,
        queued: 0,
    }
}
