//! What a router does with traffic, as it was read.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::inventory::Pool;

/// Where a router sends requests: `live`, but `percent` of them to `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The pool that gets what `next` does not.
    pub live: Pool,
    /// The pool of a canary.
    pub next: Pool,
    /// Share of `next`, in percent.
    pub percent: u8,
}

impl Route {
    /// Everything to one pool.
    pub fn all(pool: Pool) -> Route {
        Route {
            live: pool,
            next: pool,
            percent: 0,
        }
    }

    /// The pool that gets everything, if one does.
    pub fn settled(&self) -> Option<Pool> {
        (self.percent == 0 || self.live == self.next).then_some(self.live)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.settled() {
            Some(pool) => write!(f, "{pool}"),
            None => write!(f, "{} with {} % to {}", self.live, self.percent, self.next),
        }
    }
}

impl FromStr for Route {
    type Err = String;

    /// Reads `live:next:percent`.
    fn from_str(text: &str) -> Result<Route, String> {
        let pool = |word: Option<&str>| Pool::ALL.into_iter().find(|pool| Some(pool.as_str()) == word);
        let mut fields = text.trim().split(':');
        let route = (
            pool(fields.next()),
            pool(fields.next()),
            fields.next().and_then(|p| p.parse::<u8>().ok()),
        );
        match (route, fields.next()) {
            ((Some(live), Some(next), Some(percent)), None) if percent <= 100 => {
                Ok(Route { live, next, percent })
            }
            _ => Err(format!(
                "expected blue:blue:0 or the like in the map, found {text:?}"
            )),
        }
    }
}

/// A worker that a reload left behind, still serving its clients from its own map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its process id.
    pub pid: String,
    /// Where it sends requests.
    pub route: Route,
}

/// One server of a backend, as the router sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendServer {
    /// Its name in the router's configuration.
    pub name: String,
    /// The router's word: `UP`, `DOWN`, `MAINT`, `no check`...
    pub status: String,
    /// Whether the router sends it requests: up, and no backup.
    pub up: bool,
    /// Requests in progress.
    pub sessions: u64,
    /// Requests that wait for it.
    pub queued: u64,
}

/// What one router does, as it was read at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterView {
    /// What its current worker does.
    pub live: Route,
    /// What its file says, so what it would do after a reload; `None` where the file says nothing.
    pub persisted: Option<Route>,
    /// Older workers.
    pub workers: Vec<Worker>,
    /// Both pools' servers.
    pub backends: BTreeMap<Pool, Vec<BackendServer>>,
}

impl RouterView {
    /// Whether every worker, and the file, send everything to this pool.
    pub fn is_all(&self, pool: Pool) -> bool {
        self.live.settled() == Some(pool) && self.drift().is_none()
    }

    /// What disagrees with the current worker, in words.
    pub fn drift(&self) -> Option<String> {
        let mut words = Vec::new();
        match self.persisted {
            Some(file) if file.settled() == self.live.settled() => {}
            Some(file) => words.push(format!(
                "serves {}, but its file says {file}: a reload would flip it",
                self.live
            )),
            None => words.push(format!(
                "serves {}, but its file has no value: a reload may flip it",
                self.live
            )),
        }
        for worker in &self.workers {
            if worker.route.settled() != self.live.settled() {
                words.push(format!(
                    "an older worker ({}) still serves {}",
                    worker.pid, worker.route
                ));
            }
        }
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// How many servers of a pool get requests.
    pub fn up(&self, pool: Pool) -> usize {
        self.backends
            .get(&pool)
            .map_or(0, |servers| servers.iter().filter(|server| server.up).count())
    }

    /// `web1 UP, web2 DOWN`.
    pub fn servers_in_words(&self, pool: Pool) -> String {
        let servers = self.backends.get(&pool).map_or(&[][..], Vec::as_slice);
        if servers.is_empty() {
            return "no servers".to_owned();
        }
        servers
            .iter()
            .map(|server| format!("{} {}", server.name, server.status))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(live: &str, file: Option<&str>, workers: &[&str]) -> RouterView {
        RouterView {
            live: live.parse().unwrap(),
            persisted: file.map(|f| f.parse().unwrap()),
            workers: workers
                .iter()
                .map(|w| Worker {
                    pid: "7".into(),
                    route: w.parse().unwrap(),
                })
                .collect(),
            backends: BTreeMap::new(),
        }
    }

    #[test]
    fn a_route_is_read_strictly() {
        assert_eq!("green:green:0".parse::<Route>().unwrap(), Route::all(Pool::Green));
        assert_eq!("blue:green:10\n".parse::<Route>().unwrap().settled(), None);
        for bad in [
            "",
            "blue",
            "blue:green",
            "blue:green:101",
            "blue:green:-1",
            "red:blue:0",
            "blue:blue:0:1",
        ] {
            assert!(bad.parse::<Route>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_agreement_of_all_is_all() {
        assert!(view("blue:blue:0", Some("blue:blue:0"), &["blue:blue:0"]).is_all(Pool::Blue));
        assert!(!view("blue:blue:0", Some("green:green:0"), &[]).is_all(Pool::Blue));
        assert!(!view("blue:blue:0", None, &[]).is_all(Pool::Blue));
        assert!(!view("blue:blue:0", Some("blue:blue:0"), &["green:green:0"]).is_all(Pool::Blue));
        assert!(!view("blue:green:5", Some("blue:green:5"), &[]).is_all(Pool::Blue));
        let drift = view("blue:blue:0", Some("green:green:0"), &[]).drift().unwrap();
        assert!(drift.contains("a reload would flip it"), "{drift}");
    }
}
