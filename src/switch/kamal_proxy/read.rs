//! Reads what our scripts print.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::inventory::Pool;
use crate::remote::Output;
use crate::switch::{Route, RouterView};

/// A pool's servers, as kamal-proxy's targets.
type Pools<'a> = BTreeMap<Pool, BTreeSet<&'a str>>;

/// The routes that `print_routes` of ask.sh printed, without servers.
pub(super) fn routes(output: &Output) -> Result<RouterView, String> {
    if output.section("end").is_none() {
        return Err("the answer was cut".to_owned());
    }
    let text = |name: &str| output.section(name).unwrap_or_default().trim();
    let pools = pools(text("pools"));
    let target = text("target");
    let (live, missing) = pool_of(&pools, target.split(',')).ok_or_else(|| {
        let words = |pool| {
            let of = pools.get(&pool).into_iter().flatten().copied();
            of.collect::<Vec<_>>().join(",")
        };
        format!(
            "expected kamal-proxy to route {} to the servers of blue ({}) or of green ({}), found {target}",
            text("service"),
            words(Pool::Blue),
            words(Pool::Green)
        )
    })?;
    let mut problems = Vec::new();
    if !missing.is_empty() {
        let missing: Vec<&str> = missing.into_iter().collect();
        problems.push(format!(
            "{live} has {}, which gets no requests",
            missing.join(", ")
        ));
    }
    if text("running") != "running" {
        problems.push(format!("the service is {}", text("running")));
    }
    let kept = service(text("service"), text("kept"));
    problems.extend(kept.as_ref().and_then(rollout));
    Ok(RouterView {
        live: Route::all(live),
        persisted: kept.as_ref().and_then(|kept| persisted(&pools, kept)),
        workers: Vec::new(),
        problems,
        backends: BTreeMap::new(),
        left_out: BTreeMap::new(),
        caches: None,
    })
}

/// Lines of `POOL TARGET,TARGET...`.
fn pools(text: &str) -> Pools<'_> {
    text.lines()
        .filter_map(|line| {
            let (name, targets) = line.split_once(' ')?;
            let pool = Pool::ALL.into_iter().find(|pool| pool.as_str() == name)?;
            Some((pool, targets.split(',').collect()))
        })
        .collect()
}

/// The one pool that all of these are servers of, and its servers that are not among them.
fn pool_of<'a>(
    pools: &Pools<'a>,
    targets: impl Iterator<Item = &'a str>,
) -> Option<(Pool, BTreeSet<&'a str>)> {
    let targets: BTreeSet<&str> = targets.filter(|target| !target.is_empty()).collect();
    if targets.is_empty() {
        return None;
    }
    let (pool, all) = pools.iter().find(|(_, all)| targets.is_subset(all))?;
    Some((*pool, all.difference(&targets).copied().collect()))
}

/// The service in the state file, which is a list of them.
fn service(name: &str, state: &str) -> Option<Value> {
    let Value::Array(services) = serde_json::from_str(state).ok()? else {
        return None;
    };
    services
        .into_iter()
        .find(|service| service.get("name").and_then(Value::as_str) == Some(name))
}

/// The targets of this list in the state file; none where it is `null` or not there.
fn list<'a>(service: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    let list = service.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// What the service would do after a restart.
fn persisted(pools: &Pools<'_>, service: &Value) -> Option<Route> {
    let targets: BTreeSet<&str> = list(service, "active_targets")
        .chain(list(service, "active_readers"))
        .collect();
    if targets.is_empty() {
        return None;
    }
    let (pool, _) = pools.iter().find(|(_, all)| targets.is_subset(all))?;
    Some(Route::all(*pool))
}

/// kamal-proxy's own canary, which its list does not show.
fn rollout(service: &Value) -> Option<String> {
    let share = service.get("rollout_controller")?.get("percentage")?;
    let to: Vec<&str> = list(service, "rollout_targets").collect();
    (!to.is_empty()).then(|| {
        format!(
            "a rollout is set, which sends {share} % to {}: `kamal-proxy rollout stop` ends it",
            to.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = r#"[{"name":"blog","active_targets":["10.0.0.9:80"]},{"name":"shop","options":{"hosts":[""]},"active_targets":["web3:80","web4:80"],"active_readers":[],"rollout_targets":null,"rollout_readers":null,"pause_controller":{"state":0},"rollout_controller":null}]"#;

    fn printed(target: &str, running: &str, kept: &str) -> Output {
        Output {
            stdout: format!(
                "\n@@pm:service\nshop\n\n@@pm:pools\nblue web1:80,web2:80\ngreen web3:80,web4:80\n\n@@pm:target\n{target}\n\n\
                 @@pm:running\n{running}\n\n@@pm:kept\n{kept}\n\n@@pm:end\n"
            ),
            ..Output::default()
        }
    }

    fn drift(target: &str, running: &str, kept: &str) -> String {
        let view = routes(&printed(target, running, kept)).expect("routes");
        view.drift().unwrap_or_default()
    }

    #[test]
    fn reads_routes() {
        for target in ["web3:80,web4:80", "web4:80,web3:80"] {
            let view = routes(&printed(target, "running", STATE)).expect("routes");
            assert!(view.is_all(Pool::Green), "{view:?}");
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_told() {
        insta::assert_snapshot!(drift("web1:80,web2:80", "running", STATE), @"serves blue, but its file says green: a reload would flip it");
        insta::assert_snapshot!(drift("web3:80,web4:80", "running", ""), @"serves green, but its file has no value: a reload may flip it");
        insta::assert_snapshot!(drift("web3:80,web4:80", "paused", STATE), @"the service is paused");
        insta::assert_snapshot!(drift("web4:80", "running", STATE), @"green has web3:80, which gets no requests");
        let rolling = STATE.replace(r#""rollout_targets":null"#, r#""rollout_targets":["web1:80"]"#);
        let rolling = rolling.replace(
            r#""rollout_controller":null"#,
            r#""rollout_controller":{"percentage":20}"#,
        );
        insta::assert_snapshot!(drift("web3:80,web4:80", "running", &rolling), @"a rollout is set, which sends 20 % to web1:80: `kamal-proxy rollout stop` ends it");
    }

    #[test]
    fn targets_of_neither_pool_are_shown() {
        for target in ["web1:80,web3:80", "web1:80,web9:80", "", "web1:8080"] {
            let wrong = routes(&printed(target, "running", STATE)).expect_err("no routes");
            assert_eq!(
                wrong,
                format!(
                    "expected kamal-proxy to route shop to the servers of blue (web1:80,web2:80) or of green (web3:80,web4:80), found {target}"
                )
            );
        }
        let mut cut = printed("web3:80,web4:80", "running", STATE);
        cut.stdout = cut.stdout.replace("@@pm:end\n", "");
        insta::assert_snapshot!(routes(&cut).expect_err("cut"), @"the answer was cut");
    }
}
