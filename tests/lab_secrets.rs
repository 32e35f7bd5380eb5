//! Secrets stay where they belong (invariant 12): canary values stand in the env file, in the registry's password and in
//! a variable of the environment, and are looked for wherever they could have gone.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "figures are part of the test's output")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use support::sampler::Sampler;
use support::scene::{changed, root, until};
use support::{Pointsman, Ran, lab, lab_command, reset};

const APP_HOSTS: [&str; 4] = ["web1", "web2", "web3", "web4"];
const ROUTERS: [&str; 2] = ["lb1", "lb2"];

/// What pointsman is given of secrets, by the name that a failure shows instead of the value.
struct Canaries {
    names: Vec<String>,
    /// What is looked for: the values, and what base64 makes of them.
    needles: Vec<String>,
    wrong: String,
}

impl Canaries {
    fn new() -> Canaries {
        let random = || {
            let read = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
            format!("canary{}", read.trim().replace('-', ""))
        };
        Canaries {
            names: Vec::new(),
            needles: Vec::new(),
            wrong: random(),
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        let mut needles = vec![(name.to_owned(), value.to_owned())];
        // Wherever it starts in what is encoded; the characters at the ends depend on what is around.
        for offset in 0..3 {
            let padded = format!("{}{value}", &"   "[..offset]);
            let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(padded);
            let middle = text[(offset * 8).div_ceil(6)..].chars().take(30).collect();
            needles.push((format!("{name}, base64 {offset}"), middle));
        }
        for (name, needle) in needles {
            self.names.push(name);
            self.needles.push(needle);
        }
    }

    /// Names of those that stand in this text.
    fn within(&self, text: &str) -> Vec<&str> {
        let hits = self.names.iter().zip(&self.needles);
        hits.filter(|(_, needle)| text.contains(needle.as_str()))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// One run, whose words must hold no secret.
struct Runs<'a> {
    canaries: &'a Canaries,
    password: &'a str,
    count: usize,
}

impl Runs<'_> {
    fn ran(&mut self, pointsman: &Pointsman, args: &[&str], code: i32) -> Ran {
        self.ran_as(pointsman, args, code, self.password)
    }

    fn ran_as(&mut self, pointsman: &Pointsman, args: &[&str], code: i32, password: &str) -> Ran {
        let ran = self.started(pointsman, args, password);
        assert_eq!(ran.code(), code, "pointsman {args:?}\n{}", ran.text());
        ran
    }

    /// However it ends.
    fn any(&mut self, pointsman: &Pointsman, args: &[&str]) -> Ran {
        self.started(pointsman, args, self.password)
    }

    fn started(&mut self, pointsman: &Pointsman, args: &[&str], password: &str) -> Ran {
        self.count += 1;
        let ran = pointsman.run_with(args, &[("LAB_REGISTRY_PASSWORD", password)]);
        let found = self.canaries.within(&ran.text());
        assert!(found.is_empty(), "pointsman {args:?} printed {found:?}");
        ran
    }
}

/// About 20 runs; 200 with `POINTSMAN_LONG=long`, most of them flips and rollbacks.
///
/// Each way of looking has its control here: a canary that is put into an argument of a host's process is seen by the
/// sampler, the env files are found by the scan of the hosts, and the app's own environment by that of its containers.
#[test]
fn no_secret_is_where_it_does_not_belong() {
    reset("two-pools");
    let mut canaries = Canaries::new();
    let token = canaries.wrong.replace("canary", "token");
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
    let wrong = canaries.wrong.clone();
    canaries.add("API_TOKEN of the env file", &token);
    canaries.add("SECRET_KEY_BASE of the env file", key.unwrap());
    canaries.add("the database's password", &lab()["DATABASE_PASSWORD"]);
    canaries.add("the registry's password", &password);
    canaries.add("a wrong password, from a variable", &wrong);
    let control = format!("control{token}");
    let mut needles = canaries.needles.clone();
    needles.push(control.clone());
    let control_number = needles.len() - 1;

    let sampler = Sampler::start(needles);
    let mut runs = Runs {
        canaries: &canaries,
        password: &password,
        count: 0,
    };
    a_round(&mut runs, &pointsman, &lost, &wrong);
    let long = std::env::var("POINTSMAN_LONG").is_ok_and(|long| !long.is_empty());
    // How these end is not judged here: a machine that is slow is no leak, and a deploy that it fails is one more way.
    let mut ended_well = 0;
    while long && runs.count < 200 {
        let ran = match runs.count % 25 {
            7 => runs.any(&pointsman, &["--json", "status"]),
            13 => runs.any(&pointsman, &["-v", "deploy", "v2"]),
            _ => runs.any(&pointsman, &["rollback"]),
        };
        ended_well += u32::from(ran.code() == 0);
    }
    assert!(
        !long || ended_well > 120,
        "{ended_well} of {} ended well",
        runs.count
    );

    // The control of the sampler: `exec` keeps the argument in the process's command line.
    root("web1", &format!("exec sh -c 'sleep 0.3' {control}"));
    until("the sampler's control", Duration::from_secs(5), || {
        sampler.so_far(|seen| seen.found.iter().any(|(number, _)| *number == control_number))
    });
    sampler.so_far(|seen| {
        println!(
            "{} runs ({ended_well} of the long part ended well); {} samples of all processes, {} processes seen",
            runs.count,
            seen.samples,
            seen.processes.len()
        );
        for program in ["pointsman", "ssh", "docker", "docker-compose", "flock"] {
            assert!(
                seen.programs.contains(program),
                "no {program} was seen: {:?}",
                seen.programs
            );
        }
        let leaks = seen.found.iter().filter(|(_, line)| !line.contains(&control));
        let leaks: Vec<_> = leaks
            .map(|(number, line)| (&canaries.names[*number], line))
            .collect();
        assert!(leaks.is_empty(), "in a command line: {leaks:?}");
    });
    drop(sampler);
    the_operators_machine(&canaries, &pointsman);
    for host in APP_HOSTS {
        the_containers(&canaries, host);
    }
    for host in APP_HOSTS.into_iter().chain(ROUTERS) {
        the_files_of(&canaries, host);
    }
}

/// Every kind of run, well and ill; it ends with v1 and v2 deployed.
fn a_round(runs: &mut Runs<'_>, pointsman: &Pointsman, lost: &Pointsman, wrong: &str) {
    let refused = runs.ran_as(pointsman, &["deploy", "v1"], 50, wrong);
    refused.says(&["registry", "401"]);
    runs.ran_as(pointsman, &["-v", "doctor"], 50, wrong);
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

/// The state directory: journals, receipts.
fn the_operators_machine(canaries: &Canaries, pointsman: &Pointsman) {
    fn look(folder: &Path, canaries: &Canaries, files: &mut usize) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                look(&path, canaries, files);
            } else {
                *files += 1;
                let found = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                let found = canaries.within(&found);
                assert!(found.is_empty(), "{}: {found:?}", path.display());
            }
        }
    }
    let mut files = 0;
    look(pointsman.state(), canaries, &mut files);
    println!("{files} files of the operator's state, nothing in them");
    assert!(files > 0, "no journal was written");
}

/// The configuration of each container: the app's environment is where secrets belong, and nowhere else.
fn the_containers(canaries: &Canaries, host: &str) {
    let all = lab_command(&["root", host, "sh", "-c", "docker inspect $(docker ps -aq)"]);
    let all: Vec<serde_json::Value> = serde_json::from_str(&all).unwrap();
    let mut at_home = 0;
    for mut container in all {
        let config = &mut container["Config"];
        if config["Labels"]["com.docker.compose.service"] == "app" {
            let environment = config["Env"].take();
            at_home += canaries.within(&environment.to_string()).len();
        }
        let found = canaries.within(&container.to_string());
        assert!(found.is_empty(), "{host}, {}: {found:?}", container["Name"]);
    }
    assert!(at_home > 0, "{host}: the app has its secrets");
}

/// Files under what pointsman, docker and ssh write: only a release's own env file may hold any.
fn the_files_of(canaries: &Canaries, host: &str) {
    // The needles go by standard input, so that they do not stand in an argument here either. What runc keeps of a
    // container holds its environment.
    let command = "grep -rlFs -D skip --exclude-dir=containerd --exclude-dir=docker -f - \
                   /home/deploy /root /tmp /var/tmp /run /var/log /etc || :; \
                   ls -d /root/.docker /home/deploy/.docker /run/user/*/pointsman-* /tmp/pointsman-* 2>/dev/null || :";
    let mut child = Command::new("docker")
        .args([
            "exec",
            "-i",
            &format!("{}-{host}", lab()["LAB_NAME"]),
            "sh",
            "-c",
            command,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(canaries.needles.join("\n").as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    let (at_home, elsewhere): (Vec<&str>, Vec<&str>) = found
        .lines()
        .partition(|path| path.contains("/releases/") && path.ends_with("/.env"));
    assert!(elsewhere.is_empty(), "{host}: {elsewhere:?}");
    println!(
        "{host}: {} env files of releases, nothing elsewhere",
        at_home.len()
    );
    assert_eq!(at_home.is_empty(), host.starts_with("lb"), "{host}: {found}");
}
