//! Proves one host: every check N times in a row over a minimum time, and its release's identity.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::diagnosis::{self, Evidence};
use super::probe::{Answer, Place, Probes};
use super::unhealthy::Unhealthy;
use crate::compose::{self, Container};
use crate::http;
use crate::inventory::{Check, Identity};
use crate::remote::Session;

/// What is proven.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The host.
    pub session: &'a Session,
    /// The Compose project whose containers are asked.
    pub project: &'a str,
    /// The checks.
    pub checks: &'a [Check],
    /// How it says which release it is.
    pub identity: &'a Identity,
    /// The release that it must be.
    pub tag: &'a str,
    /// Longest to wait until all holds at once.
    pub deadline: Duration,
}

/// Longest that one look at the containers may take.
const LOOK: Duration = Duration::from_secs(10);
/// Containers are looked at this often: a crash loop is found within seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The engine restarted a container this often: it will not get well by itself (FAULTS.md 48).
const RESTARTS: u64 = 2;
/// A wrong release is no matter of waiting: this many answers of it in a row are enough.
const WRONG_ANSWERS: u32 = 3;
/// Last lines of the log that the message shows.
const LOG_LINES: u32 = 50;

/// One check's course so far.
#[derive(Debug, Default)]
struct Course {
    in_a_row: u32,
    since: Option<Instant>,
    last_asked: Option<Instant>,
    failures: BTreeMap<String, u32>,
    last_failure: Option<String>,
}

/// The identity is proven like a check, under this name.
const IDENTITY: &str = "identity";

/// Waits until every check and the identity hold at once; `progress` gets a live line.
///
/// # Errors
/// When the deadline passes, the containers crash, or the host is another release.
pub async fn prove(
    subject: Subject<'_>,
    progress: &(dyn Fn(String) + Sync),
) -> Result<String, Box<Unhealthy>> {
    let begun = Instant::now();
    let identity = identity_check(subject);
    let checks: Vec<&Check> = subject.checks.iter().chain([&identity]).collect();
    let mut courses: Vec<Course> = checks.iter().map(|_| Course::default()).collect();
    let mut probes = Probes::default();
    let mut containers: Vec<Container> = Vec::new();
    let mut looked: Option<Instant> = None;
    loop {
        if looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            match look(subject).await {
                Ok(found) => containers = found,
                Err(problem) => {
                    return Err(give_up(subject, begun, &checks, &courses, &containers, Some(problem)).await);
                }
            }
            looked = Some(Instant::now());
            if let Some(crash) = crashed(&containers) {
                return Err(give_up(subject, begun, &checks, &courses, &containers, Some(crash)).await);
            }
        }
        ask_all(subject, &checks, &mut courses, &mut probes, &containers).await;
        progress(in_words(&checks, &courses));
        if checks
            .iter()
            .zip(&courses)
            .all(|(check, course)| holds(check, course))
        {
            return Ok(format!("{}, answers as {}", names(subject.checks), subject.tag));
        }
        let wrong = courses.last().is_some_and(|course| {
            course
                .failures
                .iter()
                .any(|(words, count)| words.starts_with("answers as ") && *count >= WRONG_ANSWERS)
        });
        if wrong || begun.elapsed() >= subject.deadline {
            return Err(give_up(subject, begun, &checks, &courses, &containers, None).await);
        }
        let next = checks
            .iter()
            .zip(&courses)
            .filter_map(|(check, course)| Some(check.interval.saturating_sub(course.last_asked?.elapsed())));
        // The pace of the checks is the user's: this waits for nothing else.
        tokio::time::sleep(
            next.min()
                .unwrap_or(Duration::from_millis(200))
                .max(Duration::from_millis(20)),
        )
        .await;
    }
}

/// Which release a host answers as, asked once.
///
/// # Errors
/// In words.
pub async fn identity_of(subject: Subject<'_>) -> Result<String, String> {
    let containers = look(subject).await?;
    let check = identity_check(subject);
    let mut probes = Probes::default();
    let place = place(&check, &containers).ok_or_else(|| "no container of it runs".to_owned())?;
    probes.open(subject.session, &place).await?;
    let answer = probes
        .get(&place, &check.path, host_of(&check), check.timeout)
        .await?;
    release_of(&answer, subject.identity)
}

fn identity_check(subject: Subject<'_>) -> Check {
    let Identity {
        path, service, port, ..
    } = subject.identity.clone();
    Check {
        name: IDENTITY.to_owned(),
        service,
        port,
        path,
        status: 200,
        contains: None,
        host_header: None,
        successes: 1,
        min_healthy: Duration::ZERO,
        interval: Duration::from_millis(500),
        timeout: Duration::from_secs(3),
    }
}

async fn look(subject: Subject<'_>) -> Result<Vec<Container>, String> {
    let output = subject
        .session
        .read(&compose::containers(subject.project), LOOK)
        .await
        .map_err(|e| e.to_string())?;
    compose::parse_containers(&output)
}

/// A container that will not get well by waiting, in words.
fn crashed(containers: &[Container]) -> Option<String> {
    containers.iter().find_map(|one| {
        let Container {
            service,
            exit_code,
            restarts,
            ..
        } = one;
        if let Some(error) = &one.error {
            Some(format!("service {service} cannot start: {error}"))
        } else if one.oom_killed {
            Some(format!("service {service} was killed for lack of memory"))
        } else if *restarts >= RESTARTS {
            Some(format!(
                "service {service} crashes: restarted {restarts} times, last exit code {exit_code}"
            ))
        } else if one.state == "exited" && *exit_code != 0 && *restarts == 0 {
            Some(format!("service {service} ended with exit code {exit_code}"))
        } else {
            None
        }
    })
}

/// Asks every check that is due, at once.
async fn ask_all(
    subject: Subject<'_>,
    checks: &[&Check],
    courses: &mut [Course],
    probes: &mut Probes,
    containers: &[Container],
) {
    let mut due = Vec::new();
    for (number, (check, course)) in checks.iter().zip(courses.iter()).enumerate() {
        if course.last_asked.is_some_and(|at| at.elapsed() < check.interval) {
            continue;
        }
        let place = place(check, containers);
        let opened = match &place {
            Some(place) => probes.open(subject.session, place).await,
            None => Err(format!(
                "no container of service {} runs",
                check.service.as_deref().unwrap_or_default()
            )),
        };
        due.push((number, *check, place, opened));
    }
    let probes = &*probes;
    let asked = futures::future::join_all(due.into_iter().map(|(number, check, place, opened)| async move {
        let result = match (opened, place) {
            (Ok(()), Some(place)) => match probes
                .get(&place, &check.path, host_of(check), check.timeout)
                .await
            {
                Ok(answer) => judge(subject, check, &answer),
                Err(words) => Err(words),
            },
            (Err(words), _) => Err(words),
            (Ok(()), None) => Err("no container runs".to_owned()),
        };
        (number, result)
    }))
    .await;
    for (number, result) in asked {
        courses[number].take(result);
    }
}

impl Course {
    fn take(&mut self, result: Result<(), String>) {
        let now = Instant::now();
        self.last_asked = Some(now);
        match result {
            Ok(()) => {
                self.in_a_row += 1;
                self.since.get_or_insert(now);
            }
            // Any failure starts the count again.
            Err(words) => {
                self.in_a_row = 0;
                self.since = None;
                *self.failures.entry(words.clone()).or_default() += 1;
                self.last_failure = Some(words);
            }
        }
    }
}

fn holds(check: &Check, course: &Course) -> bool {
    course.in_a_row >= check.successes
        && course
            .since
            .is_some_and(|since| since.elapsed() >= check.min_healthy)
}

fn judge(subject: Subject<'_>, check: &Check, answer: &Answer) -> Result<(), String> {
    if check.name == IDENTITY {
        let found = release_of(answer, subject.identity)?;
        return if found == subject.tag {
            Ok(())
        } else {
            Err(format!("answers as {found}"))
        };
    }
    if answer.status != check.status {
        let first = answer
            .body
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        let first: String = first.trim().chars().take(100).collect();
        return Err(format!("status {} {first}", answer.status).trim_end().to_owned());
    }
    match &check.contains {
        Some(text) if !answer.body.contains(text.as_str()) => Err(format!("a body without {text:?}")),
        _ => Ok(()),
    }
}

fn release_of(answer: &Answer, identity: &Identity) -> Result<String, String> {
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    http::identity(&answer.body, identity.json.as_deref())
        .ok_or_else(|| "an answer without a release".to_owned())
}

/// A port of the host, or of the service's running container in the Compose network.
fn place(check: &Check, containers: &[Container]) -> Option<Place> {
    let address = match &check.service {
        None => "127.0.0.1".to_owned(),
        Some(service) => containers
            .iter()
            .find(|one| one.service == *service && one.state == "running")?
            .addresses
            .first()?
            .clone(),
    };
    Some(Place {
        address,
        port: check.port,
    })
}

fn host_of(check: &Check) -> &str {
    check
        .host_header
        .as_deref()
        .or(check.service.as_deref())
        .unwrap_or("localhost")
}

fn names(checks: &[Check]) -> String {
    checks
        .iter()
        .map(|check| check.name.as_str())
        .collect::<Vec<_>>()
        .join(" and ")
        + " healthy"
}

fn in_words(checks: &[&Check], courses: &[Course]) -> String {
    let each = checks
        .iter()
        .zip(courses)
        .map(|(check, course)| match &course.last_failure {
            Some(words) if course.in_a_row == 0 => format!("{}: {words}", check.name),
            _ => format!(
                "{} {}/{}",
                check.name,
                course.in_a_row.min(check.successes),
                check.successes
            ),
        });
    each.collect::<Vec<_>>().join(", ")
}

/// Gathers all that explains the failure: which check, the log of the service to blame, the cause.
async fn give_up(
    subject: Subject<'_>,
    begun: Instant,
    checks: &[&Check],
    courses: &[Course],
    containers: &[Container],
    cause: Option<String>,
) -> Box<Unhealthy> {
    let crashed = containers
        .iter()
        .find(|one| one.restarts >= RESTARTS || one.state != "running");
    // What crashed is to blame, then a check that never held; the identity last.
    let failing: Vec<usize> = (0..checks.len())
        .filter(|n| !holds(checks[*n], &courses[*n]))
        .collect();
    let of_crashed = crashed.and_then(|one| {
        failing
            .iter()
            .copied()
            .find(|n| checks[*n].service.as_deref() == Some(one.service.as_str()))
    });
    // nginx answers for itself: what stands behind it is the last of those that fail.
    let blamed = of_crashed
        .or_else(|| failing.iter().copied().rfind(|n| checks[*n].name != IDENTITY))
        .or_else(|| failing.last().copied())
        .unwrap_or(0);
    let (check, course) = (checks[blamed], &courses[blamed]);
    let service = crashed
        .map(|one| one.service.clone())
        .or_else(|| check.service.clone());
    let logs = match subject
        .session
        .read(
            &compose::logs(subject.project, service.as_deref(), LOG_LINES),
            LOOK,
        )
        .await
    {
        Ok(output) => output.stdout,
        Err(error) => format!("(the log cannot be read: {error})"),
    };
    let lines: Vec<String> = logs.lines().map(str::to_owned).collect();
    let logs = lines[lines.len().saturating_sub(LOG_LINES as usize)..].to_vec();
    let found = cause
        .clone()
        .or_else(|| course.last_failure.clone())
        .unwrap_or_else(|| "no answer yet".to_owned());
    let web_is_up = checks
        .iter()
        .zip(courses)
        .any(|(c, course)| c.service != check.service && course.in_a_row > 0);
    let evidence = Evidence {
        found: &found,
        logs: &logs,
        service: service.as_deref(),
        web_is_up,
    };
    let expected = if check.name == IDENTITY {
        format!("expected {} of {}", subject.tag, check.path)
    } else {
        let within = format!("{} times in a row over {:?}", check.successes, check.min_healthy);
        format!(
            "expected status {} of {}:{}{}, {within}",
            check.status,
            host_of(check),
            check.port,
            check.path
        )
    };
    let diagnosis = diagnosis::diagnose(&evidence);
    Box::new(Unhealthy {
        host: subject.session.name().to_owned(),
        check: check.name.clone(),
        expected,
        found: found.clone(),
        attempts: course
            .failures
            .iter()
            .map(|(words, count)| format!("{count} × {words}"))
            .collect(),
        waited: begun.elapsed(),
        service,
        diagnosis,
        logs,
    })
}
