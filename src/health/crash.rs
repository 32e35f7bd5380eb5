//! Containers that will not come up by waiting: a crash loop, an end, a start that the engine refused.

use std::collections::{HashMap, HashSet};

use crate::compose::Container;

/// A container restarted this often while a start is watched is in a loop: once may be a database
/// that was a second late, twice is a habit.
const LOOP: u64 = 2;

/// A container that waiting will not mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crash {
    /// Its service.
    pub(crate) service: String,
    /// What it does, in words.
    pub(crate) how: String,
}

/// Compares each look at a project's containers with those before.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Restarts of each container at first sight: what it did before this start is not held against it.
    first_seen: HashMap<String, u64>,
    /// Containers that stood still at the last look. One look may fall between two states.
    still: HashSet<String>,
}

impl Watch {
    /// Takes one look. `needed` are the services that checks ask: they must run, while any other may
    /// be a task that ends well.
    pub(crate) fn look(&mut self, containers: &[Container], needed: &[&str]) -> Option<Crash> {
        let mut still = HashSet::new();
        let mut crash = None;
        for container in containers {
            let before = *self
                .first_seen
                .entry(container.id.clone())
                .or_insert(container.restarts);
            let found = if is_loop(container, before) {
                Some(format!(
                    "restarted {}, last exit code {}",
                    times(container.restarts),
                    container.exit_code
                ))
            } else if let Some(how) = stands_still(container, needed.contains(&container.service.as_str())) {
                still.insert(container.id.clone());
                self.still.contains(&container.id).then_some(how)
            } else {
                None
            };
            crash = crash.or(found.map(|how| Crash {
                service: container.service.clone(),
                how: if container.oom_killed {
                    format!("killed for memory; {how}")
                } else {
                    how
                },
            }));
        }
        self.still = still;
        crash
    }
}

fn is_loop(container: &Container, before: u64) -> bool {
    let rising = container.restarts >= before.saturating_add(LOOP);
    rising || (container.state == "restarting" && container.restarts >= LOOP)
}

fn stands_still(container: &Container, needed: bool) -> Option<String> {
    match (container.state.as_str(), &container.error) {
        ("exited" | "dead", _) if needed || container.exit_code != 0 => {
            Some(format!("exited with code {}", container.exit_code))
        }
        ("created", Some(error)) => Some(format!("never started: {error}")),
        _ => None,
    }
}

fn times(count: u64) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn container(service: &str, state: &str, exit_code: i64, restarts: u64) -> Container {
        Container {
            id: format!("{service}-id"),
            service: service.to_owned(),
            state: state.to_owned(),
            exit_code,
            restarts,
            ..Container::default()
        }
    }

    /// What each of the looks concludes about one container of a needed service.
    fn looks(series: &[(&str, i64, u64)]) -> Vec<Option<String>> {
        let mut watch = Watch::default();
        series
            .iter()
            .map(|(state, code, restarts)| {
                let seen = [container("app", state, *code, *restarts)];
                watch.look(&seen, &["app"]).map(|crash| crash.how)
            })
            .collect()
    }

    #[test]
    fn a_second_restart_is_a_loop() {
        let found = looks(&[
            ("running", 0, 0),
            ("restarting", 1, 1),
            ("running", 1, 1),
            ("running", 1, 2),
        ]);
        assert_eq!(
            found,
            [
                None,
                None,
                None,
                Some("restarted 2 times, last exit code 1".to_owned())
            ]
        );
    }

    #[test]
    fn a_loop_that_began_earlier_is_seen_at_once_and_an_old_one_that_ended_is_not() {
        assert!(looks(&[("restarting", 1, 7)])[0].is_some());
        assert_eq!(
            looks(&[("running", 1, 7), ("running", 1, 7), ("running", 1, 8)]),
            [None, None, None]
        );
    }

    #[test]
    fn an_end_must_be_seen_twice() {
        let found = looks(&[
            ("exited", 3, 0),
            ("running", 0, 0),
            ("exited", 3, 0),
            ("exited", 3, 0),
        ]);
        assert_eq!(found, [None, None, None, Some("exited with code 3".to_owned())]);
    }

    #[test]
    fn a_task_may_end_well_where_a_checked_service_may_not() {
        let twice = |container: &Container, needed: &[&str]| {
            let mut watch = Watch::default();
            watch.look(std::slice::from_ref(container), needed);
            watch
                .look(std::slice::from_ref(container), needed)
                .map(|crash| crash.how)
        };
        let (done, failed) = (
            container("assets", "exited", 0, 0),
            container("assets", "exited", 1, 0),
        );
        assert_eq!(twice(&done, &["app"]), None);
        assert_eq!(twice(&done, &["assets"]).as_deref(), Some("exited with code 0"));
        assert_eq!(twice(&failed, &["app"]).as_deref(), Some("exited with code 1"));
    }

    #[test]
    fn the_engines_refusal_and_the_kernels_kill_are_told() {
        let refused = Container {
            error: Some("port is already allocated".to_owned()),
            ..container("web", "created", 128, 0)
        };
        let killed = Container {
            oom_killed: true,
            ..container("app", "restarting", 137, 2)
        };
        let mut watch = Watch::default();
        assert_eq!(watch.look(std::slice::from_ref(&refused), &[]), None);
        let crash = watch.look(&[refused, killed.clone()], &[]).unwrap();
        assert_eq!(
            (crash.service.as_str(), crash.how.as_str()),
            ("web", "never started: port is already allocated")
        );
        let crash = watch.look(&[killed], &[]).unwrap();
        assert_eq!(
            crash.how,
            "killed for memory; restarted 2 times, last exit code 137"
        );
    }
}
