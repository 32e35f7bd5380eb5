//! What `switch config` prints is a configuration that HAProxy takes.
#![allow(clippy::unwrap_used, reason = "a test ends there, as it should")]

use std::process::Command;

#[test]
fn haproxy_takes_the_configuration_as_printed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let printed = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["-i", "tests/cmd/inventory/good.toml", "switch", "config"])
        .output()
        .unwrap();
    assert!(printed.status.success());
    // Only where things lie is another: this machine is no router, and HAProxy wants each server's
    // name to resolve.
    let text = String::from_utf8(printed.stdout)
        .unwrap()
        .replace("/etc/haproxy/pointsman/pools.map", &at("pools.map"))
        .replace("/run/haproxy/admin.sock", &at("admin.sock"))
        .replace(" group haproxy", "")
        .replace(".example.com:80", ".localhost:80")
        .replace("default-server check", "default-server init-addr last,none check");
    std::fs::write(at("pools.map"), "shop blue:blue:0\n").unwrap();
    std::fs::write(at("haproxy.cfg"), &text).unwrap();
    let check = Command::new("haproxy")
        .args(["-c", "-f", &at("haproxy.cfg")])
        .output()
        .expect("haproxy is installed by tests/run.sh");
    let said = String::from_utf8_lossy(&check.stderr).into_owned() + &String::from_utf8_lossy(&check.stdout);
    assert!(
        check.status.success() && !said.contains("WARNING"),
        "{said}\n{text}"
    );
}
