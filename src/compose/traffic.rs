//! What still reaches a pool: its own counts, so that nobody is believed who says that no client comes any more.

use std::time::Duration;

use crate::remote::{Output, Script};

use super::project::Project;

/// What reached a pool on one host within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections to published ports that are open.
    pub open: u64,
    /// TCP segments that came in, where any is open.
    pub segments: u64,
}

impl Traffic {
    /// Whether nobody asked for anything.
    pub fn is_quiet(self) -> bool {
        self.connections == 0 && self.segments == 0
    }
}

/// Counts for `window`, in whole seconds.
pub fn traffic(project: &Project, window: Duration) -> Script {
    project
        .script(include_str!("traffic.sh"))
        .var("WINDOW", window.as_secs().max(1).to_string())
}

/// Reads what [`traffic`] printed.
///
/// # Errors
/// In words, when it could not be counted.
pub fn parse_traffic(output: &Output) -> Result<Traffic, String> {
    if !output.ok() {
        return Err(output.complaint().to_owned());
    }
    let mut numbers = output.stdout.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(connections)), Some(Ok(open)), Some(Ok(segments))) => Ok(Traffic {
            connections,
            open,
            segments,
        }),
        _ => Err(format!("expected three counts, found {:?}", output.stdout)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::{program, project, run, with_path};

    #[test]
    fn counts_are_of_containers_with_published_ports() {
        let dir = tempfile::tempdir().expect("a folder");
        let docker = r#"case "$1 $3" in
          "ps "*) echo web; echo app ;;
          "inspect {{range"*) [ "$4" = app ] || echo 80/tcp ;;
          "inspect {{.State"*) echo 0 ;;
          "exec cat") [ "$4" = /proc/net/snmp ] || { [ "$4" = /proc/net/tcp6 ] || printf '0: 020011AC:0050 010011AC:1234 01 x\n1: 0100007F:0050 0100007F:1234 01 x\n2: 020011AC:1234 030011AC:0050 01 x\n3: 020011AC:0050 010011AC:1235 06 x\n'; exit 0; }; echo "Tcp: A B"; n=$(cat count 2>/dev/null || echo 0); echo $((n + 7)) >count; echo "Tcp: 1 200 120000 -1 5 $n 0 0 2 $((n * 3)) 9 0" ;;
        esac"#;
        let docker = docker.replace("count", dir.path().join("count").to_str().expect("UTF-8"));
        program(&dir.path().join("bin"), "docker", &docker);
        let script = traffic(&project(dir.path()), Duration::from_secs(1));
        let output = run(&with_path(script, &dir.path().join("bin")));
        assert_eq!(
            parse_traffic(&output),
            Ok(Traffic {
                connections: 7,
                open: 1,
                segments: 21
            }),
            "{output:?}"
        );
    }
}
