//! Servers that are left out of a real HAProxy: they get no requests although they are well, over a reload too.
#![allow(clippy::expect_used)]

#[allow(dead_code, reason = "shared with the other tests of HAProxy")]
#[path = "haproxy/router.rs"]
mod router;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "support/shell.rs"]
mod shell;

use std::fs;

use pointsman::inventory::Pool;
use pointsman::switch::Scripted;
use router::{BEFORE, Router};

/// Both servers are well, and say so to whoever asks for `/up`; `*` is no path that one of them knows.
const CHECKED: &str = "\
global
    stats socket @DIR@/admin.sock mode 600 level admin expose-fd listeners
    stats timeout 1h
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
frontend web
    bind 127.0.0.1:@PORT@
    http-request set-var(txn.bg) str(shop),map(@DIR@/map/pools.map,blue:blue:0)
    http-request set-var(txn.pool) var(txn.bg),field(1,:)
    use_backend shop_%[var(txn.pool)]
frontend apps
    bind unix@@DIR@/app.sock
    http-request return status 200 content-type text/plain string well if { path /up / }
    http-request deny deny_status 400
backend shop_blue
@CHECKS@
@STATES@
    server web1 unix@@DIR@/app.sock check inter @INTER@ fall 1 rise 1
    server web2 unix@@DIR@/app.sock check inter @INTER@ fall 1 rise 1
backend shop_green
@CHECKS@
    server web1 unix@@DIR@/app.sock check inter @INTER@ fall 1 rise 1
";

/// As `switch config` prints them.
const LOOKS: &str = "\
    option httpchk
    http-check set-var(check.pool) be_name
    http-check set-var(check.server) srv_name
    http-check set-var(check.key) str(shop/),concat(,check.pool,/),concat(,check.server)
    http-check send meth GET uri-lf \"%[var(check.key),map(@DIR@/map/pools.map,/up)]\"
    http-check expect status 200";

/// As they were before hosts could be left out.
const LOOKS_NOWHERE: &str = "\
    option httpchk
    http-check send meth GET uri /up
    http-check expect status 200";

/// As they start up until their first check, and as `switch config` has them start.
const STATES: &str = "\
    load-server-state-from-file local
    server-state-file-name @DIR@/map/shop_blue.state";

fn start(checks: &str) -> Router {
    start_with(checks, "100ms", "")
}

fn start_with(checks: &str, inter: &str, states: &str) -> Router {
    Router::launch(BEFORE, |at, port| {
        CHECKED
            .replace("@CHECKS@", checks)
            .replace("@INTER@", inter)
            .replace("@STATES@", states)
            .replace("@DIR@", at)
            .replace("@PORT@", &port.to_string())
    })
}

/// Which servers of blue are up.
fn up(router: &Router) -> Vec<String> {
    let haproxy = router.haproxy();
    let view = haproxy
        .view(&shell::read(&haproxy.observe_script("lb1")))
        .expect("a view");
    let servers = view.backends[&Pool::Blue].iter().filter(|server| server.up);
    servers.map(|server| server.name.clone()).collect()
}

fn left_out(router: &Router, pool: Pool) -> Vec<String> {
    let haproxy = router.haproxy();
    let view = haproxy
        .view(&shell::read(&haproxy.observe_script("lb1")))
        .expect("a view");
    view.left_out[&pool].clone()
}

fn leave_out(router: &Router, servers: &[&str]) {
    let servers: Vec<String> = servers.iter().map(|server| (*server).to_owned()).collect();
    let output = shell::read(
        &router
            .haproxy()
            .leave_out_script(Pool::Blue, &servers)
            .expect("a script"),
    );
    assert!(output.ok(), "{}", output.complaint());
    assert_eq!(left_out(router, Pool::Blue), servers);
    assert!(left_out(router, Pool::Green).is_empty());
    assert_eq!(router.left_behind(), 0);
}

#[test]
fn who_is_left_out_is_down_until_it_is_put_in_again() {
    let router = start(LOOKS);
    router.wait("both servers", || up(&router) == ["web1", "web2"]);
    leave_out(&router, &["web2"]);
    // It is as well as it was: only the router's question has changed.
    router.wait("web2 to be down", || up(&router) == ["web1"]);
    assert_eq!(router.get(), "well");
    router.reload();
    router.wait("web1 after a reload", || up(&router) == ["web1"]);
    // Other lines stand as they did, and another server takes the place of the first.
    assert_eq!(router.map().replace("shop/shop_blue/web2 *\n", ""), BEFORE);
    leave_out(&router, &["web1"]);
    router.wait("web2 alone", || up(&router) == ["web2"]);
    leave_out(&router, &[]);
    router.wait("both servers again", || up(&router) == ["web1", "web2"]);
    assert_eq!(router.map(), BEFORE);
}

/// HAProxy starts with every server up, and this one is as well as it was.
#[test]
fn who_is_left_out_is_down_when_a_reload_starts() {
    for (states, expected) in [(STATES, vec!["web1"]), ("", vec!["web1", "web2"])] {
        // Nothing is found by a check while this runs.
        let router = start_with(LOOKS, "1h", states);
        leave_out(&router, &["web2"]);
        router.reload();
        assert_eq!(
            up(&router),
            expected,
            "the second is the control: {}",
            router.log()
        );
        leave_out(&router, &[]);
        router.reload();
        assert_eq!(up(&router), ["web1", "web2"], "{}", router.log());
    }
}

/// A pool whose only server is left out serves nobody: the fault that the planner keeps from happening.
#[test]
fn without_anybody_left_nobody_answers() {
    let router = start(LOOKS);
    router.wait("both servers", || up(&router) == ["web1", "web2"]);
    leave_out(&router, &["web1", "web2"]);
    router.wait("nobody", || up(&router).is_empty());
    assert!(router.get().contains("503"), "{}", router.get());
}

#[test]
fn a_router_whose_checks_do_not_look_is_refused() {
    let router = start(LOOKS_NOWHERE);
    router.wait("both servers", || up(&router) == ["web1", "web2"]);
    let servers = ["web2".to_owned()];
    let output = shell::read(
        &router
            .haproxy()
            .leave_out_script(Pool::Blue, &servers)
            .expect("a script"),
    );
    assert_eq!(output.code, 3, "nothing is changed: {}", output.complaint());
    assert!(
        output.complaint().contains("do not look into"),
        "{}",
        output.complaint()
    );
    assert_eq!(router.map(), BEFORE);
    // The control: there such a line in the map keeps nobody out.
    fs::write(
        router.path("map/pools.map"),
        format!("{BEFORE}shop/shop_blue/web2 *\n"),
    )
    .expect("written");
    router.reload();
    router.wait("both servers", || up(&router) == ["web1", "web2"]);
}
