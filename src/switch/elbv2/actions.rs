//! The actions of a listener or rule: what they do with traffic, and the same actions with other weights.

use roxmltree::Node;

use super::query::{Parameters, flatten};
use crate::inventory::Pool;
use crate::switch::Route;
use crate::switch::aws::xml::{child, children, text};

/// The ARNs of the two target groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Groups {
    pub(super) blue: String,
    pub(super) green: String,
}

impl Groups {
    pub(super) fn of(&self, pool: Pool) -> &str {
        match pool {
            Pool::Blue => &self.blue,
            Pool::Green => &self.green,
        }
    }

    fn pool(&self, arn: &str) -> Option<Pool> {
        Pool::ALL.into_iter().find(|pool| self.of(*pool) == arn)
    }
}

/// What the actions are, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) route: Route,
    /// All actions in the form in which they are sent, sorted: what a change expects to find.
    pub(super) raw: Vec<String>,
    /// Whether both groups stand in it. AWS checks the targets of a group only while it stands in an action.
    pub(super) both: bool,
}

/// Reads the actions. The one that decides is the last one (`authenticate-oidc` and its like come before).
///
/// # Errors
/// In words, where they do something else than forward to the two groups.
pub(super) fn read(list: Node<'_, '_>, groups: &Groups) -> Result<Actions, String> {
    let forward = forward(list).ok_or_else(|| format!("expected to forward, found {}", types(list)))?;
    let (mut blue, mut green, mut seen) = (0_u32, 0_u32, 0);
    for (arn, weight) in targets(forward)? {
        seen += 1;
        match groups.pool(&arn) {
            Some(Pool::Blue) => blue += weight,
            Some(Pool::Green) => green += weight,
            None => {
                return Err(format!(
                    "expected the target groups {} and {}, found {arn} with weight {weight}",
                    groups.blue, groups.green
                ));
            }
        }
    }
    let route = Route::of_weights(blue, green)
        .ok_or("expected a target group with a weight, found none: it answers 503")?;
    let mut flat = Parameters::new();
    flatten(list, "actions", &mut flat);
    let mut raw: Vec<String> = flat
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    raw.sort_unstable();
    Ok(Actions {
        route,
        raw,
        both: seen == 2,
    })
}

/// The same actions, but forwarding as `to`, under the name that the call gives to actions.
pub(super) fn moved(list: Node<'_, '_>, name: &str, groups: &Groups, to: &Route) -> Parameters {
    let mut flat = Parameters::new();
    let decides = forward(list);
    for (number, action) in children(list, "member").enumerate() {
        let prefix = format!("{name}.member.{}", number + 1);
        if Some(action) != decides {
            let before = flat.len();
            flatten(action, &prefix, &mut flat);
            keep_secret(action, &prefix, before, &mut flat);
            continue;
        }
        for part in action.children().filter(Node::is_element) {
            match part.tag_name().name() {
                // The short form of the list of groups: the two must not contradict each other.
                "TargetGroupArn" | "ForwardConfig" => {}
                name => flatten(part, &format!("{prefix}.{name}"), &mut flat),
            }
        }
        let config = format!("{prefix}.ForwardConfig");
        for (number, (pool, weight)) in to.weights().into_iter().enumerate() {
            let group = format!("{config}.TargetGroups.member.{}", number + 1);
            flat.push((format!("{group}.TargetGroupArn"), groups.of(pool).to_owned()));
            flat.push((format!("{group}.Weight"), weight.to_string()));
        }
        let found = child(action, "ForwardConfig").into_iter();
        for part in found.flat_map(|config| config.children().filter(Node::is_element)) {
            if part.tag_name().name() != "TargetGroups" {
                flatten(part, &format!("{config}.{}", part.tag_name().name()), &mut flat);
            }
        }
    }
    flat
}

/// AWS gives away no client secret of OIDC, but takes "the one that is there".
fn keep_secret(action: Node<'_, '_>, prefix: &str, before: usize, flat: &mut Parameters) {
    if child(action, "AuthenticateOidcConfig").is_none() {
        return;
    }
    let secret = format!("{prefix}.AuthenticateOidcConfig.UseExistingClientSecret");
    let mut number = 0;
    flat.retain(|(name, _)| {
        number += 1;
        number <= before || *name != secret
    });
    flat.push((secret, "true".to_owned()));
}

/// The action that decides.
fn forward<'a, 'i: 'a>(list: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    children(list, "member").find(|action| text(*action, "Type") == Some("forward"))
}

fn types(list: Node<'_, '_>) -> String {
    let types: Vec<&str> = children(list, "member")
        .map(|action| text(action, "Type").unwrap_or("an action without a type"))
        .collect();
    if types.is_empty() {
        return "no action".to_owned();
    }
    types.join(", ")
}

/// The groups with their weights: a list, or in the short form one group.
fn targets(forward: Node<'_, '_>) -> Result<Vec<(String, u32)>, String> {
    let listed = child(forward, "ForwardConfig").and_then(|config| child(config, "TargetGroups"));
    let listed: Vec<Node<'_, '_>> = listed
        .iter()
        .flat_map(|groups| children(*groups, "member"))
        .collect();
    if listed.is_empty() {
        let one = text(forward, "TargetGroupArn").ok_or("expected a target group, found none")?;
        return Ok(vec![(one.to_owned(), 1)]);
    }
    let group = |group: Node<'_, '_>| {
        let arn = text(group, "TargetGroupArn").ok_or("expected a target group, found one without an ARN")?;
        // AWS leaves the weight out where there is one group.
        let weight = text(group, "Weight").unwrap_or("1");
        let weight = weight
            .parse()
            .map_err(|_| format!("expected a weight, found {weight:?}"))?;
        Ok((arn.to_owned(), weight))
    };
    listed.into_iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    fn groups() -> Groups {
        Groups {
            blue: "arn:blue".to_owned(),
            green: "arn:green".to_owned(),
        }
    }

    fn of(xml: &str) -> Result<Actions, String> {
        read(Document::parse(xml).unwrap().root_element(), &groups())
    }

    const WEIGHTED: &str = "<A><member><Type>authenticate-oidc</Type><Order>1</Order><AuthenticateOidcConfig>\
        <ClientId>c</ClientId></AuthenticateOidcConfig></member><member><Type>forward</Type><Order>2</Order>\
        <TargetGroupArn>arn:blue</TargetGroupArn><ForwardConfig><TargetGroups><member>\
        <TargetGroupArn>arn:blue</TargetGroupArn><Weight>90</Weight></member><member>\
        <TargetGroupArn>arn:green</TargetGroupArn><Weight>10</Weight></member></TargetGroups>\
        <TargetGroupStickinessConfig><Enabled>true</Enabled><DurationSeconds>60</DurationSeconds>\
        </TargetGroupStickinessConfig></ForwardConfig></member></A>";

    #[test]
    fn what_else_there_is_stays() {
        let read = of(WEIGHTED).unwrap();
        assert_eq!(read.route.to_string(), "blue with 10 % to green");
        assert!(read.both);
        let document = Document::parse(WEIGHTED).unwrap();
        let moved = moved(
            document.root_element(),
            "Actions",
            &groups(),
            &Route::all(Pool::Green),
        );
        let moved: Vec<String> = moved
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        insta::assert_snapshot!(moved.join("\n"), @"
        Actions.member.1.Type=authenticate-oidc
        Actions.member.1.Order=1
        Actions.member.1.AuthenticateOidcConfig.ClientId=c
        Actions.member.1.AuthenticateOidcConfig.UseExistingClientSecret=true
        Actions.member.2.Type=forward
        Actions.member.2.Order=2
        Actions.member.2.ForwardConfig.TargetGroups.member.1.TargetGroupArn=arn:blue
        Actions.member.2.ForwardConfig.TargetGroups.member.1.Weight=0
        Actions.member.2.ForwardConfig.TargetGroups.member.2.TargetGroupArn=arn:green
        Actions.member.2.ForwardConfig.TargetGroups.member.2.Weight=100
        Actions.member.2.ForwardConfig.TargetGroupStickinessConfig.Enabled=true
        Actions.member.2.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=60
        ");
    }

    #[test]
    fn what_is_not_ours_is_shown() {
        let one =
            of("<A><member><Type>forward</Type><TargetGroupArn>arn:green</TargetGroupArn></member></A>")
                .unwrap();
        assert_eq!((one.route, one.both), (Route::all(Pool::Green), false));
        let other =
            of("<A><member><Type>forward</Type><TargetGroupArn>arn:red</TargetGroupArn></member></A>");
        insta::assert_snapshot!(other.unwrap_err(), @"expected the target groups arn:blue and arn:green, found arn:red with weight 1");
        let redirect = of("<A><member><Type>redirect</Type></member></A>");
        insta::assert_snapshot!(redirect.unwrap_err(), @"expected to forward, found redirect");
        assert!(of("<A/>").is_err());
        let nobody = WEIGHTED.replace(">90<", ">0<").replace(">10<", ">0<");
        assert!(of(&nobody).unwrap_err().contains("503"));
    }
}
