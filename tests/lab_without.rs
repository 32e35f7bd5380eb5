//! A dead host in the pool that a deploy changes: refused, or left out by name until a deploy with it succeeds.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::time::Duration;

use support::load::Load;
use support::scene::{ask, none_lost, root, seen_by, until};
use support::{Fault, Pointsman, lab, reset, routers};

/// A host that was rebooted starts its engine first, and its containers then.
const BOOT: Duration = Duration::from_secs(60);

/// What a host answers by itself, without any router.
fn version_on(host: &str) -> String {
    ask(&format!("{}:80", lab()[&host.to_uppercase()]), "/version")
}

#[test]
fn a_dead_host_is_left_out_by_name() {
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    pointsman.expect(&["deploy", "v1"], 0);
    pointsman.expect(&["deploy", "v2"], 0);
    // Blue serves v2; green keeps v1 for a rollback. One of its hosts dies.
    let dead = Fault::on("killed", "web4");
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 200);
    pointsman
        .expect(&["deploy", "v3"], 50)
        .says(&["web4", "--without web4"]);
    pointsman
        .expect(&["deploy", "v3", "--without", "web9"], 50)
        .says(&["web9", "green has web3, web4"]);
    pointsman
        .expect(&["deploy", "v3", "--without", "web3", "--without", "web4"], 50)
        .says(&["nobody is left in green"]);
    pointsman
        .expect(&["deploy", "v3", "--without", "web4"], 0)
        .says(&["leave-out"]);
    pointsman
        .expect(&["status"], 0)
        .says(&["green is hot", "web4: left out"]);
    none_lost("a deploy without a dead host", &load.stop());

    // It comes back as it was, with v1, and gets nothing; a reload of a router changes nothing of that.
    drop(dead);
    until("v1 on web4", BOOT, || version_on("web4").contains("v1"));
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 200);
    root("lb1", "sv 2 haproxy");
    pointsman.expect(&["rollback"], 0);
    pointsman.expect(&["flip"], 0);
    for router in ["lb1", "lb2"] {
        until("the router's own check", BOOT, || {
            seen_by(router, "web3").starts_with("UP")
        });
        assert!(seen_by(router, "web4").starts_with("DOWN"), "{router}");
    }
    let shots = load.stop();
    none_lost("a host that came back with an old release", &shots);
    assert!(
        shots.iter().all(|shot| shot.answer.as_deref() != Ok("v1")),
        "v1 was answered"
    );
    assert!(version_on("web4").contains("v1"), "it would have answered");

    // The control: without the line in the map the router takes it for one of green's.
    let map = "/etc/haproxy/pointsman/pools.map";
    root("lb2", &format!("lab-ask 'del map {map} shop/shop_green/web4'"));
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 200);
    until("web4 to be up", BOOT, || seen_by("lb2", "web4").starts_with("UP"));
    until("its answer", BOOT, || {
        ask(&routers("ROUTER_URLS")[1], "/version").contains("v1")
    });
    drop(load.stop());
    root("lb2", &format!("lab-ask 'add map {map} shop/shop_green/web4 *'"));

    // A deploy with it fences it, gives it a fresh release, and puts it in again.
    pointsman.expect(&["rollback"], 0);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 200);
    pointsman.expect(&["deploy", "v3"], 0).says(&["web4"]);
    for router in ["lb1", "lb2"] {
        assert!(seen_by(router, "web4").starts_with("UP"), "{router}");
    }
    assert!(version_on("web4").contains("v3"));
    let status = pointsman.expect(&["status"], 0);
    status.says(&["green is hot", "lock: free"]);
    assert!(!status.text().contains("left out"), "{}", status.text());
    none_lost("a deploy with the host again", &load.stop());
    reset("two-pools");
}
