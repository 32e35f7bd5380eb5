//! Secrets stay where they belong (invariant 12): canary values stand in the env file, in the registry's password, in name
//! servers' keys and tokens and in variables of the environment, and are looked for wherever they could have gone.
#![allow(dead_code, clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "figures are part of the test's output")]

#[path = "lab_secrets/canaries.rs"]
mod canaries;
#[path = "lab_secrets/names.rs"]
mod names;
#[path = "support/process.rs"]
mod process;
#[path = "dns_zones/server.rs"]
mod server;
mod support;

use std::path::Path;

use canaries::{
    APP_HOSTS, Canaries, ROUTERS, Runs, random, the_containers, the_files_of, the_operators_machine,
};
use support::scene::changed;
use support::{Pointsman, lab, reset};

fn long() -> bool {
    std::env::var("POINTSMAN_LONG").is_ok_and(|long| !long.is_empty())
}

/// About 20 runs; 200 with `POINTSMAN_LONG=long`, most of them flips and rollbacks.
#[test]
fn no_secret_is_where_it_does_not_belong() {
    reset("two-pools");
    let mut canaries = Canaries::default();
    let (token, wrong) = (random("token"), random("wrong"));
    // The last line without a newline would be joined with ours.
    let pointsman = changed(
        "secrets",
        &[(
            ".env.two-pools",
            "LAB_PLAIN=plain\n",
            &format!("LAB_PLAIN=plain\nAPI_TOKEN={token}\n"),
        )],
    );
    let lost = changed("secrets-lost", &[(".env.two-pools", "LAB_PLAIN=plain\n", "")]);
    // The registry's own password, the database's in its URL, the app's key: the lab made them at random.
    let env = std::fs::read_to_string(Path::new(&lab()["INVENTORY_DIR"]).join(".env.two-pools")).unwrap();
    let key = env.lines().find_map(|line| line.strip_prefix("SECRET_KEY_BASE="));
    let password = lab()["REGISTRY_PASSWORD"].clone();
    canaries.add("API_TOKEN of the env file", &token);
    canaries.add("SECRET_KEY_BASE of the env file", key.unwrap());
    canaries.add("the database's password", &lab()["DATABASE_PASSWORD"]);
    canaries.add("the registry's password", &password);
    canaries.add("a wrong password, from a variable", &wrong);

    let mut runs = Runs::new(canaries, vec![("LAB_REGISTRY_PASSWORD", password)]);
    a_round(&mut runs, &pointsman, &lost, &wrong);
    // How these end is not judged here: a machine that is slow is no leak, and a deploy that it fails is one more way.
    let mut ended_well = 0;
    while long() && runs.count < 200 {
        let ran = match runs.count % 25 {
            7 => runs.any(&pointsman, &["--json", "status"]),
            13 => runs.any(&pointsman, &["-v", "deploy", "v2"]),
            _ => runs.any(&pointsman, &["rollback"]),
        };
        ended_well += u32::from(ran.code() == 0);
    }
    println!("{ended_well} of the long part ended well");
    assert!(!long() || ended_well > 120);

    let canaries = runs.end(&["pointsman", "ssh", "docker", "docker-compose", "flock"]);
    the_operators_machine(&canaries, &pointsman);
    for host in APP_HOSTS {
        let at_home = the_containers(&canaries, host);
        assert!(at_home > 0, "{host}: the app has its secrets");
    }
    for host in APP_HOSTS.into_iter().chain(ROUTERS) {
        let at_home = the_files_of(&canaries, host);
        assert_eq!(at_home == 0, host.starts_with("lb"), "{host}: {at_home}");
    }
}

/// Every kind of run, well and ill; it ends with v1 and v2 deployed.
fn a_round(runs: &mut Runs, pointsman: &Pointsman, lost: &Pointsman, wrong: &str) {
    let wrong = [("LAB_REGISTRY_PASSWORD", wrong)];
    let refused = runs.ran_with(pointsman, &["deploy", "v1"], 50, &wrong);
    refused.says(&["registry", "401"]);
    runs.ran_with(pointsman, &["-v", "doctor"], 50, &wrong);
    runs.ran(pointsman, &["plan", "v1"], 0);
    runs.ran(pointsman, &["-v", "deploy", "v1"], 0);
    runs.ran(pointsman, &["deploy", "v-noimg"], 50);
    runs.ran(lost, &["deploy", "v2"], 50)
        .says(&["API_TOKEN", "LAB_PLAIN"]);
    runs.ran(pointsman, &["-v", "deploy", "v-bad"], 10);
    runs.ran(pointsman, &["--json", "deploy", "v-nomigrate"], 10);
    runs.ran(pointsman, &["--json", "deploy", "v2", "--no-flip"], 0);
    runs.ran(pointsman, &["--json", "status"], 0);
    runs.ran(pointsman, &["--json", "flip"], 0);
    runs.ran(pointsman, &["-v", "rollback"], 0);
    runs.ran(pointsman, &["-v", "doctor"], 0);
    runs.ran(pointsman, &["--json", "history"], 0);
    runs.ran(pointsman, &["releases"], 0);
    runs.ran(pointsman, &["lock", "status"], 0);
    runs.ran(pointsman, &["--json", "validate"], 0);
    runs.ran(pointsman, &["prune"], 0);
    runs.ran(pointsman, &["rollback"], 0);
}
