//! Faults that are found before anything is changed, on real servers (docs/faults.md: preflight; 27 and 33).
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;

use support::scene::{changed, containers, root};
use support::{Fault, Pointsman, lab, lab_command, reset};

/// What a release of this app needs is less than this many MiB, and more than the half of it.
const ROOM: u64 = 100;

/// One deployed state for all: v1 is hot on green, and blue, which was never deployed to, is looked at. Every refusal
/// leaves the epoch as it is.
#[test]
fn faults_found_before_anything_is_changed() {
    reset("two-pools");
    let pointsman = Pointsman::new("two-pools");
    pointsman.expect(&["deploy", "v1"], 0);
    let epoch = || root("lb1", "cat /home/deploy/shop/.pointsman/shop/two-pools/epoch");
    let before = epoch();
    pointsman.expect(&["plan", "v2"], 0);
    too_little_room_for_the_layers(&pointsman);
    too_few_inodes(&pointsman);
    no_room_in_the_state_folder(&pointsman);
    a_stranger_in_the_project(&pointsman);
    an_image_for_another_architecture(&pointsman);
    an_env_file_that_lost_a_variable(&pointsman);
    assert_eq!(before, epoch(), "nothing was changed");
    pointsman.expect(&["plan", "v2"], 0);
    deploys_that_leave_no_way_back(&pointsman);
}

/// Row 21: the margin is there, but not what the layers need beside it. The control is a margin that leaves room.
fn too_little_room_for_the_layers(_: &Pointsman) {
    let free = root(
        "web1",
        "df -Pk /var/lib/docker | awk 'NR == 2 { print int($4 / 1024) }'",
    );
    let free: u64 = free.trim().parse().unwrap();
    let with_margin = |mib: u64| {
        let margin = format!("[app]\ndisk_margin = \"{mib}MiB\"\n");
        changed("margin", &[("common.toml", "[app]\n", &margin)])
    };
    let ran = with_margin(free - ROOM).expect(&["plan", "v2"], 50);
    ran.says(&[
        "web1",
        "the disk of Docker's root has too little room",
        "MiB free, found",
    ]);
    with_margin(free - 20 * ROOM).expect(&["plan", "v2"], 0);
}

/// Row 21: the engine's folder has bytes, and no inodes: a file system with few of them lies over it for a moment.
fn too_few_inodes(pointsman: &Pointsman) {
    root(
        "web1",
        "mount -t tmpfs -o nr_inodes=5000,size=20g few /var/lib/docker",
    );
    let ran = pointsman.run(&["plan", "v2"]);
    let few = root("web1", "df -Pi /var/lib/docker | awk 'NR == 2 { print $4 }'");
    root("web1", "umount /var/lib/docker");
    assert!(few.trim().parse::<u64>().unwrap() < 5000, "the fault was on");
    assert_eq!(ran.code(), 50, "{}", ran.text());
    ran.says(&["web1", "nearly out of inodes: expected 10000 free, found"]);
}

/// Rows 21 and 75: there would be no room for a release's files, nor for a journal.
fn no_room_in_the_state_folder(pointsman: &Pointsman) {
    let _full = Fault::on("home-full", "web2");
    let ran = pointsman.expect(&["plan", "v2"], 50);
    ran.says(&[
        "web2",
        "the disk of [app] path is nearly full: expected 50 MiB free, found 0 MiB",
    ]);
}

/// Row 23: a container of the cold pool's project that is not ours. It is refused, and left alone.
fn a_stranger_in_the_project(pointsman: &Pointsman) {
    let create = "docker create --name theirs --label com.docker.compose.project=shop-two-pools-blue \
                  --label com.docker.compose.service=app $(docker images -q | head -n 1) true";
    lab_command(&["ssh", "web1", create]);
    let ran = pointsman.expect(&["plan", "v2"], 50);
    ran.says(&[
        "web1",
        "container theirs is in the project shop-two-pools-blue without this app's labels",
    ]);
    assert!(containers("web1").contains("theirs"), "it is not ours to remove");
    lab_command(&["ssh", "web1", "docker rm theirs"]);
}

/// Rows 24 and 33: a tag whose only image is for another architecture is seen in the registry; no host pulls anything.
fn an_image_for_another_architecture(pointsman: &Pointsman) {
    let push = r#"set -eu
        call() { curl -fsS --cacert "$REGISTRY_CA" -u "$REGISTRY_USER:$REGISTRY_PASSWORD" "$@"; }
        kind=application/vnd.docker.distribution.manifest.v2+json
        for name in shop shop-nginx; do
          at=https://$REGISTRY/v2/$name
          manifest=$(call -H "Accept: $kind" "$at/manifests/v2")
          config=$(call -L "$at/blobs/$(jq -r .config.digest <<<"$manifest")" | jq -c '.architecture = "arm64"')
          digest=sha256:$(printf %s "$config" | sha256sum | cut -d' ' -f1)
          to=$(call -i -X POST "$at/blobs/uploads/" | tr -d '\r' | awk 'tolower($1) == "location:" { print $2 }')
          printf %s "$config" | call -X PUT -H 'Content-Type: application/octet-stream' --data-binary @- "$to&digest=$digest"
          jq -c --arg d "$digest" --argjson n "$(printf %s "$config" | wc -c)" '.config.digest = $d | .config.size = $n' \
            <<<"$manifest" | call -X PUT -H "Content-Type: $kind" --data-binary @- "$at/manifests/v-arm"
        done"#;
    let pushed = Command::new("bash")
        .args(["-c", push])
        .envs(lab())
        .output()
        .unwrap();
    assert!(
        pushed.status.success(),
        "{}",
        String::from_utf8_lossy(&pushed.stderr)
    );
    let ran = pointsman.expect(&["deploy", "v-arm"], 50);
    ran.says(&["is not built for amd64", "found arm64", "--platform linux/amd64"]);
}

/// Row 27: a variable is gone and one is blank that the hot release has values for. Both are named, and no value; one
/// that was blank before is not missed. That it is meant is said for each. (`refuse_lost` taken out: both plans are
/// made, seen by hand.)
fn an_env_file_that_lost_a_variable(_: &Pointsman) {
    let lost = changed(
        "lost",
        &[
            (".env.two-pools", "SECRET_KEY_BASE=", "# SECRET_KEY_BASE="),
            (".env.two-pools", "LAB_PLAIN=plain", "LAB_PLAIN="),
        ],
    );
    let ran = lost.expect(&["deploy", "v2"], 50);
    ran.says(&[
        "the env file lost LAB_PLAIN, SECRET_KEY_BASE",
        "v1 (hot on green)",
        "--drop-env LAB_PLAIN",
    ]);
    assert!(!ran.text().contains("LAB_EMPTY"), "{}", ran.text());
    lost.expect(&["plan", "v2", "--drop-env", "LAB_PLAIN"], 50)
        .says(&["lost SECRET_KEY_BASE"]);
    let leave = [
        "plan",
        "v2",
        "--drop-env",
        "LAB_PLAIN",
        "--drop-env",
        "SECRET_KEY_BASE",
    ];
    lost.expect(&leave, 0);
}

/// Row 25: the standby's files are gone from a host, so that nothing could start it again; the pool that serves is dead,
/// so that there is nothing to go back to. Both are said before the deploy; where all is well nothing is.
fn deploys_that_leave_no_way_back(pointsman: &Pointsman) {
    pointsman.expect(&["deploy", "v2"], 0);
    let plan = || pointsman.expect(&["plan", "v3"], 0);
    assert!(!plan().text().contains("warning"), "{}", plan().text());
    let kept = "/home/deploy/shop/.pointsman/shop/two-pools/green/releases";
    root("web3", &format!("mv {kept} {kept}.away"));
    plan()
        .says(&["warning: no rollback to v1 from here on: green is replaced, and web3 no longer keeps v1-"]);
    root("web3", &format!("rm -rf {kept} && mv {kept}.away {kept}"));
    assert!(!plan().text().contains("warning"), "{}", plan().text());

    let dead = ["web1", "web2"].map(|host| Fault::on("pool-down", host));
    support::scene::wait_seen(["web1", "web2"], &["lb1", "lb2"], false);
    plan().says(&[
        "warning: no rollback after this: blue would be the standby, and lb1 sees 0 of 2 servers of blue up",
    ]);
    drop(dead);
}
