//! What the program reads and prints, an object each. `docs/reference/exec.md` documents it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::inventory::Pool;
use crate::remote::Output;
use crate::switch::servers::Target;
use crate::switch::{BackendServer, Route, RouterView};

/// The format of what is read and printed; a newer one would be another number.
const VERSION: u32 = 1;

/// What the program is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verb {
    /// Say what the router does; change nothing.
    Observe,
    /// Make sure that the router can be moved; nothing moves.
    Prepare,
    /// Move all requests to the pool `to`, and say what the router then does.
    Move,
}

/// One request.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Request {
    version: u32,
    app: String,
    environment: String,
    servers: Vec<Server>,
}

#[derive(Debug, Clone, Serialize)]
struct Server {
    pool: Pool,
    name: String,
    address: String,
    port: u16,
}

impl Request {
    pub(super) fn of(app: &str, environment: &str, targets: &[Target]) -> Request {
        let server = |target: &Target| Server {
            pool: target.pool,
            name: target.name.clone(),
            address: target.address.clone(),
            port: target.port,
        };
        Request {
            version: VERSION,
            app: app.to_owned(),
            environment: environment.to_owned(),
            servers: targets.iter().map(server).collect(),
        }
    }

    /// One line of JSON.
    pub(super) fn text(&self, verb: Verb, router: &str, to: Option<Pool>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Whole<'a> {
            verb: Verb,
            router: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            to: Option<Pool>,
            #[serde(flatten)]
            request: &'a Request,
        }
        let whole = Whole {
            verb,
            router,
            to,
            request: self,
        };
        let mut text = serde_json::to_vec(&whole).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

/// What the program prints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// The pool that gets all requests.
    live: Pool,
    /// The pool that would get them after a restart.
    kept: Pool,
    /// What could not be known; it counts as using either pool.
    #[serde(default)]
    problems: Vec<String>,
    /// How the router finds each server.
    #[serde(default)]
    servers: Vec<Found>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    pool: Pool,
    name: String,
    up: bool,
    /// In the router's own words; `UP` or `DOWN` unless given.
    #[serde(default)]
    status: Option<String>,
    /// Requests in progress.
    #[serde(default)]
    in_progress: u64,
}

/// What the program said the router does.
pub(super) fn view(output: &Output) -> Result<RouterView, String> {
    if output.section("end").is_none() {
        return Err("the program's answer was cut".to_owned());
    }
    let said = output.section("said").unwrap_or_default().trim();
    let answer: Answer = serde_json::from_str(said).map_err(|error| {
        let said: String = said.chars().take(200).collect();
        format!(
            "expected {{\"live\": \"blue\", \"kept\": \"blue\", \"servers\": [...]}} from the program of [switch.exec], found {said:?} ({error})"
        )
    })?;
    let mut backends: BTreeMap<Pool, Vec<BackendServer>> =
        Pool::ALL.into_iter().map(|pool| (pool, Vec::new())).collect();
    for found in answer.servers {
        let word = if found.up { "UP" } else { "DOWN" };
        backends.entry(found.pool).or_default().push(BackendServer {
            name: found.name,
            status: found.status.unwrap_or_else(|| word.to_owned()),
            up: found.up,
            active: true,
            sessions: found.in_progress,
            queued: 0,
        });
    }
    Ok(RouterView {
        live: Route::all(answer.live),
        persisted: Some(Route::all(answer.kept)),
        workers: Vec::new(),
        problems: answer.problems,
        backends,
        left_out: BTreeMap::new(),
        caches: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Output {
        Output {
            stdout: format!("\n@@pm:said\n{text}\n\n@@pm:end\n"),
            ..Output::default()
        }
    }

    #[test]
    fn what_it_is_asked() {
        let target = Target {
            pool: Pool::Blue,
            name: "web1".into(),
            address: "192.0.2.1".into(),
            port: 80,
        };
        let request = Request::of("shop", "production", &[target]);
        let text = |verb, to| String::from_utf8(request.text(verb, "lb1", to)).expect("UTF-8");
        insta::assert_snapshot!(text(Verb::Observe, None), @r#"{"verb":"observe","router":"lb1","version":1,"app":"shop","environment":"production","servers":[{"pool":"blue","name":"web1","address":"192.0.2.1","port":80}]}"#);
        insta::assert_snapshot!(text(Verb::Move, Some(Pool::Green)), @r#"{"verb":"move","router":"lb1","to":"green","version":1,"app":"shop","environment":"production","servers":[{"pool":"blue","name":"web1","address":"192.0.2.1","port":80}]}"#);
    }

    #[test]
    fn what_it_says() {
        let view = view(&said(
            r#"{"live":"green","kept":"green","servers":[{"pool":"green","name":"web3","up":true,"in_progress":2},{"pool":"blue","name":"web1","up":false,"status":"refused"}]}"#,
        ))
        .expect("a view");
        assert!(view.is_all(Pool::Green));
        assert_eq!(
            (view.up(Pool::Green), view.backends[&Pool::Green][0].sessions),
            (1, 2)
        );
        assert_eq!(view.servers_in_words(Pool::Blue), "web1 refused");
    }

    #[test]
    fn nothing_is_guessed() {
        let wrong = |text: &str| super::view(&said(text)).expect_err("no view");
        insta::assert_snapshot!(wrong(""), @r#"expected {"live": "blue", "kept": "blue", "servers": [...]} from the program of [switch.exec], found "" (EOF while parsing a value at line 1 column 0)"#);
        insta::assert_snapshot!(wrong(r#"{"live":"blue"}"#), @r#"expected {"live": "blue", "kept": "blue", "servers": [...]} from the program of [switch.exec], found "{\"live\":\"blue\"}" (missing field `kept` at line 1 column 15)"#);
        insta::assert_snapshot!(wrong(r#"{"live":"red","kept":"red"}"#), @r#"expected {"live": "blue", "kept": "blue", "servers": [...]} from the program of [switch.exec], found "{\"live\":\"red\",\"kept\":\"red\"}" (unknown variant `red`, expected `blue` or `green` at line 1 column 13)"#);
        let drift = super::view(&said(
            r#"{"live":"blue","kept":"green","problems":["worker 7 is silent"]}"#,
        ))
        .expect("a view");
        insta::assert_snapshot!(drift.drift().unwrap_or_default(), @"serves blue, but its file says green: a reload would flip it; worker 7 is silent");
    }
}
