//! Runs a command in a running container of a service.

use crate::remote::Script;

use super::project::Project;

/// Ends the script when the service has no running container; the command itself may end so too,
/// and says then what it says.
pub const NO_CONTAINER: i32 = 66;

/// Runs `argv` in the service's first running container. The output is the command's own, and so
/// is the exit code.
pub fn exec<I, S>(project: &Project, service: &str, argv: I) -> Script
where
    I: IntoIterator<Item = S>,
    S: Into<String>,
{
    project
        .script(include_str!("exec.sh"))
        .var("SERVICE", service)
        .command(
            "in_container_argv",
            std::iter::once("in_container".to_owned()).chain(argv.into_iter().map(Into::into)),
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::{program, project, run, with_path};
    use proptest::prelude::*;

    fn go(running: &str, argv: &[&str]) -> crate::remote::Output {
        let dir = tempfile::tempdir().expect("a folder");
        let docker = format!(
            r#"case "$1" in ps) {running} ;; exec) shift; id=$1; shift; printf '%s' "$id"; printf '<%s>' "$@"; exit 3 ;; esac"#
        );
        program(&dir.path().join("bin"), "docker", &docker);
        run(&with_path(
            exec(&project(dir.path()), "app", argv.iter().copied()),
            &dir.path().join("bin"),
        ))
    }

    #[test]
    fn the_first_container_runs_it_and_its_code_comes_back() {
        let output = go("printf 'c1\\nc2\\n'", &["rails", "runner", "puts 1; `id`"]);
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (3, "c1<rails><runner><puts 1; `id`>")
        );
    }

    #[test]
    fn nowhere_to_run_is_told() {
        let output = go("true", &["true"]);
        assert_eq!(output.code, NO_CONTAINER);
        assert!(output.complaint().contains("service app"), "{output:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn arguments_arrive_as_they_were(args in proptest::collection::vec("[^\\x00]{1,12}", 1..4)) {
            let argv: Vec<&str> = args.iter().map(String::as_str).collect();
            let expected: String = args.iter().map(|a| format!("<{a}>")).collect();
            prop_assert_eq!(go("echo c1", &argv).stdout, format!("c1{expected}"));
        }
    }
}
