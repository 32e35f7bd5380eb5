use super::*;
use crate::compose::testing;
use crate::inventory::Pool;

/// A docker that answers as 20.10 does.
const DOCKER: &str = r#"
case "$*" in
  --version) echo 'Docker version 20.10.24+dfsg1, build 297e128' ;;
  version*) echo 'WARNING: config is odd' >&2; echo 'pm:20.10.24+dfsg1 amd64' ;;
  info*) echo / ;;
  ps*) printf 'pm:c1\tshop-production-blue-web-1\trunning\tshop-production-blue\tweb\tshop\tproduction\tv1-x\t0.0.0.0:80->80/tcp\n'
       printf 'pm:c2\tstray\texited\tshop-production-blue\tweb\t\t\t\t\n'
       printf 'pm:c3\tother\trunning\tother\tweb\t\t\t\t0.0.0.0:81->80/tcp\n' ;;
  compose*) echo 'unknown flag: --short' >&2; exit 125 ;;
esac"#;

fn ask(docker: &str, wait: &str) -> HostFacts {
    let dir = tempfile::tempdir().expect("a folder");
    let project = testing::project(dir.path());
    let bin = dir.path().join("bin");
    testing::program(&bin, "docker", docker);
    testing::program(&bin, "docker-compose", "echo 1.29.2");
    std::fs::create_dir_all(dir.path().join("blue/releases/v0-half")).expect("made");
    let script = testing::with_path(facts(&project), &bin).var("WAIT", wait);
    let output = testing::run(&script);
    assert!(output.ok(), "{output:?}");
    HostFacts::read(&output, &project, &[80, 81]).expect("readable")
}

#[test]
fn a_good_host_is_read_whole() {
    let facts = ask(DOCKER, "10");
    assert_eq!(facts.client.as_deref(), Some("20.10.24+dfsg1"));
    let engine = facts.engine.expect("an engine");
    assert_eq!(
        (engine.version.as_str(), engine.arch.as_str()),
        ("20.10.24+dfsg1", "amd64")
    );
    assert_eq!(facts.compose.expect("v1").major(), 1);
    assert!(facts.docker_space.expect("room").bytes > 0);
    assert!(facts.state_space.expect("room").bytes > 0);
    let now = jiff::Timestamp::now().as_second();
    let (first, last) = facts.clock.expect("a clock");
    assert!((now - first).abs() < 60 && first <= last);
    assert_eq!(facts.missing_tools, [""; 0]);
    assert_eq!(
        facts
            .containers
            .iter()
            .map(|c| (c.name.as_str(), c.ours))
            .collect::<Vec<_>>(),
        [("shop-production-blue-web-1", true), ("stray", false)]
    );
    assert_eq!(
        facts
            .listeners
            .iter()
            .map(|l| l.container.as_deref())
            .collect::<Vec<_>>(),
        [Some("shop-production-blue-web-1"), Some("other")]
    );
    assert!(matches!(&facts.leftovers[..], [Leftover::Stage(path)] if path.ends_with("v0-half")));
}

#[test]
fn each_sick_engine_is_told_apart() {
    let denied =
        "echo 'Got permission denied while trying to connect to the Docker daemon socket' >&2; exit 1";
    assert_eq!(ask(denied, "10").engine, Err(EngineProblem::Denied));
    let stopped =
        "echo 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' >&2; exit 1";
    assert_eq!(ask(stopped, "10").engine, Err(EngineProblem::Stopped));
    assert_eq!(ask("exec sleep 30", "0.2").engine, Err(EngineProblem::Hung));
    let odd = ask("echo 'segmentation fault' >&2; exit 139", "10").engine;
    assert_eq!(odd, Err(EngineProblem::Other("segmentation fault".into())));
}

#[test]
fn a_cut_answer_is_no_answer() {
    let project = Project::new("a", "b", Pool::Blue, "/s");
    let output = Output {
        code: 0,
        stdout: "\n@@pm:tools\nbase64\n".into(),
        stderr: String::new(),
    };
    assert!(HostFacts::read(&output, &project, &[]).is_err());
}
