//! The last lines that a pool's containers printed.

use crate::remote::{Output, Script};

use super::project::Project;

/// Asks for the last `tail` lines of each container of the project, or of one service.
pub fn logs(project: &Project, service: Option<&str>, tail: u32) -> Script {
    project
        .script(include_str!("logs.sh"))
        .var("SERVICE", service.unwrap_or_default())
        .var("TAIL", tail.to_string())
}

/// Each line that was printed, with its container's name before it; standard output and error as they came.
pub fn parse_logs(output: &Output) -> Vec<(&str, &str)> {
    output
        .sections()
        .flat_map(|(name, text)| text.lines().map(move |line| (name, line)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::{program, project, run, with_path};

    #[test]
    fn both_streams_of_each_container_come_under_its_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let docker = r#"case "$1" in ps) [ "${*%service=app*}" = "$*" ] || echo c1; echo c2 ;; inspect) echo "/name-$4" ;; logs) echo "out $*"; echo err >&2 ;; esac"#;
        program(&dir.path().join("bin"), "docker", docker);
        let ask = |service| {
            run(&with_path(
                logs(&project(dir.path()), service, 50),
                &dir.path().join("bin"),
            ))
        };
        let output = ask(Some("app"));
        assert_eq!(
            parse_logs(&output),
            [
                ("name-c1", "out logs --tail 50 c1"),
                ("name-c1", "err"),
                ("name-c2", "out logs --tail 50 c2"),
                ("name-c2", "err")
            ]
        );
        assert_eq!(
            parse_logs(&ask(None)),
            [("name-c2", "out logs --tail 50 c2"), ("name-c2", "err")],
            "without a service there is no such filter"
        );
    }
}
