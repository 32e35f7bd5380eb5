//! Route 53 as AWS documents it, where moto is not as strict: a batch is done as a whole or not at all, one batch at a
//! time; DELETE has to name a set as it stands, letter by letter and with its TTL; CREATE fails where one stands; a
//! CNAME stands alone. moto 5.2 is not so: it compares a DELETE with everything that was ever created, does a CREATE over
//! a set that stands, refuses one that once stood, and does a batch up to its first mistake, so neither staleness nor
//! races can be shown with it.
//! The words of a refused DELETE are those of AWS, as people show them (external-dns#732, boto#2887); of a refused CREATE,
//! those of moto.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

/// TTL and values of each name and type.
pub type Sets = BTreeMap<(String, String), (u32, Vec<String>)>;

#[derive(Default)]
pub struct State {
    pub sets: Sets,
    /// Batches that were done, and that were refused.
    pub done: usize,
    pub refused: usize,
    /// How often a change is said to be pending before it is in sync.
    pub pending: usize,
    pub asked: usize,
}

#[derive(Clone)]
struct Answers(Arc<Mutex<State>>);

/// The stand-in, with the zone `example.com`.
pub struct Strict {
    server: MockServer,
    pub state: Arc<Mutex<State>>,
}

impl Strict {
    pub async fn start() -> Strict {
        let server = MockServer::start().await;
        let state = Arc::new(Mutex::new(State::default()));
        Mock::given(matchers::any())
            .respond_with(Answers(Arc::clone(&state)))
            .mount(&server)
            .await;
        Strict { server, state }
    }

    pub fn url(&self) -> String {
        self.server.uri()
    }

    pub fn put(&self, name: &str, kind: &str, ttl: u32, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.state
            .lock()
            .unwrap()
            .sets
            .insert((name.to_owned(), kind.to_owned()), (ttl, values));
    }

    pub fn sets(&self) -> Sets {
        self.state.lock().unwrap().sets.clone()
    }
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        let path = request.url.path();
        if path.ends_with("/hostedzonesbyname") || path.ends_with("/hostedzone/Z1") {
            return ok(
                "<HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name><Config>\
                       <PrivateZone>false</PrivateZone></Config></HostedZone>",
            );
        }
        if path.contains("/change/") {
            state.asked += 1;
            let pending = state.asked <= state.pending;
            return ok(&change(if pending { "PENDING" } else { "INSYNC" }));
        }
        if request.method == http::Method::POST {
            return state.batch(&String::from_utf8_lossy(&request.body));
        }
        let parameter = |wanted: &str| {
            let mut pairs = request.url.query_pairs();
            pairs
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        state.list(
            parameter("name").unwrap_or_default().trim_end_matches('.'),
            &parameter("type").unwrap_or_default(),
        )
    }
}

impl State {
    /// One set a page, so that every list has several.
    fn list(&self, name: &str, kind: &str) -> ResponseTemplate {
        let from = (name.to_owned(), kind.to_owned());
        let mut sets = self.sets.range(from..);
        let mut body = String::from("<ResourceRecordSets>");
        if let Some(((name, kind), (ttl, values))) = sets.next() {
            let values: String = values
                .iter()
                .map(|value| {
                    format!(
                        "<ResourceRecord><Value>{}</Value></ResourceRecord>",
                        escaped(value)
                    )
                })
                .collect();
            body += &format!(
                "<ResourceRecordSet><Name>{name}.</Name><Type>{kind}</Type><TTL>{ttl}</TTL><ResourceRecords>{values}\
                 </ResourceRecords></ResourceRecordSet>"
            );
        }
        body += "</ResourceRecordSets>";
        body += &match sets.next() {
            Some(((name, kind), _)) => format!(
                "<IsTruncated>true</IsTruncated><NextRecordName>{name}.</NextRecordName>\
                 <NextRecordType>{kind}</NextRecordType>"
            ),
            None => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        ok(&body)
    }

    fn batch(&mut self, document: &str) -> ResponseTemplate {
        let mut sets = self.sets.clone();
        let mut mistakes = Vec::new();
        for change in document.split("<Change>").skip(1) {
            let of = |name: &str| between(change, &format!("<{name}>"), "<").to_owned();
            let (name, kind) = (of("Name"), of("Type"));
            let written: Vec<String> = change
                .split("<Value>")
                .skip(1)
                .map(|value| plain(value.split_once('<').unwrap().0))
                .collect();
            let named = format!("resource record set [name='{name}.', type='{kind}']");
            let key = (name.clone(), kind.clone());
            let wanted = (of("TTL").parse().unwrap(), written);
            match (of("Action").as_str(), sets.get(&key)) {
                ("DELETE", None) => mistakes.push(format!("Tried to delete {named} but it was not found")),
                ("DELETE", Some(found)) if !same(found, &wanted) => mistakes.push(format!(
                    "Tried to delete {named} but the values provided do not match the current values"
                )),
                ("DELETE", Some(_)) => {
                    sets.remove(&key);
                }
                ("CREATE", Some(_)) => {
                    mistakes.push(format!("Tried to create {named} but it already exists"))
                }
                ("CREATE", None) if !(name == "example.com" || name.ends_with(".example.com")) => {
                    mistakes.push(format!(
                        "RRSet with DNS name {name}. is not permitted in zone example.com."
                    ));
                }
                ("CREATE", None) => {
                    let others = sets
                        .keys()
                        .any(|(other, of)| *other == name && (of == "CNAME" || kind == "CNAME"));
                    if others {
                        mistakes.push(format!(
                            "RRSet of type {kind} with DNS name {name}. is not permitted as it conflicts with other \
                             records with the same DNS name in zone example.com."
                        ));
                    }
                    sets.insert(key, wanted);
                }
                (action, _) => panic!("{action}"),
            }
        }
        if !mistakes.is_empty() {
            self.refused += 1;
            return ResponseTemplate::new(400).set_body_string(format!(
                "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error>\
                 <Type>Sender</Type><Code>InvalidChangeBatch</Code><Message>[{}]</Message></Error>\
                 <RequestId>r</RequestId></ErrorResponse>",
                mistakes.join(", ")
            ));
        }
        self.done += 1;
        self.sets = sets;
        ok(&change("PENDING"))
    }
}

/// In any order.
fn same(one: &(u32, Vec<String>), other: &(u32, Vec<String>)) -> bool {
    let sorted = |values: &[String]| {
        let mut values = values.to_vec();
        values.sort();
        values
    };
    one.0 == other.0 && sorted(&one.1) == sorted(&other.1)
}

fn change(status: &str) -> String {
    format!("<ChangeInfo><Id>/change/C1</Id><Status>{status}</Status></ChangeInfo>")
}

fn ok(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(format!(
        "<?xml version=\"1.0\"?>\n<Answer xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">{body}</Answer>"
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// What stands after one text, up to another.
pub fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start} in {text}"))
        .1;
    rest.split_once(end)
        .unwrap_or_else(|| panic!("no {end} in {text}"))
        .0
}
