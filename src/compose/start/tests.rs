use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::compose::testing::{program, project, run, with_path};
use crate::compose::variant::{Call, Compose};
use crate::inventory::Pool;

fn release() -> Release {
    Release {
        id: "v2-x".into(),
        tag: "v2".into(),
        pool: Pool::Blue,
        images: Vec::new(),
        compose_sha256: String::new(),
        env_sha256: None,
        env_keys: Vec::new(),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        run: "r".into(),
        who: "w".into(),
    }
}

/// A docker whose project runs one container of the release; `compose` does what the test says.
fn docker(compose: &str, strangers: &str) -> String {
    format!(
        r#"
case "$1" in
  compose) shift
    case "$*" in *--help) echo '      --pull string   Pull image before running' ;;
    *) printf '%s\n' "$*" >"${{0%/*}}/up"; {compose} ;; esac ;;
  ps) case $* in *-aq*) echo c1 ;; *) echo 'shop-web-1 shop/production'; {strangers} ;; esac ;;
  inspect) echo '{{"id":"c1","name":"/x","state":"running","exit_code":0,"oom_killed":false,"error":"","restarts":0,"service":"web","release":"v2-x","addresses":[""],"image_id":"i","image":"j"}}' ;;
esac"#
    )
}

struct Host(tempfile::TempDir);

impl Host {
    fn new(docker: &str, staged: bool) -> Host {
        let dir = tempfile::tempdir().expect("a folder");
        program(&dir.path().join("bin"), "docker", docker);
        let folder = dir.path().join("blue/releases/v2-x");
        std::fs::create_dir_all(&folder).expect("made");
        if staged {
            std::fs::write(folder.join("release.json"), "{}").expect("written");
        }
        std::fs::write(dir.path().join("blue/current"), "v1-old\n").expect("written");
        Host(dir)
    }

    fn start(&self) -> Output {
        let project = project(self.0.path());
        let compose = Compose {
            call: Call::Plugin,
            version: "2.26.1".into(),
        };
        let env = BTreeMap::new();
        let host = OnHost {
            project: &project,
            compose: &compose,
            env: &env,
        };
        run(&with_path(
            start(host, &release(), false),
            &self.0.path().join("bin"),
        ))
    }

    fn read(&self, name: impl AsRef<Path>) -> Option<String> {
        std::fs::read_to_string(self.0.path().join(name)).ok()
    }
}

#[test]
fn a_started_release_becomes_the_current_one() {
    let host = Host::new(&docker("true", ""), true);
    let output = host.start();
    let containers = started(&output, &release(), &["web"]).expect("started");
    assert_eq!(containers.len(), 1);
    assert_eq!(host.read("blue/current").as_deref(), Some("v2-x\n"));
    assert_eq!(
        host.read("bin/up").expect("called").trim(),
        "-p shop-production-blue -f docker-compose.yml -f pointsman.yml up -d --force-recreate --remove-orphans --no-build --pull never"
    );
}

#[test]
fn compose_s_word_alone_is_not_taken() {
    let output = Host::new(&docker("true", ""), true).start();
    assert_eq!(
        started(&output, &release(), &["web", "app"]),
        Err(StartError::Absent(vec!["app".into()]))
    );
    let other = Release {
        id: "v3-y".into(),
        ..release()
    };
    assert_eq!(
        started(&output, &other, &["web"]),
        Err(StartError::Absent(vec!["web".into()]))
    );
}

#[test]
fn a_release_that_did_not_start_is_nobody_s_current_one() {
    let said = "Error response from daemon: driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:8081 failed: port is already allocated";
    let host = Host::new(&docker(&format!("echo '{said}' >&2; exit 1"), ""), true);
    let error = started(&host.start(), &release(), &["web"]).expect_err("failed");
    assert!(
        matches!(&error, StartError::Port { port, .. } if port == "8081"),
        "{error}"
    );
    assert_eq!(host.read("blue/current"), None);
}

#[test]
fn strangers_and_missing_folders_stop_it_before_it_does_anything() {
    let host = Host::new(&docker("true", "echo 'by-hand /'"), true);
    let error = started(&host.start(), &release(), &["web"]).expect_err("refused");
    assert_eq!(error, StartError::Strangers(vec!["by-hand".into()]));
    let unstaged = Host::new(&docker("true", ""), false);
    let error = started(&unstaged.start(), &release(), &["web"]).expect_err("refused");
    assert!(matches!(error, StartError::NotStaged(_)), "{error}");
    for host in [host, unstaged] {
        assert_eq!(host.read("bin/up"), None);
        assert_eq!(host.read("blue/current").as_deref(), Some("v1-old\n"));
    }
}

#[test]
fn the_engine_s_words_tell_the_kind() {
    let of = |stderr: &str| {
        StartError::of(&Output {
            code: 1,
            stdout: String::new(),
            stderr: stderr.into(),
        })
    };
    assert!(matches!(
        of("Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use"),
        StartError::Port { port, .. } if port == "80"
    ));
    assert!(matches!(
        of("Conflict. The container name \"/shop\" is already in use by container \"c9\"."),
        StartError::Name(_)
    ));
    assert!(matches!(
        of("Error: No such image: r/shop@sha256:0f"),
        StartError::Image(_)
    ));
    assert!(matches!(
        of("OCI runtime create failed: exec: \"bin/none\": stat bin/none: no such file"),
        StartError::Container(_)
    ));
    assert!(matches!(
        of("write /x: no space left on device"),
        StartError::NoSpace(_)
    ));
    assert!(matches!(
        of("Is the docker daemon running?"),
        StartError::Engine(EngineProblem::Stopped)
    ));
    assert!(matches!(of("something new"), StartError::Other(said) if said == "something new"));
}
