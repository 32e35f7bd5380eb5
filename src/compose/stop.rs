//! Stops and removes what a pool runs on a host: only what carries the app's and environment's labels.

use crate::remote::{Output, Script};

use super::engine::EngineProblem;
use super::project::Project;
use super::{Unreadable, excerpt};

/// Why a pool's containers are not all gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// These are still there, with their state.
    #[error("expected no containers, found {}: {said}", .left.join(", "))]
    Left {
        /// `NAME STATE`.
        left: Vec<String>,
        /// The engine's words.
        said: String,
    },
    /// A migration still runs there: nothing was stopped.
    #[error(
        "the migration still runs in container {0}, and is not ended half-way: expected it to have ended; \
         `docker logs -f {0}` shows it, and `docker stop {0}` is yours to decide"
    )]
    Migrating(String),
    /// The host's engine.
    #[error(transparent)]
    Engine(EngineProblem),
    /// The script did not come to its end.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Stops the project's containers with the signal and grace period of each, removes them and their
/// networks; volumes stay. Works for a release whose folder is gone, and for a half-made pool.
pub fn stop(project: &Project) -> Script {
    project.script(include_str!("stop.sh"))
}

/// Reads how stopping ended: names of the containers that are gone. None: there were none.
///
/// # Errors
/// [`StopError`].
pub fn stopped(output: &Output) -> Result<Vec<String>, StopError> {
    if let Some(container) = output.section("migrating") {
        return Err(StopError::Migrating(
            container.trim().trim_start_matches('/').to_owned(),
        ));
    }
    let (Some(gone), Some(left), Some(_)) = (
        output.section("stopped"),
        output.section("left"),
        output.section("end"),
    ) else {
        return Err(match EngineProblem::find(&output.stderr) {
            Some(problem) => StopError::Engine(problem),
            None => Unreadable::new("stopped containers", output).into(),
        });
    };
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim().trim_start_matches('/').to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    let left = lines(left);
    if left.is_empty() {
        Ok(lines(gone))
    } else {
        Err(StopError::Left {
            left,
            said: excerpt(output),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::testing::{program, project, run, with_path};

    /// A docker that keeps its containers as files, and can refuse to stop.
    const DOCKER: &str = r#"
dir=${0%/*}
printf '%s\n' "$*" >>"$dir/calls"
case "$1" in
  ps) case $* in *status=paused*) ;; *-migrate-*) ls "$dir/containers" | grep migrate ; : ;; *) ls "$dir/containers" ;; esac ;;
  inspect) shift 3; for c; do case $3$2 in *) echo "/$c${STATE_WORD:-}" ;; esac; done ;;
  stop) [ -z "${STUCK:-}" ] || { echo 'tried to kill container, but did not receive an exit event' >&2; exit 1; } ;;
  rm) [ -z "${STUCK:-}" ] || exit 1; shift; for c; do rm "$dir/containers/$c"; done ;;
  network) case $2 in ls) echo n1 ;; esac ;;
esac"#;

    fn go(containers: &[&str], stuck: bool) -> (Output, String, bool) {
        let dir = tempfile::tempdir().expect("a folder");
        let bin = dir.path().join("bin");
        program(&bin, "docker", DOCKER);
        std::fs::create_dir(bin.join("containers")).expect("made");
        for name in containers {
            std::fs::write(bin.join("containers").join(name), "").expect("written");
        }
        std::fs::create_dir(dir.path().join("blue")).expect("made");
        std::fs::write(dir.path().join("blue/current"), "v1").expect("written");
        let mut script = with_path(stop(&project(dir.path())), &bin);
        if stuck {
            script = script.export("STUCK", "1");
        }
        let output = run(&script);
        let calls = std::fs::read_to_string(bin.join("calls")).expect("called");
        (output, calls, dir.path().join("blue/current").exists())
    }

    #[test]
    fn stops_removes_and_forgets_only_by_our_labels() {
        let (output, calls, current) = go(&["web", "app"], false);
        assert_eq!(stopped(&output), Ok(vec!["app".into(), "web".into()]));
        assert!(!current);
        for line in calls.lines().filter(|line| line.starts_with("ps")) {
            for label in [
                "com.docker.compose.project=shop-production-blue",
                "pointsman.app=shop",
                "pointsman.env=production",
            ] {
                assert!(line.contains(label), "{line}");
            }
        }
        assert!(
            calls.contains("stop app web") && calls.contains("network rm n1"),
            "{calls}"
        );
    }

    #[test]
    fn a_migration_that_runs_is_left_alone_with_all_else() {
        let (output, calls, current) = go(&["app", "shop-production-blue-migrate-r1"], false);
        let error = stopped(&output).expect_err("it runs");
        assert_eq!(
            error,
            StopError::Migrating("shop-production-blue-migrate-r1".into())
        );
        assert!(current && !calls.contains("stop"), "{calls}");
    }

    #[test]
    fn nothing_to_stop_is_done() {
        let (output, calls, _) = go(&[], false);
        assert_eq!(stopped(&output), Ok(Vec::new()));
        assert!(!calls.contains("stop"), "{calls}");
    }

    #[test]
    fn what_will_not_die_is_named() {
        let (output, _, current) = go(&["web"], true);
        let error = stopped(&output).expect_err("still there");
        assert!(
            matches!(&error, StopError::Left { left, .. } if left.len() == 1),
            "{error}"
        );
        assert!(error.to_string().contains("did not receive an exit event"));
        assert!(!current, "it does not say that it runs");
    }
}
