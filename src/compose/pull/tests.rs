use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;

use super::*;
use crate::compose::testing::{mode, program, project, run, with_path};

/// Longer than any of these pulls is silent, but for the one that stalls.
const STALL: Duration = Duration::from_secs(2);

/// A docker that has one image, and writes down what it was told and which credentials it saw.
const DOCKER: &str = r#"
dir=${0%/*}
printf '%s\n' "$*" >>"$dir/calls"
case "$1 $2" in
  "image inspect") case $* in *old@*) exit 0 ;; *) exit 1 ;; esac ;;
  "context inspect") echo unix:///elsewhere.sock ;;
  "login "*) cat >"$dir/password"; stat -c '%a' "$DOCKER_CONFIG" >"$dir/mode"
    echo auth >"$DOCKER_CONFIG/config.json"; echo 'WARNING! Your password will be stored unencrypted' >&2
    echo "$DOCKER_HOST" >"$dir/host"; exit "${LOGIN_CODE:-0}" ;;
  "pull "*) cat "$DOCKER_CONFIG/config.json" >"$dir/seen"
    [ -z "${PULL_SAYS:-}" ] || { echo "$PULL_SAYS" >&2; exit 1; } ;;
esac"#;

fn image(name: &str) -> PinnedImage {
    PinnedImage {
        service: name.into(),
        reference: format!("r:5000/{name}:v1"),
        digest: "sha256:0f".into(),
        size: 0,
    }
}

fn registry() -> Registry {
    Registry {
        server: "r:5000".into(),
        username: Some("deployer".into()),
        password: Some(SecretString::from("p'w $x")),
        ca: None,
    }
}

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("run")).expect("made");
        program(&dir.path().join("bin"), "docker", DOCKER);
        Host { dir }
    }

    fn run_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("run")
    }

    fn script(&self, images: &[&str], registry: Option<&Registry>) -> Script {
        let images: Vec<PinnedImage> = images.iter().map(|name| image(name)).collect();
        with_path(
            pull(&project(self.dir.path()), &images, registry, STALL),
            &self.dir.path().join("bin"),
        )
        .export("XDG_RUNTIME_DIR", self.run_dir().to_str().expect("a path"))
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join("bin").join(name)).unwrap_or_default()
    }

    fn left(&self) -> usize {
        std::fs::read_dir(self.run_dir()).expect("there").count()
    }
}

#[test]
fn pulls_what_is_missing_with_a_login_of_its_own() {
    let host = Host::new();
    let output = run(&host.script(&["old", "new", "new"], Some(&registry())));
    assert_eq!(
        pulled(&output).expect("pulled"),
        [
            Pulled {
                image: "r:5000/new@sha256:0f".into(),
                was_present: false
            },
            Pulled {
                image: "r:5000/old@sha256:0f".into(),
                was_present: true
            }
        ]
    );
    assert_eq!(host.read("password"), "p'w $x");
    assert_eq!(host.read("mode"), "700\n");
    assert_eq!(host.read("seen"), "auth\n");
    assert_eq!(host.read("host"), "unix:///elsewhere.sock\n");
    assert!(
        !host.read("calls").contains("p'w"),
        "no secret in an argument list"
    );
    assert!(
        host.read("calls")
            .contains("login r:5000 -u deployer --password-stdin")
    );
    assert_eq!(host.left(), 0);
}

#[test]
fn nothing_missing_needs_no_login() {
    let host = Host::new();
    assert!(pulled(&run(&host.script(&["old"], Some(&registry())))).expect("pulled")[0].was_present);
    assert!(!host.read("calls").contains("login"));
}

#[test]
fn a_host_that_is_logged_in_keeps_its_own_configuration() {
    let host = Host::new();
    let own = host.dir.path().join("own");
    std::fs::create_dir(&own).expect("made");
    std::fs::write(own.join("config.json"), "mine").expect("written");
    let script = host
        .script(&["new"], None)
        .export("DOCKER_CONFIG", own.to_str().expect("a path"));
    assert_eq!(pulled(&run(&script)).expect("pulled").len(), 1);
    assert_eq!(host.read("seen"), "mine");
    assert_eq!(host.left(), 0);
}

#[test]
fn a_refused_login_is_told_and_pulls_nothing() {
    let host = Host::new();
    let script = host.script(&["new"], Some(&registry())).export("LOGIN_CODE", "1");
    let error = pulled(&run(&script)).expect_err("refused");
    assert_eq!(error.what, "login r:5000");
    assert!(!host.read("calls").contains("pull "));
    assert_eq!(host.left(), 0);
}

#[test]
fn a_failed_pull_is_told_with_its_image() {
    let host = Host::new();
    let script = host
        .script(&["new"], Some(&registry()))
        .export("PULL_SAYS", "manifest unknown");
    let error = pulled(&run(&script)).expect_err("failed");
    assert_eq!(error.failure, PullFailure::NotFound);
    assert_eq!(
        error.to_string(),
        "pull r:5000/new@sha256:0f failed: no such image: manifest unknown"
    );
    assert_eq!(host.left(), 0);
}

#[test]
fn a_killed_run_s_credentials_are_removed_by_the_next_one_and_nobody_else_s() {
    let host = Host::new();
    for name in [
        "pointsman-docker-shop-production-abc123",
        "pointsman-docker-other-production-abc123",
    ] {
        std::fs::create_dir(host.run_dir().join(name)).expect("made");
        std::fs::write(host.run_dir().join(name).join("config.json"), "auth").expect("written");
    }
    pulled(&run(&host.script(&["old"], None))).expect("pulled");
    assert_eq!(host.left(), 1);
    assert!(
        host.run_dir()
            .join("pointsman-docker-other-production-abc123")
            .exists()
    );
}

#[test]
fn a_signal_leaves_no_credentials() {
    let host = Host::new();
    // The pull sends the script the signal that a deadline sends, then outlives its patience.
    let stuck = DOCKER.replace(
        "\"pull \"*)",
        "\"pull \"*) kill -TERM \"$(awk '{print $4}' /proc/$PPID/stat)\"; exec sleep 20;;\n  \"never \"*)",
    );
    program(&host.dir.path().join("bin"), "docker", &stuck);
    let begun = std::time::Instant::now();
    let output = run(&host.script(&["new"], Some(&registry())));
    assert_eq!(output.code, 143, "{output:?}");
    assert!(begun.elapsed().as_secs() < 10, "it does not wait for what hangs");
    assert_eq!(host.left(), 0);
    assert!(pulled(&output).is_err());
}

#[test]
fn staging_and_pulling_travel_together() {
    let host = Host::new();
    let release = crate::compose::Release {
        id: "v1-x".into(),
        tag: "v1".into(),
        pool: crate::inventory::Pool::Blue,
        images: vec![image("new")],
        compose_sha256: String::new(),
        env_sha256: None,
        env_keys: Vec::new(),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        run: "r".into(),
        who: "w".into(),
    };
    let bundle = Bundle {
        release: &release,
        compose_file: b"services: {}",
        env_file: None,
        overlay: "",
    };
    let script = stage_and_pull(&project(host.dir.path()), &bundle, Some(&registry()), STALL);
    let script = with_path(script, &host.dir.path().join("bin"))
        .export("XDG_RUNTIME_DIR", host.run_dir().to_str().expect("a path"));
    let output = run(&script);
    assert!(crate::compose::stage::staged(&output).is_ok(), "{output:?}");
    assert_eq!(pulled(&output).expect("pulled").len(), 1);
    let folder = host.dir.path().join("blue/releases/v1-x");
    assert!(!Path::new(&folder).join(".env").exists());
    assert_eq!(mode(&folder.join("release.json")), 0o600);
}

/// FAULTS.md 35. That it goes on for longer than a stall while bytes arrive is the control: without the watchdog the
/// first pull lasts its 20 s (seen with `pull_watch` taken out), with a deadline instead of it the second one fails.
#[test]
fn a_pull_that_stalls_is_ended_and_a_slow_one_is_not() {
    let pulls = |what: &str| DOCKER.replace("\"pull \"*)", &format!("\"pull \"*) {what};;\n  \"never \"*)"));
    let host = Host::new();
    let stalls =
        pulls("echo \"$$\" >\"$dir/pid\"; printf '0123456789ab: Downloading 1kB/9MB\\r'; exec sleep 20");
    program(&host.dir.path().join("bin"), "docker", &stalls);
    let begun = std::time::Instant::now();
    let error = pulled(&run(&host.script(&["new"], Some(&registry())))).expect_err("stalled");
    assert_eq!(
        error.to_string(),
        "pull r:5000/new@sha256:0f failed: it stalled: no byte arrived for 2 s"
    );
    assert!(error.failure.is_transient());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let pid = host.read("pid");
    assert!(!pid.trim().is_empty(), "the fault fired");
    // Nobody may have fetched its end yet: then it is there as a zombie.
    let state = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")).unwrap_or_default();
    assert!(
        state.is_empty() || state.contains(") Z "),
        "docker was ended: {state}"
    );
    assert_eq!(host.left(), 0);

    let slow = pulls(
        "for n in 1 2 3 4 5 6 7 8; do printf \"0123456789ab: Downloading ${n}kB/8kB\\r\"; sleep 0.5; done",
    );
    program(&host.dir.path().join("bin"), "docker", &slow);
    pulled(&run(&host.script(&["new"], Some(&registry())))).expect("slow, and pulled");
}

/// FAULTS.md 35: what no watchdog sees ends at the step's deadline, and says so.
#[test]
fn a_pull_that_is_late_says_so() {
    let ended = Output {
        code: 124,
        ..Output::default()
    };
    let error = pulled(&ended).expect_err("late");
    assert_eq!(error.to_string(), "pull failed: it did not end in time: not done");
    assert!(!error.failure.is_transient());
}
