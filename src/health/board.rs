//! What is known of each question to a host so far, and what follows from it.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::fault::Fault;
use super::history::History;
use super::probe::Probe;
use super::streak::Streak;
use crate::compose::Container;

/// A healthy host that names another release this often in a row will not change its mind.
const WRONG_IN_A_ROW: u32 = 3;

/// Who answered: a container of the service that is asked, or the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// The host's own port.
    Host,
    /// The container with this id. A replaced one is another target and starts from nothing.
    Container(String),
    /// There is nobody to ask.
    Nobody,
}

/// The state of all questions to one host. Its one writer is the loop in `check`.
pub(crate) struct Board<'a> {
    probes: &'a [Probe<'a>],
    lanes: Vec<Lane>,
    containers: Option<Vec<Container>>,
}

/// One question: by target where its answers stand, and over all what has been answered.
#[derive(Default)]
struct Lane {
    tracks: BTreeMap<Target, Track>,
    last: Option<Fault>,
    history: History,
}

struct Track {
    streak: Streak,
    wrong: u32,
}

impl<'a> Board<'a> {
    /// Nothing is known.
    pub(crate) fn new(probes: &'a [Probe<'a>]) -> Board<'a> {
        Board {
            probes,
            lanes: probes.iter().map(|_| Lane::default()).collect(),
            containers: None,
        }
    }

    /// These are the containers now: what is known of any other is forgotten.
    pub(crate) fn seen(&mut self, containers: Vec<Container>) {
        for lane in &mut self.lanes {
            lane.tracks.retain(|target, _| match target {
                Target::Container(id) => containers.iter().any(|container| &container.id == id),
                Target::Host | Target::Nobody => true,
            });
        }
        self.containers = Some(containers);
    }

    /// One attempt of question `index` has ended.
    pub(crate) fn record(&mut self, index: usize, target: Target, at: Instant, result: Result<(), Fault>) {
        let (probe, lane) = (&self.probes[index], &mut self.lanes[index]);
        lane.history
            .add(&result.as_ref().err().map_or("ok".to_owned(), Fault::kind));
        // The answer of a container that has gone meanwhile says nothing about the one in its place.
        if let Target::Container(id) = &target
            && !self
                .containers
                .iter()
                .flatten()
                .any(|container| &container.id == id)
        {
            return;
        }
        let track = lane.tracks.entry(target).or_insert_with(|| Track {
            streak: Streak::new(probe.successes, probe.min_healthy),
            wrong: 0,
        });
        match result {
            Ok(()) => {
                track.streak.success(at);
                track.wrong = 0;
            }
            Err(fault) => {
                track.streak.failure();
                track.wrong = if matches!(fault, Fault::OtherRelease { .. }) {
                    track.wrong + 1
                } else {
                    0
                };
                lane.last = Some(fault);
            }
        }
    }

    /// Whether question `index` stands answered rightly by everybody who must answer it.
    fn holds(&self, index: usize) -> bool {
        let holds = |target: &Target| {
            self.lanes[index]
                .tracks
                .get(target)
                .is_some_and(|t| t.streak.holds())
        };
        match &self.probes[index].place.service {
            None => holds(&Target::Host),
            Some(service) => {
                let mut replicas = self
                    .containers
                    .iter()
                    .flatten()
                    .filter(|c| &c.service == service)
                    .peekable();
                replicas.peek().is_some() && replicas.all(|c| holds(&Target::Container(c.id.clone())))
            }
        }
    }

    /// Whether everything holds at once, and no container is on its way down or up.
    pub(crate) fn is_healthy(&self) -> bool {
        let calm = |containers: &Vec<Container>| containers.iter().all(|c| c.state != "restarting");
        self.containers.as_ref().is_some_and(calm) && (0..self.probes.len()).all(|index| self.holds(index))
    }

    /// Whether all checks hold and yet another release answers, steadily.
    pub(crate) fn is_another_release(&self) -> bool {
        let wrong = |lane: &Lane| lane.tracks.values().any(|track| track.wrong >= WRONG_IN_A_ROW);
        self.probes
            .iter()
            .zip(&self.lanes)
            .enumerate()
            .all(|(index, (probe, lane))| {
                if probe.is_identity() {
                    wrong(lane)
                } else {
                    self.holds(index)
                }
            })
    }

    /// The question whose failing explains the others: the first that fails by its own word; a proxy's
    /// word about somebody behind it only if there is no better, and so the identity.
    pub(crate) fn to_blame(&self) -> usize {
        let rank = |index: &usize| {
            let second_hand = self.last_fault(*index).is_some_and(Fault::is_second_hand);
            (
                self.holds(*index),
                self.probes[*index].is_identity(),
                second_hand,
                *index,
            )
        };
        (0..self.probes.len()).min_by_key(rank).unwrap_or(0)
    }

    /// What went wrong last with question `index`, if it does not hold.
    pub(crate) fn last_fault(&self, index: usize) -> Option<&Fault> {
        self.lanes[index].last.as_ref().filter(|_| !self.holds(index))
    }

    /// How the attempts of question `index` ended.
    pub(crate) fn history(&self, index: usize) -> &History {
        &self.lanes[index].history
    }

    /// Whether the containers were ever seen.
    pub(crate) fn has_looked(&self) -> bool {
        self.containers.is_some()
    }

    /// The containers as last seen.
    pub(crate) fn containers(&self) -> &[Container] {
        self.containers.as_deref().unwrap_or_default()
    }

    /// One line about all questions: `nginx ok, unicorn 1/3, release v1, expected v2`.
    pub(crate) fn line(&self) -> String {
        let parts: Vec<String> = (0..self.probes.len())
            .map(|index| {
                let (name, lane) = (self.probes[index].name, &self.lanes[index]);
                if self.holds(index) {
                    return format!("{name} ok");
                }
                let slowest = lane
                    .tracks
                    .values()
                    .map(|track| &track.streak)
                    .min_by_key(|s| s.count());
                match (slowest, &lane.last) {
                    (Some(streak), _) if streak.count() > 0 => {
                        // More successes than are needed still wait for their time to pass.
                        format!(
                            "{name} {}/{}",
                            streak.count().min(streak.needed()),
                            streak.needed()
                        )
                    }
                    (_, Some(fault)) => format!("{name} {}", fault.kind()),
                    (_, None) => format!("{name} not answered yet"),
                }
            })
            .collect();
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::testing::check;
    use crate::inventory::{Check, Identity};
    use std::time::Duration;

    fn identity() -> Identity {
        Identity {
            path: "/version".to_owned(),
            json: None,
            service: Some("web".to_owned()),
            port: 80,
        }
    }

    fn container(id: &str, service: &str) -> Container {
        let (id, service) = (id.to_owned(), service.to_owned());
        Container {
            id,
            service,
            state: "running".to_owned(),
            ..Container::default()
        }
    }

    fn checks() -> [Check; 2] {
        let quick = |check: Check| Check {
            successes: 2,
            min_healthy: Duration::ZERO,
            ..check
        };
        [
            quick(check("nginx", "web", 80)),
            quick(check("unicorn", "app", 8080)),
        ]
    }

    /// A board of nginx (0), unicorn (1) and the release (2).
    fn with_board(act: impl FnOnce(&mut Board)) {
        let (checks, identity) = (checks(), identity());
        let probes = Probe::all(&checks, &identity, "v2");
        let mut board = Board::new(&probes);
        board.seen(vec![container("w", "web"), container("a", "app")]);
        act(&mut board);
    }

    fn say(board: &mut Board, index: usize, id: &str, results: &[Result<(), Fault>]) {
        for result in results {
            board.record(
                index,
                Target::Container(id.to_owned()),
                Instant::now(),
                result.clone(),
            );
        }
    }

    fn status(found: u16) -> Result<(), Fault> {
        Err(Fault::Status {
            expected: 200,
            found,
            line: String::new(),
            location: None,
        })
    }

    fn other() -> Result<(), Fault> {
        Err(Fault::OtherRelease {
            expected: "v2".to_owned(),
            found: "v1".to_owned(),
        })
    }

    #[test]
    fn health_is_everything_at_once() {
        with_board(|board| {
            say(board, 0, "w", &[Ok(()), Ok(())]);
            say(board, 1, "a", &[Ok(()), Ok(())]);
            assert!(!board.is_healthy(), "nobody said which release this is");
            say(board, 2, "w", &[Ok(())]);
            assert!(board.is_healthy());
            say(board, 1, "a", &[status(500), Ok(())]);
            assert!(!board.is_healthy(), "the count started again");
            assert_eq!(board.line(), "nginx ok, unicorn 1/2, release ok");
            say(board, 1, "a", &[Ok(())]);
            assert!(board.is_healthy());
            let flapping = Container {
                state: "restarting".to_owned(),
                ..container("s", "sidekiq")
            };
            board.seen(vec![container("w", "web"), container("a", "app"), flapping]);
            assert!(!board.is_healthy(), "a worker without a check keeps crashing");
        });
    }

    #[test]
    fn every_replica_must_hold_and_a_replaced_one_starts_from_nothing() {
        with_board(|board| {
            say(board, 0, "w", &[Ok(()), Ok(())]);
            say(board, 2, "w", &[Ok(())]);
            say(board, 1, "a", &[Ok(()), Ok(())]);
            board.seen(vec![
                container("w", "web"),
                container("a", "app"),
                container("b", "app"),
            ]);
            assert!(!board.is_healthy());
            say(board, 1, "b", &[Ok(()), Ok(())]);
            assert!(board.is_healthy());
            board.seen(vec![
                container("w", "web"),
                container("a", "app"),
                container("c", "app"),
            ]);
            say(board, 1, "b", &[Ok(()), Ok(())]);
            assert!(!board.is_healthy(), "b is gone, c was never asked");
            say(board, 1, "c", &[Ok(()), Ok(())]);
            assert!(board.is_healthy());
        });
    }

    #[test]
    fn another_release_is_final_only_when_steady_and_otherwise_healthy() {
        with_board(|board| {
            say(board, 0, "w", &[Ok(()), Ok(())]);
            say(board, 2, "w", &[other(), other(), other()]);
            assert!(!board.is_another_release(), "the app is still starting");
            say(board, 1, "a", &[Ok(()), Ok(())]);
            assert!(board.is_another_release());
            say(board, 2, "w", &[status(502), other(), other()]);
            assert!(!board.is_another_release(), "two in a row are not enough");
        });
    }

    #[test]
    fn the_first_hand_word_is_blamed() {
        with_board(|board| {
            say(board, 0, "w", &[status(502)]);
            say(board, 2, "w", &[status(502)]);
            assert_eq!(board.to_blame(), 1, "unicorn has not answered at all");
            say(board, 1, "a", &[status(500)]);
            assert_eq!(board.to_blame(), 1);
            say(board, 1, "a", &[Ok(()), Ok(())]);
            assert_eq!(board.to_blame(), 0);
            say(board, 0, "w", &[Ok(()), Ok(())]);
            assert_eq!(board.to_blame(), 2);
            assert_eq!(board.history(0).to_string(), "3 attempts: 1 × 502, 2 × ok");
        });
    }
}
