//! `switch config`: HAProxy takes what it prints, and does with it what pointsman needs.

#[path = "haproxy/app.rs"]
mod app;
#[path = "haproxy/router.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests of the connector, which use the rest"
)]
mod router;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "support/shell.rs"]
mod shell;

use std::fs;
use std::path::Path;
use std::process::Command;

use app::App;
use camino::Utf8Path;
use pointsman::inventory::Inventory;
use pointsman::switch::connector_for;
use router::Router;
use tempfile::TempDir;

fn config(inventory: &Path) -> String {
    let path = Utf8Path::from_path(inventory).expect("UTF-8");
    let inventory =
        Inventory::load(path, &|_| Some("x".to_owned())).unwrap_or_else(|e| panic!("{}", e.render(false)));
    connector_for(&inventory).expect("a connector").config(&inventory)
}

/// The same, with its files in this folder.
fn moved_to(config: &str, dir: &str) -> String {
    config
        .replace("/etc/haproxy/pointsman/", &format!("{dir}/map/"))
        .replace("/run/haproxy/", &format!("{dir}/"))
}

/// A router made from an inventory with these servers, and a configuration that is then changed.
fn running(blue: &App, green: &[&App], change: impl FnOnce(String) -> String) -> Router {
    let dir = TempDir::new().expect("a folder");
    fs::write(dir.path().join("compose.yml"), "services: {web: {image: a}}\n").expect("written");
    // Every address of 127.0.0.0/8 is this machine.
    let host = |n: usize, port: u16| {
        format!(r#"{{ address = "127.0.0.{n}", name = "web{n}", env = {{ WEB_PORT = "{port}" }} }}"#)
    };
    let greens: Vec<String> = (2..).zip(green).map(|(n, app)| host(n, app.port)).collect();
    let text = format!(
        r#"[app]
name = "shop"
path = "/srv/shop"
compose = "compose.yml"
identity = {{ path = "/version" }}
[pools.blue]
hosts = [{}]
[pools.green]
hosts = [{}]
[[checks]]
name = "web"
service = "web"
port = 80
path = "/up"
[switch]
connector = "haproxy"
routers = ["127.0.0.1"]
"#,
        host(1, blue.port),
        greens.join(", ")
    );
    let inventory = dir.path().join("one.toml");
    fs::write(&inventory, text).expect("written");
    Router::launch("shop blue:blue:0\n", |at, port| {
        // Without what only root may do.
        change(moved_to(&config(&inventory), at))
            .replace("    user haproxy\n    group haproxy\n", "")
            .replace(" group haproxy level", " level")
            .replace("bind :80", &format!("bind 127.0.0.1:{port}"))
    })
}

fn set(router: &Router, value: &str) {
    let map = router.path("map/pools.map");
    router.ask("admin.sock", &format!("set map {} shop {value}", map.display()));
}

#[test]
fn haproxy_takes_the_example() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/haproxy");
    let config = config(&examples.join("production.toml"));
    let kept = fs::read_to_string(examples.join("haproxy.cfg")).expect("the example");
    assert!(
        config == kept,
        "examples/haproxy/haproxy.cfg differs from what `switch config` prints:\n{config}"
    );
    let dir = TempDir::new().expect("a folder");
    fs::create_dir(dir.path().join("map")).expect("made");
    fs::write(dir.path().join("map/pools.map"), "shop blue:blue:0\n").expect("written");
    for pool in ["blue", "green"] {
        fs::write(dir.path().join(format!("map/shop_{pool}.state")), "1\n").expect("written");
    }
    let file = dir.path().join("haproxy.cfg");
    // The example's hosts have names that nobody resolves.
    let config = moved_to(&config, &dir.path().display().to_string()).replace(".example.com", "");
    let config = (1..=4).fold(config, |text, n| {
        text.replace(&format!(" web{n}:"), &format!(" 192.0.2.{n}:"))
    });
    fs::write(&file, config).expect("written");
    let output = Command::new("haproxy")
        .arg("-c")
        .arg("-f")
        .arg(&file)
        .output()
        .expect("haproxy");
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("WARNING"), "{said}");
}

#[test]
fn the_map_decides_and_a_wrong_value_is_blue() {
    let (blue, green) = (App::serve("blue"), App::serve("green"));
    let router = running(&blue, &[&green], |config| config);
    let mut got = Vec::new();
    for value in [
        "blue:blue:0",
        "green:green:0",
        "blue:green:100",
        "green:blue:0",
        "red:red:0",
        "green",
    ] {
        set(&router, value);
        got.push(format!("{value} -> {}", router.get()));
    }
    insta::assert_snapshot!(got.join("\n"), @r"
    blue:blue:0 -> blue
    green:green:0 -> green
    blue:green:100 -> green
    green:blue:0 -> green
    red:red:0 -> blue
    green -> green
    ");
    set(&router, "blue:green:30");
    let share = (0..200).filter(|_| router.get() == "green").count();
    assert!(
        (25..100).contains(&share),
        "expected about 60 of 200 on green, found {share}"
    );
}

/// What is lost of 30 requests when two of three servers die, before a check sees it.
fn lost(change: impl FnOnce(String) -> String) -> usize {
    let (blue, live) = (App::serve("blue"), App::serve("green"));
    let (mut one, mut two) = (App::serve("green"), App::serve("green"));
    // Checks come too seldom to help.
    let router = running(&blue, &[&one, &live, &two], |config| {
        change(config.replace("inter 1s", "inter 60s"))
    });
    set(&router, "green:green:0");
    assert_eq!(router.get(), "green");
    one.die();
    two.die();
    (0..30).filter(|_| router.get() != "green").count()
}

#[test]
fn a_server_that_dies_costs_no_request() {
    assert_eq!(lost(|config| config), 0);
}

#[test]
fn without_those_lines_it_does() {
    let bare = |config: String| -> String {
        let config = config.replace("retries 3", "retries 0");
        let needed = ["option redispatch", "retry-on", "disable-l7-retry"];
        let lines = config
            .lines()
            .filter(|line| !needed.iter().any(|word| line.contains(word)));
        lines
            .map(|line| {
                format!(
                    "{}\n",
                    line.replace(" observe layer4 error-limit 1 on-error mark-down", "")
                )
            })
            .collect()
    };
    assert_ne!(lost(bare), 0);
}
