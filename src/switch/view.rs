//! What a router does with traffic, as it was read.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
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
        match self.percent {
            0 => Some(self.live),
            100.. => Some(self.next),
            _ => (self.live == self.next).then_some(self.live),
        }
    }

    /// The value as it stands in a map: `live:next:percent`.
    pub fn value(&self) -> String {
        format!("{}:{}:{}", self.live, self.next, self.percent)
    }

    /// The route as two weights, 0 to 200: the share in percent. Which of the two is live does not show in a share alone:
    /// where it is not the heavier one (with equal shares: blue), the weights are doubled.
    pub fn weights(&self) -> [(Pool, u32); 2] {
        let of = |pool| -> u32 {
            match self.settled() {
                Some(settled) if settled == pool => 100,
                Some(_) => 0,
                None if pool == self.live => u32::from(100 - self.percent),
                None => u32::from(self.percent),
            }
        };
        let (blue, green) = (of(Pool::Blue), of(Pool::Green));
        let plain = Route::of_weights(blue, green) == Some(*self) || self.settled().is_some();
        let by = if plain { 1 } else { 2 };
        [(Pool::Blue, blue * by), (Pool::Green, green * by)]
    }

    /// The route of two weights; none where nobody has any. A share that is no whole percent is rounded, never to all or
    /// none.
    pub fn of_weights(blue: u32, green: u32) -> Option<Route> {
        match (blue, green) {
            (0, 0) => None,
            (_, 0) => Some(Route::all(Pool::Blue)),
            (0, _) => Some(Route::all(Pool::Green)),
            _ => {
                let heavier = if blue >= green { Pool::Blue } else { Pool::Green };
                let total = blue.saturating_add(green);
                let live = if total == 200 { heavier.other() } else { heavier };
                let share = match live {
                    Pool::Blue => green,
                    Pool::Green => blue,
                };
                let percent =
                    ((u64::from(share) * 100 + u64::from(total) / 2) / u64::from(total)).clamp(1, 99);
                Some(Route {
                    live,
                    next: live.other(),
                    percent: u8::try_from(percent).unwrap_or(99),
                })
            }
        }
    }

    /// Whether both send the same requests to the same pools, however they are written.
    pub fn same_as(&self, other: &Route) -> bool {
        match (self.settled(), other.settled()) {
            (None, None) => self == other,
            (one, two) => one == two,
        }
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
            fields.next().and_then(percent),
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

/// Digits only: `parse` would take a sign, HAProxy's arithmetic need not.
fn percent(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A worker besides the one that was asked: most often one that a reload left behind, and that still
/// serves its clients from its own map.
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
    /// Whether the router's own checks find it up. A server without checks is never known to be.
    pub up: bool,
    /// Whether it gets requests when it is up, as a backup does not.
    pub active: bool,
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
    /// Other workers: all that a reload left behind, and any new one that does not do as the current.
    pub workers: Vec<Worker>,
    /// What could not be known, in words: workers that cannot be listed or do not answer. Unknown
    /// counts as using a pool.
    pub problems: Vec<String>,
    /// Both pools' servers.
    pub backends: BTreeMap<Pool, Vec<BackendServer>>,
    /// Servers of each pool that get no requests, however they are, until they are put in again.
    #[serde(default)]
    pub left_out: BTreeMap<Pool, Vec<String>>,
    /// For a switch whose answers are cached: what caches may still hold.
    #[serde(default)]
    pub caches: Option<Caches>,
}

/// What resolvers may still hold of a name's records, if they keep to the TTLs that they were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caches {
    /// The highest TTL that an authoritative server gives out now, in seconds.
    pub ttl_s: u32,
    /// The TTL that the inventory wants, in seconds.
    pub wanted_s: u32,
    /// Until when clients may be led to a pool though no server gives it out any more, by the operator's clock.
    #[serde(default)]
    pub until: BTreeMap<Pool, Timestamp>,
    /// Until when answers may be kept that were given out with a TTL that was lowered since.
    #[serde(default)]
    pub long_until: Option<Timestamp>,
    /// Why the authoritative servers are not known. Then only the provider's own word counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unasked: Option<String>,
}

impl Caches {
    /// When every cache has moved, if the records are changed at this moment.
    pub fn all_moved(&self, now: Timestamp) -> Timestamp {
        let ttl = now + SignedDuration::from_secs(self.ttl_s.into());
        self.long_until.map_or(ttl, |long| long.max(ttl))
    }

    /// How long clients may still be led to a pool that no server gives out any more; zero where none can be.
    pub fn left_for(&self, pool: Pool, now: Timestamp) -> Duration {
        let left = self.until.get(&pool).map(|until| until.duration_since(now));
        left.and_then(|left| Duration::try_from(left).ok())
            .unwrap_or_default()
    }
}

impl RouterView {
    /// Whether every worker, and the file, send everything to this pool.
    pub fn is_all(&self, pool: Pool) -> bool {
        self.live.settled() == Some(pool) && self.agrees()
    }

    /// Whether every worker and the file are known to route alike.
    pub fn agrees(&self) -> bool {
        self.drift().is_none()
    }

    /// What disagrees with the current worker, or may, in words.
    pub fn drift(&self) -> Option<String> {
        let mut words = Vec::new();
        match self.persisted {
            Some(file) if file.same_as(&self.live) => {}
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
            if !worker.route.same_as(&self.live) {
                words.push(format!("another worker ({}) serves {}", worker.pid, worker.route));
            }
        }
        words.extend(self.problems.iter().cloned());
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// How many servers of a pool are up and would get requests. Backups count for nothing: HAProxy
    /// turns to them only when all others are gone (`nbsrv()` would count them).
    pub fn up(&self, pool: Pool) -> usize {
        let up = |server: &&BackendServer| server.up && server.active;
        self.backends
            .get(&pool)
            .map_or(0, |servers| servers.iter().filter(up).count())
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
    use proptest::prelude::*;

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
            problems: Vec::new(),
            backends: BTreeMap::new(),
            left_out: BTreeMap::new(),
            caches: None,
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
            "blue:green:+1",
            "red:blue:0",
            "blue:blue:0:1",
        ] {
            assert!(bad.parse::<Route>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_route_survives_its_weights() {
        for live in Pool::ALL {
            for next in Pool::ALL {
                for percent in 0..=100 {
                    let route = Route { live, next, percent };
                    let [(_, blue), (_, green)] = route.weights();
                    let read = Route::of_weights(blue, green).unwrap();
                    assert!(read.same_as(&route), "{route:?} became {read:?}");
                    assert!(blue <= 200 && green <= 200);
                }
            }
        }
        let ten = Route {
            live: Pool::Green,
            next: Pool::Blue,
            percent: 10,
        };
        assert_eq!(ten.weights(), [(Pool::Blue, 10), (Pool::Green, 90)]);
        assert_eq!(Route::of_weights(0, 0), None);
        assert_eq!(Route::of_weights(999, 1).unwrap().percent, 1);
        assert_eq!(
            Route::of_weights(1, 3).unwrap().to_string(),
            "green with 25 % to blue"
        );
    }

    #[test]
    fn only_agreement_of_all_is_all() {
        assert!(view("blue:blue:0", Some("blue:blue:0"), &["blue:blue:0"]).is_all(Pool::Blue));
        assert!(!view("blue:blue:0", Some("green:green:0"), &[]).is_all(Pool::Blue));
        assert!(!view("blue:blue:0", None, &[]).is_all(Pool::Blue));
        assert!(!view("blue:blue:0", Some("blue:blue:0"), &["green:green:0"]).is_all(Pool::Blue));
        assert!(!view("blue:green:5", Some("blue:green:5"), &[]).is_all(Pool::Blue));
        let mut unknown = view("blue:blue:0", Some("blue:blue:0"), &[]);
        unknown.problems.push("worker 7 did not say".into());
        assert!(
            !unknown.is_all(Pool::Blue),
            "unknown counts as using the other pool"
        );
    }

    #[test]
    fn drift_says_who_disagrees() {
        let drift = |live, file, workers| view(live, file, workers).drift().unwrap_or_default();
        insta::assert_snapshot!(drift("blue:blue:0", Some("green:green:0"), &[]), @"serves blue, but its file says green: a reload would flip it");
        insta::assert_snapshot!(drift("blue:blue:0", None, &["green:green:0"]), @"serves blue, but its file has no value: a reload may flip it; another worker (7) serves green");
        insta::assert_snapshot!(drift("blue:green:10", Some("blue:green:20"), &[]), @"serves blue with 10 % to green, but its file says blue with 20 % to green: a reload would flip it");
        assert_eq!(
            drift("green:blue:0", Some("blue:green:100"), &[]),
            "",
            "two ways to write the same"
        );
    }

    fn route() -> impl Strategy<Value = Route> {
        let pool = || prop_oneof![Just(Pool::Blue), Just(Pool::Green)];
        (pool(), pool(), 0..=100_u8).prop_map(|(live, next, percent)| Route { live, next, percent })
    }

    proptest! {
        #[test]
        fn a_route_survives_the_map(route in route()) {
            prop_assert_eq!(route.value().parse::<Route>(), Ok(route));
        }

        #[test]
        fn what_is_read_is_what_would_be_written(text in "[a-z]{0,6}:[a-z]{0,6}:[0-9+ -]{0,4}|blue:(blue|green):[0-9]{1,4}") {
            if let Ok(route) = text.parse::<Route>() {
                prop_assert_eq!(route.value().parse::<Route>(), Ok(route));
                prop_assert!(route.percent <= 100);
            }
        }
    }
}
