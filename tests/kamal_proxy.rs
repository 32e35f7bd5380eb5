//! The command lines that kamal-proxy is given. What it does with them is in `switches`, by hand: no package has it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::fs;

use camino::Utf8Path;
use pointsman::inventory::switch::Connector;
use pointsman::inventory::{Inventory, Pool};
use pointsman::switch::kamal_proxy::KamalProxy;
use pointsman::switch::{Route, Scripted};

/// An environment whose servers are these, with these lines in `[switch.kamal_proxy]`.
fn inventory(green: &str, settings: &str) -> Inventory {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        r#"[app]
name = "shop"
path = "/srv/shop"
compose = "compose.yml"
identity = {{ path = "/version" }}
[pools.blue]
hosts = ["web1.example.com", "web2.example.com"]
[pools.green]
hosts = [{green}]
[[checks]]
name = "web"
port = 8080
path = "/up"
host_header = "shop.example.com"
[switch]
connector = "kamal-proxy"
routers = ["lb1"]
[switch.kamal_proxy]
{settings}
"#
    );
    fs::write(dir.path().join("compose.yml"), "services: {web: {image: a}}\n").unwrap();
    let file = dir.path().join("one.toml");
    fs::write(&file, text).unwrap();
    Inventory::load(Utf8Path::from_path(&file).unwrap(), &|_| None)
        .unwrap_or_else(|problem| panic!("{}", problem.render(false)))
}

fn connector(inventory: &Inventory) -> KamalProxy {
    match &inventory.switch.connector {
        Connector::KamalProxy(settings) => KamalProxy::new(settings.clone(), inventory),
        other => panic!("{other:?}"),
    }
}

/// The functions and variables of a flip that hold its command lines.
fn lines(inventory: &Inventory) -> Result<String, String> {
    let script = connector(inventory).flip_script("lb1", &Route::all(Pool::Green))?;
    let text = script.render().unwrap();
    let wanted = [
        "proxy()",
        "state()",
        "deploy()",
        "WANTED=",
        "HOST=",
        "PATH_PREFIX=",
        "TLS=",
    ];
    let of = |line: &&str| wanted.iter().any(|start| line.starts_with(start));
    Ok(text.lines().filter(of).collect::<Vec<_>>().join("\n"))
}

const GREEN: &str =
    r#""web3.example.com", { address = "10.0.0.4", name = "web4", env = { WEB_PORT = "81" } }"#;

#[test]
fn the_command_lines() {
    insta::assert_snapshot!(lines(&inventory(GREEN, "")).unwrap(), @r#"
    proxy() { docker exec kamal-proxy kamal-proxy "$@"; }
    state() { docker exec kamal-proxy cat /home/kamal-proxy/.config/kamal-proxy/kamal-proxy.state "$@"; }
    deploy() { docker exec kamal-proxy kamal-proxy deploy shop '--deploy-timeout=5s' '--drain-timeout=10m' '--health-check-path=/up' '--health-check-host=shop.example.com' "$@"; }
    WANTED='web3.example.com:8080,10.0.0.4:81'
    HOST='*'
    PATH_PREFIX=/
    TLS=no
    "#);
    let own = r#"service = "blog"
command = ["/usr/local/bin/kamal-proxy"]
state = ["sudo", "cat", "/var/lib/kamal-proxy.state"]
options = ["--host=shop.example.com", "--tls", "--log-request-header", "it's"]"#;
    insta::assert_snapshot!(lines(&inventory(GREEN, own)).unwrap(), @r#"
    proxy() { /usr/local/bin/kamal-proxy "$@"; }
    state() { sudo cat /var/lib/kamal-proxy.state "$@"; }
    deploy() { /usr/local/bin/kamal-proxy deploy blog '--deploy-timeout=5s' '--drain-timeout=10m' '--health-check-path=/up' '--health-check-host=shop.example.com' '--host=shop.example.com' --tls --log-request-header "it's" "$@"; }
    WANTED='web3.example.com:8080,10.0.0.4:81'
    HOST=shop.example.com
    PATH_PREFIX=/
    TLS=yes
    "#);
}

#[test]
fn what_no_flip_can_be_done_with() {
    let refused = |green, settings| lines(&inventory(green, settings)).unwrap_err();
    insta::assert_snapshot!(refused(r#""::1""#, ""), @"kamal-proxy takes host names and IPv4 addresses as targets, found ::1 for ::1");
    insta::assert_snapshot!(refused(GREEN, r#"options = ["--target=web9"]"#), @"expected no targets among the options of [switch.kamal_proxy], which are the pool's, found --target=web9");
    let canary = Route {
        live: Pool::Blue,
        next: Pool::Green,
        percent: 10,
    };
    let inventory = inventory(GREEN, "");
    let refused = connector(&inventory)
        .flip_script("lb1", &canary)
        .map(drop)
        .unwrap_err();
    insta::assert_snapshot!(refused, @"moves all requests or none, expected a whole pool, found blue with 10 % to green");
}

#[test]
fn what_sets_it_up() {
    let inventory = inventory(GREEN, r#"options = ["--host=shop.example.com"]"#);
    insta::assert_snapshot!(Scripted::config(&connector(&inventory), &inventory), @r"
    # kamal-proxy for shop in one, by `pointsman switch config`. It needs kamal-proxy 0.9 or newer, and no configuration.
    #
    # Once, as deploy, on each router, while blue serves:
    docker exec kamal-proxy kamal-proxy deploy shop '--deploy-timeout=5s' '--drain-timeout=10m' '--health-check-path=/up' '--health-check-host=shop.example.com' '--host=shop.example.com' '--target=web1.example.com:8080,web2.example.com:8080'
    #
    # Each flip is such a command, with the other pool's servers as targets. It sets every option of the service, so all of them
    # stand in [switch.kamal_proxy] options.
    ");
}
