//! Reads what our scripts print.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Target, share_of_green};
use crate::inventory::Pool;
use crate::remote::Output;
use crate::switch::{BackendServer, Route, RouterView};

/// The routes that `print_routes` of ask.sh printed, without servers.
pub(super) fn routes(output: &Output) -> Result<RouterView, String> {
    if output.section("end").is_none() {
        return Err("the answer was cut".to_owned());
    }
    let text = |name: &str| output.section(name).unwrap_or_default().trim();
    let live: Route = text("route").parse()?;
    let share = share_of_green(&live);
    let mut problems = Vec::new();
    if text("green") != share.to_string() {
        problems.push(format!(
            "Envoy has {live} as its route, which is {share} % for green, and {:?} as green's share",
            text("green")
        ));
    }
    let pool = Pool::ALL.into_iter().find(|pool| pool.as_str() == text("answer"));
    if pool.is_none() || live.settled().is_some_and(|settled| Some(settled) != pool) {
        problems.push(format!(
            "Envoy has {live} as its route, and its routes answer {:?}",
            text("answer")
        ));
    }
    Ok(RouterView {
        live,
        persisted: kept(text("app"), text("file")),
        workers: Vec::new(),
        problems,
        backends: BTreeMap::new(),
        left_out: BTreeMap::new(),
        caches: None,
    })
}

/// What the runtime file says; nothing where both of its values do not say the same.
fn kept(app: &str, file: &str) -> Option<Route> {
    let file: Value = serde_json::from_str(file).ok()?;
    let layer = file.get("resources")?.get(0)?.get("layer")?;
    let value = |name: &str| layer.get(format!("pointsman.{app}.{name}"));
    let route: Route = value("route")?.as_str()?.parse().ok()?;
    (value("green")?.as_u64()? == u64::from(share_of_green(&route))).then_some(route)
}

/// The servers of one pool, by Envoy's words on its cluster: `CLUSTER::ADDRESS:PORT::WORD::VALUE`. A name with several
/// addresses is several of Envoy's hosts; it is up where all are.
pub(super) fn servers<'a>(
    targets: impl Iterator<Item = &'a Target>,
    cluster: &str,
    output: &Output,
) -> Vec<BackendServer> {
    let mut hosts = BTreeMap::<&str, Host>::new();
    for line in output.section(cluster).unwrap_or_default().lines() {
        // From the right: IPv6 addresses have two colons in a row too.
        let mut fields = line.trim_end().rsplitn(3, "::");
        if let (Some(value), Some(word), Some(host)) = (fields.next(), fields.next(), fields.next()) {
            let host = hosts.entry(host).or_default();
            match word {
                "hostname" => host.name = value,
                "health_flags" => host.health = value,
                "rq_active" => host.active = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
    }
    let server = |target: &Target| {
        let of: Vec<&Host> = hosts.values().filter(|host| host.name == target.name).collect();
        let worst = of.iter().find(|host| host.health != "healthy").or(of.first());
        let status = match worst.map(|host| host.health) {
            Some("healthy") => "UP".to_owned(),
            Some(flags) => format!("DOWN ({})", flags.trim_matches('/')),
            None => format!("DOWN (not in Envoy's cluster {cluster})"),
        };
        BackendServer {
            name: target.name.clone(),
            up: status == "UP",
            status,
            active: true,
            sessions: of.iter().map(|host| host.active).sum(),
            queued: 0,
        }
    };
    targets.map(server).collect()
}

/// One of Envoy's hosts.
#[derive(Default)]
struct Host<'a> {
    name: &'a str,
    health: &'a str,
    active: u64,
}

#[cfg(test)]
mod tests {
    use super::super::runtime;
    use super::*;

    fn printed(route: &str, green: &str, answer: &str, file: &str) -> Output {
        let stdout = format!(
            "\n@@pm:app\nshop\n\n@@pm:route\n{route}\n\n@@pm:green\n{green}\n\n@@pm:answer\n{answer}\n\n@@pm:file\n{file}\n\n@@pm:shop_blue\n\
             shop_blue::127.0.0.1:81::hostname::web1\nshop_blue::127.0.0.1:81::rq_active::3\nshop_blue::127.0.0.1:81::health_flags::healthy\n\
             shop_blue::[::1]:82::rq_active::1\nshop_blue::[::1]:82::hostname::web2\nshop_blue::[::1]:82::health_flags::/failed_active_hc/failed_outlier_check\n\
             shop_blue::[::2]:82::rq_active::1\nshop_blue::[::2]:82::hostname::web2\nshop_blue::[::2]:82::health_flags::healthy\n\
             \n@@pm:end\n"
        );
        Output {
            stdout,
            ..Output::default()
        }
    }

    fn file(route: &str) -> String {
        runtime("shop", &route.parse().expect("a route"))
    }

    #[test]
    fn reads_routes() {
        let view = routes(&printed("green:green:0", "100", "green", &file("green:green:0"))).expect("routes");
        assert!(view.is_all(Pool::Green), "{view:?}");
        let canary = file("green:blue:30");
        for answer in ["blue", "green"] {
            let view = routes(&printed("green:blue:30", "70", answer, &canary)).expect("routes");
            assert!(view.agrees(), "{view:?}");
            assert_eq!(view.live.to_string(), "green with 30 % to blue");
        }
    }

    #[test]
    fn reads_servers() {
        let target = |name: &str| Target {
            pool: Pool::Blue,
            name: name.to_owned(),
            address: String::new(),
            port: 80,
        };
        let of = [target("web1"), target("web2"), target("web3")];
        let servers = servers(of.iter(), "shop_blue", &printed("", "", "", ""));
        let seen: Vec<_> = servers
            .iter()
            .map(|server| (server.status.as_str(), server.up, server.sessions))
            .collect();
        assert_eq!(
            seen,
            [
                ("UP", true, 3),
                ("DOWN (failed_active_hc/failed_outlier_check)", false, 2),
                ("DOWN (not in Envoy's cluster shop_blue)", false, 0),
            ]
        );
    }

    #[test]
    fn nothing_is_guessed() {
        let drift = |route, green, answer, file: &str| {
            let view = routes(&printed(route, green, answer, file)).expect("routes");
            view.drift().unwrap_or_default()
        };
        let blue = file("blue:blue:0");
        insta::assert_snapshot!(drift("green:green:0", "100", "green", &blue), @"serves green, but its file says blue: a reload would flip it");
        insta::assert_snapshot!(drift("blue:blue:0", "5", "blue", &blue), @r#"Envoy has blue as its route, which is 0 % for green, and "5" as green's share"#);
        insta::assert_snapshot!(drift("blue:blue:0", "0", "green", &blue), @r#"Envoy has blue as its route, and its routes answer "green""#);
        let no_value = "serves blue, but its file has no value: a reload may flip it";
        let odd = blue.replace(".green\": 0", ".green\": 1");
        let of_another = blue.replace("shop", "shop2");
        for file in ["", "{}", odd.as_str(), of_another.as_str()] {
            assert_eq!(drift("blue:blue:0", "0", "blue", file), no_value, "{file}");
        }
        let wrong = routes(&printed("red:blue:0", "0", "blue", &blue)).expect_err("no route");
        insta::assert_snapshot!(wrong, @r#"expected blue:blue:0 or the like in the map, found "red:blue:0""#);
        let mut cut = printed("blue:blue:0", "0", "blue", &blue);
        cut.stdout = cut.stdout.replace("@@pm:end\n", "");
        insta::assert_snapshot!(routes(&cut).expect_err("cut"), @"the answer was cut");
    }

    #[test]
    fn what_the_file_says() {
        insta::assert_snapshot!(file("blue:green:10"), @r#"{"resources": [{"@type": "type.googleapis.com/envoy.service.runtime.v3.Runtime", "name": "pointsman_shop", "layer": {"pointsman.shop.route": "blue:green:10", "pointsman.shop.green": 10}}]}"#);
        let shares = [
            "blue:blue:0",
            "green:green:0",
            "blue:green:7",
            "green:blue:7",
            "blue:green:100",
            "green:blue:0",
        ]
        .map(|route| share_of_green(&route.parse().expect("a route")));
        assert_eq!(shares, [0, 100, 7, 93, 100, 100]);
    }
}
