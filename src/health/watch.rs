//! Watches, through the routers, whether the release that serves goes on answering while something that it depends on
//! is changed: a migration must not break the release before it (FAULTS.md 41).

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use reqwest::Url;

use super::text::{headline, tidy};
use super::web::{fetch, warm};
use crate::error_rate::ErrorRate;
use crate::inventory::Router;

/// Pause between two requests to one place: often enough that a second of errors is seen, seldom enough to be no load.
const PAUSE: Duration = Duration::from_millis(200);
/// A place without an answer for this long has failed: people wait no longer.
const DEADLINE: Duration = Duration::from_secs(2);
/// So many good answers in a row, before the change, make a place one that is watched.
const BEFORE: usize = 3;

/// Places that answered well before the change. What did not, as a path that only the hosts know, is left out: it
/// tells nothing.
#[derive(Debug)]
pub struct Watch {
    places: Vec<Place>,
}

/// One path through one router.
#[derive(Debug)]
struct Place {
    router: String,
    url: Url,
    host_header: Option<String>,
}

/// What a watch saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// How many requests were made.
    pub requests: usize,
    /// Each place whose errors rose, in words.
    pub risen: Vec<String>,
}

impl Watch {
    /// Asks for each path through each router, and keeps those that answer well.
    pub async fn begin<'a>(routers: &[Router], paths: impl IntoIterator<Item = &'a str>) -> Watch {
        warm();
        let paths: BTreeSet<&str> = paths.into_iter().collect();
        let all = routers.iter().flat_map(|router| {
            paths.iter().filter_map(|path| {
                let url = Url::parse(&format!("{}{path}", router.url.trim_end_matches('/'))).ok()?;
                Some(Place {
                    router: router.name.clone(),
                    url,
                    host_header: router.host_header.clone(),
                })
            })
        });
        let asked = all.map(|place| async move {
            for _ in 0..BEFORE {
                if place.problem().await.is_some() {
                    return None;
                }
            }
            Some(place)
        });
        let places = join_all(asked).await.into_iter().flatten().collect();
        Watch { places }
    }

    /// How many places are watched.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Watches while `change` goes on, and for `after` when it has ended well.
    pub async fn during<T, E>(
        &self,
        change: impl Future<Output = Result<T, E>>,
        after: Duration,
    ) -> (Result<T, E>, Seen) {
        let (tell, told) = tokio::sync::watch::channel(false);
        let change = async move {
            let result = change.await;
            if result.is_ok() && !self.is_empty() {
                tokio::time::sleep(after).await;
            }
            tell.send_replace(true);
            result
        };
        let watching = join_all(self.places.iter().map(|place| place.watch(told.clone())));
        let (result, seen) = tokio::join!(change, watching);
        let seen = seen
            .into_iter()
            .fold(Seen::default(), |mut all, (requests, risen)| {
                all.requests += requests;
                all.risen.extend(risen);
                all
            });
        (result, seen)
    }
}

impl Place {
    async fn watch(&self, mut end: tokio::sync::watch::Receiver<bool>) -> (usize, Option<String>) {
        let mut rate = ErrorRate::default();
        let mut requests = 0;
        loop {
            // A request that was begun counts, so that what hangs is seen.
            rate.add(self.problem().await);
            requests += 1;
            let ended = *end.borrow();
            if ended || tokio::time::timeout(PAUSE, end.changed()).await.is_ok() {
                break;
            }
        }
        let risen = rate
            .risen()
            .map(|words| format!("{} through {}: {words}", self.url.path(), self.router));
        (requests, risen)
    }

    /// What is wrong with one answer.
    async fn problem(&self) -> Option<String> {
        let asked = fetch(self.url.clone(), self.host_header.as_deref());
        match tokio::time::timeout(DEADLINE, asked).await {
            Err(_) => Some(format!("no answer within {DEADLINE:?}")),
            Ok(Err(error)) => Some(tidy(&error.to_string())),
            Ok(Ok((200..400, _))) => None,
            Ok(Ok((status, body))) => {
                let line = headline(&body);
                let line = if line.is_empty() {
                    line
                } else {
                    format!(": {line}")
                };
                Some(format!("status {status}{line}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    use super::*;

    /// A site with two pages; `/` fails while `broken` is set. A third is never there.
    async fn site(broken: &Arc<AtomicBool>) -> (MockServer, Router) {
        let server = MockServer::start().await;
        let ok = ResponseTemplate::new(200);
        Mock::given(path("/up")).respond_with(ok).mount(&server).await;
        let broken = broken.clone();
        let page = move |_: &Request| {
            ResponseTemplate::new(if broken.load(Ordering::SeqCst) { 500 } else { 200 })
                .set_body_string("row")
        };
        Mock::given(path("/")).respond_with(page).mount(&server).await;
        let router = Router {
            address: "lb1".into(),
            name: "lb1".into(),
            port: None,
            user: None,
            url: server.uri(),
            host_header: None,
        };
        (server, router)
    }

    async fn watched(paths: &[&str], breaks: bool) -> (usize, Seen) {
        let broken = Arc::new(AtomicBool::new(false));
        let (_server, router) = site(&broken).await;
        let watch = Watch::begin(&[router], paths.iter().copied()).await;
        let change = async {
            broken.store(breaks, Ordering::SeqCst);
            Ok::<(), ()>(())
        };
        let (_, seen) = watch.during(change, Duration::from_millis(1500)).await;
        (watch.len(), seen)
    }

    #[tokio::test]
    async fn what_breaks_by_the_change_is_named_with_its_path() {
        let (places, seen) = watched(&["/up", "/", "/hosts-only"], true).await;
        assert_eq!(places, 2, "a path that is not there tells nothing");
        assert_eq!(seen.risen.len(), 1, "{seen:?}");
        let words = &seen.risen[0];
        assert!(
            words.starts_with("/ through lb1: ") && words.ends_with("status 500: row"),
            "{words}"
        );
    }

    /// The negative control: the same without the fault, and the same fault where nobody looks.
    #[tokio::test]
    async fn nothing_is_said_where_nothing_breaks() {
        let (_, seen) = watched(&["/up", "/"], false).await;
        assert!(seen.risen.is_empty() && seen.requests >= 8, "{seen:?}");
        assert!(watched(&["/up"], true).await.1.risen.is_empty());
    }

    #[tokio::test]
    async fn a_change_that_failed_is_not_waited_after() {
        let (_server, router) = site(&Arc::default()).await;
        let watch = Watch::begin(&[router], ["/up"]).await;
        let began = std::time::Instant::now();
        let (result, _) = watch
            .during(async { Err::<(), _>("no") }, Duration::from_secs(60))
            .await;
        assert_eq!(result, Err("no"));
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
