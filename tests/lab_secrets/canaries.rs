//! Values that must not leak, runs whose words must hold none, and the ways of looking for them.
//!
//! Each way has its control in the tests: a canary that is put into an argument of a host's process is seen by the
//! sampler, the env files are found by the scan of the hosts, and the app's own environment by that of its containers.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;

use super::support::sampler::Sampler;
use super::support::scene::{root, until};
use super::support::{Pointsman, Ran, lab, lab_command};

pub const APP_HOSTS: [&str; 4] = ["web1", "web2", "web3", "web4"];
pub const ROUTERS: [&str; 2] = ["lb1", "lb2"];

/// A value that nothing else holds.
pub fn random(start: &str) -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    format!("{start}{}", read.trim().replace('-', ""))
}

/// What pointsman is given of secrets, by the name that a failure shows instead of the value.
#[derive(Default)]
pub struct Canaries {
    names: Vec<String>,
    /// What is looked for: the values, and what base64 makes of them.
    needles: Vec<String>,
}

impl Canaries {
    pub fn add(&mut self, name: &str, value: &str) {
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
    pub fn within(&self, text: &str) -> Vec<&str> {
        let hits = self.names.iter().zip(&self.needles);
        hits.filter(|(_, needle)| text.contains(needle.as_str()))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// Runs whose words must hold no secret, while the command lines of all processes are looked at.
pub struct Runs {
    pub canaries: Canaries,
    /// What stands in the environment of each.
    variables: Vec<(&'static str, String)>,
    pub count: usize,
    sampler: Sampler,
    control: String,
}

impl Runs {
    pub fn new(canaries: Canaries, variables: Vec<(&'static str, String)>) -> Runs {
        let control = random("control");
        let mut needles = canaries.needles.clone();
        needles.push(control.clone());
        Runs {
            sampler: Sampler::start(needles),
            canaries,
            variables,
            count: 0,
            control,
        }
    }

    pub fn ran(&mut self, pointsman: &Pointsman, args: &[&str], code: i32) -> Ran {
        self.ran_with(pointsman, args, code, &[])
    }

    /// With other variables than the usual ones.
    pub fn ran_with(
        &mut self,
        pointsman: &Pointsman,
        args: &[&str],
        code: i32,
        others: &[(&str, &str)],
    ) -> Ran {
        let ran = self.started(pointsman, args, others);
        assert_eq!(ran.code(), code, "pointsman {args:?}\n{}", ran.text());
        ran
    }

    /// However it ends.
    pub fn any(&mut self, pointsman: &Pointsman, args: &[&str]) -> Ran {
        self.started(pointsman, args, &[])
    }

    fn started(&mut self, pointsman: &Pointsman, args: &[&str], others: &[(&str, &str)]) -> Ran {
        self.count += 1;
        let usual = self.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let variables: Vec<(&str, &str)> = usual.chain(others.iter().copied()).collect();
        let ran = pointsman.run_with(args, &variables);
        let found = self.canaries.within(&ran.text());
        assert!(found.is_empty(), "pointsman {args:?} printed {found:?}");
        ran
    }

    /// The end of looking at command lines, among which must have been those of these programs; what is to be looked for
    /// elsewhere.
    pub fn end(self, programs: &[&str]) -> Canaries {
        // The control: `exec` keeps the argument in the process's command line.
        root("web1", &format!("exec sh -c 'sleep 0.3' {}", self.control));
        let number = self.canaries.needles.len();
        until("the sampler's control", Duration::from_secs(5), || {
            self.sampler
                .so_far(|seen| seen.found.iter().any(|(found, _)| *found == number))
        });
        self.sampler.so_far(|seen| {
            println!(
                "{} runs; {} samples of all processes, {} processes seen",
                self.count,
                seen.samples,
                seen.processes.len()
            );
            for program in programs {
                assert!(
                    seen.programs.contains(*program),
                    "no {program} was seen: {:?}",
                    seen.programs
                );
            }
            let leaks = seen.found.iter().filter(|(found, _)| *found != number);
            let leaks: Vec<_> = leaks
                .map(|(found, line)| (&self.canaries.names[*found], line))
                .collect();
            assert!(leaks.is_empty(), "in a command line: {leaks:?}");
        });
        self.canaries
    }
}

/// The state directory: journals, receipts.
pub fn the_operators_machine(canaries: &Canaries, pointsman: &Pointsman) {
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

/// The configuration of each container: the app's environment is where its secrets belong, and nowhere else; how many are
/// there.
pub fn the_containers(canaries: &Canaries, host: &str) -> usize {
    let all = lab_command(&["root", host, "sh", "-c", "docker inspect $(docker ps -aq)"]);
    let all: Vec<serde_json::Value> = serde_json::from_str(&all).unwrap();
    assert!(!all.is_empty());
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
    at_home
}

/// Files under what pointsman, docker and ssh write: only a release's own env file may hold any; how many do.
pub fn the_files_of(canaries: &Canaries, host: &str) -> usize {
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
    at_home.len()
}
