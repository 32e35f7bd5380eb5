use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::compose::testing::{program, project, run, with_path};
use crate::compose::variant::{Call, Compose};
use crate::inventory::Pool;

/// A docker that keeps one container as a file of `STATUS CODE`.
const DOCKER: &str = r#"
dir=${0%/*}
printf '%s\n' "$*" >>"$dir/calls"
case "$1" in
  compose) [ -z "${COMPOSE_SAYS:-}" ] || { echo "$COMPOSE_SAYS" >&2; exit 1; }
    echo "${BECOMES:-exited 0}" >"$dir/container"; echo id1 ;;
  ps) [ ! -f "$dir/container" ] || echo id1 ;;
  inspect) read -r status code <"$dir/container"
    case $3 in *Status*) echo "$status" ;; *ExitCode*) echo "$code" ;; *Error*) echo 'no such entrypoint' ;; esac ;;
  wait) read -r status code <"$dir/container"; [ "$status" = exited ] || exec sleep 20; echo "$code" ;;
  logs) echo migrated; echo warned >&2 ;;
  rm) rm "$dir/container" ;;
esac"#;

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Host {
        let dir = tempfile::tempdir().expect("a folder");
        program(&dir.path().join("bin"), "docker", DOCKER);
        let folder = dir.path().join("blue/releases/v2-x");
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join("release.json"), "{}").expect("written");
        Host(dir)
    }

    fn container(self, state: &str) -> Host {
        std::fs::write(self.0.path().join("bin/container"), state).expect("written");
        self
    }

    fn go(&self, env: &[(&str, &str)]) -> Result<Migrated, MigrateError> {
        let project = project(self.0.path());
        let compose = Compose {
            call: Call::Plugin,
            version: "2.26.1".into(),
        };
        let none = BTreeMap::new();
        let host = OnHost {
            project: &project,
            compose: &compose,
            env: &none,
        };
        let wanted = Migrate {
            service: "app".into(),
            command: vec!["bin/rails".into(), "db:migrate; id".into()],
            timeout: Duration::from_secs(1),
            database_url: "DATABASE_URL".into(),
            wait: Duration::ZERO,
            watch: Vec::new(),
            watch_for: Duration::ZERO,
        };
        let release = Release {
            id: "v2-x".into(),
            tag: "v2".into(),
            pool: Pool::Blue,
            images: Vec::new(),
            compose_sha256: String::new(),
            env_sha256: None,
            env_keys: Vec::new(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            run: "r7".into(),
            who: "w".into(),
        };
        let mut script = with_path(migrate(host, &release, &wanted, "r7"), &self.0.path().join("bin"));
        for (name, value) in env {
            script = script.export(*name, *value);
        }
        migrated(&run(&script), &project, "r7")
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.0.path().join("bin/calls")).expect("called")
    }

    fn has_container(&self) -> bool {
        Path::new(&self.0.path().join("bin/container")).exists()
    }
}

#[test]
fn runs_once_and_answers_the_same_ever_after() {
    let host = Host::new();
    let first = host.go(&[("BECOMES", "exited 3")]).expect("an end");
    assert_eq!(
        (first.how, first.code, first.log.as_str()),
        (How::Ran, 3, "migrated\nwarned")
    );
    assert!(!host.has_container());
    let run_line = host
        .calls()
        .lines()
        .find(|line| line.contains(" run "))
        .expect("run")
        .to_owned();
    assert_eq!(
        run_line,
        "compose -p shop-production-blue -f docker-compose.yml -f pointsman.yml run -d -T --no-deps --name shop-production-blue-migrate-r7 app bin/rails db:migrate; id"
    );
    let again = host.go(&[]).expect("an end");
    assert_eq!((again.how, again.code), (How::Recorded, 3));
    assert_eq!(host.calls().matches(" run ").count(), 1);
}

#[test]
fn a_container_of_a_cut_call_is_taken_over() {
    let host = Host::new().container("exited 0");
    let migrated = host.go(&[]).expect("an end");
    assert_eq!((migrated.how, migrated.code), (How::TakenOver, 0));
    assert!(!host.calls().contains(" run "), "{}", host.calls());
}

#[test]
fn what_still_runs_is_in_doubt_and_left_alone() {
    let host = Host::new().container("running 0");
    let error = host.go(&[]).expect_err("no end");
    assert!(
        matches!(&error, MigrateError::StillRunning { container, .. } if container == "shop-production-blue-migrate-r7"),
        "{error}"
    );
    assert!(error.is_in_doubt());
    assert!(host.has_container());
    let calls = host.calls();
    assert!(
        !calls.contains("kill") && !calls.contains("stop") && !calls.contains("rm "),
        "{calls}"
    );
}

#[test]
fn what_never_started_is_no_doubt() {
    let host = Host::new();
    let error = host
        .go(&[("COMPOSE_SAYS", "no such service: app")])
        .expect_err("no end");
    assert!(!error.is_in_doubt());
    assert!(error.to_string().contains("no such service: app"), "{error}");

    let host = Host::new().container("created 0");
    let error = host.go(&[]).expect_err("no end");
    assert!(
        !error.is_in_doubt() && error.to_string().contains("no such entrypoint"),
        "{error}"
    );
    assert!(!host.has_container(), "so that the next call can start it");
}
