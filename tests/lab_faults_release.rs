//! Faults of a release on its way to the hosts, on real servers (docs/faults.md: upload, login, pull).
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::load::Load;
use support::scene::{changed, hits, none_lost, root, until};
use support::{Fault, Pointsman, Running, lab, lab_command, reset, routers};

/// Longest that what is under way may take to be seen: a run's way to its pull, on a machine that is busy.
const LONG: Duration = Duration::from_secs(90);

/// One deployed state for all: v1 is hot on green until the last section.
#[test]
fn faults_of_a_release_on_its_way() {
    reset("two-pools");
    // Before the load: an image of 1 GiB that is built and pushed on the machine of the app's hosts takes its processors.
    for (tag, recipe, filler) in [
        ("v-moved", "v2", "random:4k"),
        ("v-other", "v3", "random:4k"),
        ("v-big", "v2", "random:8M"),
        ("v-zeros", "v2", "zeros:1G"),
    ] {
        lab_command(&["release", tag, recipe, filler]);
    }
    let pointsman = Pointsman::new("two-pools");
    pointsman.expect(&["deploy", "v1"], 0);
    let load = Load::start(&routers("ROUTER_URLS"), "/version", 50);
    a_tag_that_moves_while_the_registry_is_away(&pointsman);
    a_pull_that_is_killed_and_one_that_stalls();
    a_disk_that_is_full_in_the_middle_of_a_pull();
    a_rollback_after_the_env_file_changed(&pointsman);
    none_lost("a release on its way", &load.stop());
}

/// The tag `to` names what `from` names.
fn move_tag(from: &str, to: &str) {
    let text = r#"set -eu
        call() { curl -fsS --cacert "$REGISTRY_CA" -u "$REGISTRY_USER:$REGISTRY_PASSWORD" "$@"; }
        kind=application/vnd.docker.distribution.manifest.v2+json
        for name in shop shop-nginx; do
          at=https://$REGISTRY/v2/$name/manifests
          call -H "Accept: $kind" "$at/$1" | call -X PUT -H "Content-Type: $kind" --data-binary @- "$at/$2"
        done"#;
    let moved = Command::new("bash")
        .args(["-c", text, "bash", from, to])
        .envs(lab())
        .output();
    assert!(moved.unwrap().status.success());
}

fn digests(pointsman: &Pointsman, tag: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    pointsman.expect(&["plan", tag, "-o", file.to_str().unwrap()], 0);
    let plan: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let images = plan["release"]["images"].as_array().unwrap();
    let app = images.iter().find(|image| image["service"] == "app").unwrap();
    app["digest"].as_str().unwrap().to_owned()
}

/// Rows 31 and 34: no host reaches the registry when they want to pull; until they do the tag names another image. They
/// try again, and both get what the tag named when the run was planned. With one try (PULL_TRIES) the run ends with 10;
/// pulling by tag gets the other image (seen by hand).
fn a_tag_that_moves_while_the_registry_is_away(pointsman: &Pointsman) {
    let planned = digests(pointsman, "v-moved");
    let hosts = ["web1", "web2"];
    let refused = hosts.map(|host| Fault::on("registry-refused", host));
    let run = Running::of(pointsman, &["-v", "deploy", "v-moved", "--no-flip"]);
    until("hosts that were refused", LONG, || {
        hosts.iter().all(|host| hits("registry-refused", host) > 0)
    });
    move_tag("v-other", "v-moved");
    drop(refused);
    let (code, text) = run.wait();
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("pulls again, because the registry cannot be reached from the server"),
        "{text}"
    );
    assert_ne!(planned, digests(pointsman, "v-moved"), "the tag moved");
    for host in hosts {
        let image =
            "docker inspect -f '{{.Image}}' $(docker ps -q --filter label=com.docker.compose.service=app)";
        let runs = root(
            host,
            &format!("docker image inspect -f '{{{{.RepoDigests}}}}' $({image})"),
        );
        assert!(
            runs.contains(&planned),
            "{host} runs {runs}, and {planned} was planned"
        );
    }
}

/// What a pull leaves of its login on a host.
fn logins(host: &str) -> usize {
    let find = "find /run /tmp -maxdepth 3 -type d -name 'pointsman-docker-*' 2>/dev/null | wc -l";
    root(host, find).trim().parse().unwrap()
}

/// Rows 32 and 35: one host's way to the registry is slow. Slow is well, for three times as long as a stall may be.
/// Everything of that user's is killed with -9 in the middle of it: the login's folder is left, until the next run. Then
/// nothing arrives any more: the pull is ended with words, and tried again. The other host had its image long before.
/// Without `pull_watch` the second run waits for its deadline of ten minutes (seen by hand).
fn a_pull_that_is_killed_and_one_that_stalls() {
    let stall = "[app]\npull_stall = \"8s\"\n";
    let pointsman = changed("stalls", &[("common.toml", "[app]\n", stall)]);
    let pulling = || {
        root("web1", "pgrep -u deploy -f 'docker pull' || :")
            .lines()
            .count()
            > 0
    };
    let planned = digests(&pointsman, "v-big");
    let there = || root("web2", "docker images --digests").contains(&planned);
    let slow = Fault::on("slow-link", "web1");
    let run = Running::of(&pointsman, &["-v", "deploy", "v-big", "--no-flip"]);
    until("a pull", LONG, pulling);
    assert!(logins("web1") > 0);
    root("web1", "pkill -KILL -u deploy");
    let (code, text) = run.wait();
    assert_ne!(code, 0, "{text}");
    assert!(text.contains("web1"), "{text}");
    assert!(logins("web1") > 0, "kill -9 leaves it");

    let run = Running::of(&pointsman, &["-v", "deploy", "v-big", "--no-flip"]);
    until("a pull", LONG, pulling);
    let began = Instant::now();
    until("three times the stall", LONG, || {
        began.elapsed() > Duration::from_secs(24)
    });
    assert!(pulling(), "slow is no stall");
    assert!(there(), "the other host is not held up");
    let silent = Fault::on("registry-silent", "web1");
    until("the end of the pull", LONG, || !pulling());
    assert!(hits("registry-silent", "web1") > 0, "the fault fired");
    drop(silent);
    drop(slow);
    let (code, text) = run.wait();
    assert!(text.contains("pulls again, because it stalled"), "{text}");
    assert_eq!(code, 0, "{text}");
    assert_eq!(logins("web1"), 0, "the login that was left, and its own");
}

/// Row 36: an image that is small to fetch and too large to unpack. The host is named, what was unpacked of it is
/// removed, nothing was migrated, and the pool that serves does not notice.
fn a_disk_that_is_full_in_the_middle_of_a_pull() {
    let _full = Fault::on("disk-full", "web2");
    let filler = "/var/lib/docker/.lab-filler";
    let free = || {
        let kib = root("web2", "df -Pk /var/lib/docker | awk 'NR == 2 { print $4 }'");
        kib.trim().parse::<u64>().unwrap() / 1024
    };
    root("web2", &format!("truncate -s -600M {filler}"));
    let before = free();
    let pointsman = changed(
        "full",
        &[("common.toml", "[app]\n", "[app]\ndisk_margin = \"10MiB\"\n")],
    );
    let ran = pointsman.expect(&["deploy", "v-zeros"], 10);
    ran.says(&["web2", "shop@sha256:", "no space left on the server"]);
    assert!(!ran.text().contains("migrat"), "{}", ran.text());
    until("what was unpacked to be gone", LONG, || free() + 50 > before);
    pointsman
        .expect(&["status"], 0)
        .says(&["green is hot", "lock: free"]);
}

/// Row 29: what the app has in its environment is its release's: after a flip back, and after a start of a retained
/// release whose containers are gone. With the inventory's env file sent again at a rollback it would be the third one.
fn a_rollback_after_the_env_file_changed(pointsman: &Pointsman) {
    let with = |value: &str| {
        let line = format!("LAB_PLAIN={value}");
        changed(value, &[(".env.two-pools", "LAB_PLAIN=plain", &line)])
    };
    let asks = || {
        let url = lab()["ROUTER_URLS"].split(' ').next().unwrap().to_owned();
        let output = Command::new("curl")
            .args(["-fsS", &format!("{url}/env/LAB_PLAIN")])
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).trim().to_owned()
    };
    with("second").expect(&["deploy", "v2"], 0);
    assert_eq!(asks(), "second");
    pointsman.expect(&["rollback"], 0);
    assert_eq!(asks(), "plain");
    let third = with("third");
    third.expect(&["deploy", "v-bad"], 10);
    third.expect(&["rollback"], 0).says(&["retained"]);
    assert_eq!(asks(), "second");
}
