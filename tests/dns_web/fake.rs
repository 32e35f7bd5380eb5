//! A provider that keeps records with ids and speaks JSON over HTTP; what it says comes from `cloudflare.rs` and
//! `digitalocean.rs` here. It fails on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::bench::{TOKEN, WWW};

/// One record as it is kept: name in full, content as the provider writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub kind: String,
    pub content: String,
    pub ttl: u64,
    pub proxied: bool,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// So many requests are turned away with 429, with this `Retry-After`.
    Throttle(u32, Option<u32>),
    /// This status, and nothing is done.
    Before(u16),
    /// This status, and it is done.
    After(u16),
    /// Half of a good answer, as a whole one.
    Torn,
}

#[derive(Default)]
pub struct State {
    pub rows: BTreeMap<u64, Row>,
    pub last: u64,
    /// How many changes pass before what goes wrong.
    pub fault: Option<(usize, Fault)>,
    /// Most records in one answer.
    pub page: usize,
    /// Changes as they came: method, path, body.
    pub changes: Vec<Json>,
    /// Requests in all.
    pub requests: usize,
    /// How often a change left the name without a record, where it had one.
    pub gaps: usize,
}

impl State {
    pub fn add(&mut self, row: Row) -> u64 {
        self.last += 1;
        self.rows.insert(self.last, row);
        self.last
    }

    fn is_served(&self) -> bool {
        let at = |row: &&Row| row.name == WWW && row.kind != "TXT";
        self.rows.values().filter(at).count() > 0
    }

    /// A CNAME stands alone, and no record stands twice.
    pub fn conflict(&self, new: &Row, but: Option<u64>) -> Option<Conflict> {
        let others = self
            .rows
            .iter()
            .filter(|(id, row)| Some(**id) != but && row.name == new.name);
        let mut others = others.map(|(_, row)| row);
        if others
            .clone()
            .any(|row| row.kind == new.kind && row.content == new.content)
        {
            return Some(Conflict::Same);
        }
        let clashes = others.any(|row| row.kind == "CNAME" || new.kind == "CNAME");
        clashes.then_some(Conflict::Cname)
    }
}

pub enum Conflict {
    Same,
    Cname,
}

/// How one provider answers, with a status and JSON. Called with the key already judged.
pub trait Speaks: Send + Sync + 'static {
    fn answer(&self, state: &mut State, request: &Request, body: &Json) -> (u16, Json);
    fn refuse_key(&self) -> (u16, Json);
}

pub struct Fake {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

struct Speaker<S>(S, Arc<Mutex<State>>);

impl Fake {
    pub async fn start(speaks: impl Speaks) -> Fake {
        let state = Arc::new(Mutex::new(State {
            page: 100,
            ..State::default()
        }));
        let server = MockServer::start().await;
        let speaker = Speaker(speaks, Arc::clone(&state));
        Mock::given(any()).respond_with(speaker).mount(&server).await;
        Fake { server, state }
    }

    pub fn uri(&self) -> String {
        self.server.uri()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The fault happens to the change after `pass` more ones; throttling happens to any request.
    pub fn fail(&self, pass: usize, fault: Fault) {
        self.state().fault = Some((pass, fault));
    }

    /// The changes since this was asked last.
    pub fn changes(&self) -> Json {
        Json::from(std::mem::take(&mut self.state().changes))
    }
}

impl<S: Speaks> Respond for Speaker<S> {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.1.lock().unwrap();
        state.requests += 1;
        let is_change = request.method != wiremock::http::Method::GET;
        let mut passed = false;
        match &mut state.fault {
            Some((_, Fault::Throttle(times @ 1.., after))) => {
                *times -= 1;
                let turned_away = ResponseTemplate::new(429).set_body_json(json!({ "message": "slow down" }));
                return match after {
                    Some(after) => turned_away.insert_header("retry-after", after.to_string()),
                    None => turned_away,
                };
            }
            Some((pass @ 1.., _)) if is_change => {
                *pass -= 1;
                passed = true;
            }
            Some((0, Fault::Before(status))) if is_change => {
                let answer = ResponseTemplate::new(*status).set_body_string("<html>gone wrong</html>");
                state.fault = None;
                return answer;
            }
            _ => {}
        }
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        let key = request
            .headers
            .get("authorization")
            .and_then(|key| key.to_str().ok());
        let (status, answer) = if key == Some(&format!("Bearer {TOKEN}")) {
            let served = state.is_served();
            if is_change {
                let change =
                    json!({ "request": format!("{} {}", request.method, request.url.path()), "body": body });
                state.changes.push(change);
            }
            let answer = self.0.answer(&mut state, request, &body);
            state.gaps += usize::from(served && !state.is_served());
            answer
        } else {
            self.0.refuse_key()
        };
        let whole = ResponseTemplate::new(status).set_body_json(&answer);
        match state.fault {
            Some((0, Fault::After(status))) if is_change && !passed => {
                state.fault = None;
                ResponseTemplate::new(status).set_body_string("<html>gone wrong</html>")
            }
            Some((0, Fault::Torn)) if is_change && !passed => {
                state.fault = None;
                let text = answer.to_string();
                ResponseTemplate::new(status).set_body_string(&text[..text.len() / 2])
            }
            _ if answer.is_null() => ResponseTemplate::new(status),
            _ => whole,
        }
    }
}

/// The value of one parameter of the query.
pub fn parameter(request: &Request, name: &str) -> Option<String> {
    let mut pairs = request.url.query_pairs();
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// One page of the rows at a name, with how many there are in all.
pub fn page<'a>(state: &'a State, request: &Request) -> (Vec<(u64, &'a Row)>, usize, usize) {
    let name = parameter(request, "name");
    let rows = state
        .rows
        .iter()
        .filter(|(_, row)| name.as_ref().is_none_or(|name| row.name == *name));
    let rows: Vec<(u64, &Row)> = rows.map(|(id, row)| (*id, row)).collect();
    let number = |name, or| parameter(request, name).map_or(or, |text| text.parse().unwrap());
    let size = number("per_page", 20).min(state.page);
    let page = number("page", 1);
    let pages = rows.len().div_ceil(size).max(1);
    (
        rows.into_iter().skip((page - 1) * size).take(size).collect(),
        page,
        pages,
    )
}
