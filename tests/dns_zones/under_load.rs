//! Flips while clients ask without a pause: 50 there and back, under a storm of reloads, and with the server killed in
//! their midst. Every answer must be one pool's records, whole; a question is asked again as resolvers do, and one that
//! nobody answers in the end is lost.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use pointsman::inventory::provider::Token;
use pointsman::switch::api::ApiError;
use pointsman::switch::dns::powerdns::Powerdns;
use pointsman::switch::dns::{Kind, RecordSet, Replace, Zone};
use secrecy::SecretString;

use super::holding::{Fault, Relay};
use super::process::{PATIENCE, free_port, local, until};
use super::server::{Program, Server, ZONE};
use super::suite::{at, set};

/// Flips, each of them followed by the one back.
const FLIPS: usize = 50;
/// Clients that ask, and the pause of each between two questions.
const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(4);
/// How long a client waits for an answer, and for how long it asks again: as resolvers do, within what a user bears.
const WAIT: Duration = Duration::from_secs(2);
/// How long it waits where servers die, so that it asks the next one soon.
const IMPATIENT: Duration = Duration::from_millis(200);
const PERSISTS: Duration = Duration::from_secs(10);
/// Servers that are killed in the midst of a flip.
const KILLS: u32 = 20;
/// Flips before them, which show how long one takes.
const CALM: usize = 5;
/// The key of PowerDNS's HTTP API.
const KEY: &str = "s3cret";

fn pool(number: usize) -> RecordSet {
    let values = [["192.0.2.1", "192.0.2.2"], ["192.0.2.3", "192.0.2.4"]];
    set("www", Kind::A, 5, &values[number % 2])
}

fn note(number: usize) -> RecordSet {
    set("_pointsman.www", Kind::Txt, 1, &[&format!("epoch {number}")])
}

/// From one pool to the other, with the note: one change.
fn flip(number: usize) -> Vec<Replace> {
    let change = |of: fn(usize) -> RecordSet| Replace {
        old: Some(of(number)),
        new: Some(of(number + 1)),
    };
    vec![change(pool), change(note)]
}

/// What was answered, how often, and the longest wait of a client.
#[derive(Debug, Default)]
struct Heard {
    answers: BTreeMap<String, usize>,
    again: usize,
    slowest: Duration,
}

/// Clients that ask until they are stopped.
struct Clients {
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Heard>>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(server: SocketAddr, wait: Duration) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(Mutex::new(Heard::default()));
        let threads = (0..CLIENTS)
            .map(|_| {
                let (stop, heard) = (stop.clone(), heard.clone());
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let since = Instant::now();
                        let (answer, again) = persistently(server, wait);
                        let mut heard = heard.lock().unwrap();
                        *heard.answers.entry(answer).or_default() += 1;
                        heard.again += again;
                        heard.slowest = heard.slowest.max(since.elapsed());
                        drop(heard);
                        std::thread::sleep(PAUSE); // the client's rate
                    }
                })
            })
            .collect();
        Clients { stop, heard, threads }
    }

    /// How many were answered so far.
    fn answers(&self) -> usize {
        self.heard.lock().unwrap().answers.values().sum()
    }

    /// Stops them; every answer was one pool's records.
    fn judge(self, what: &str) -> Heard {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        println!(
            "{what}: {} questions, {} asked again, slowest {} ms: {:?}",
            heard.answers.values().sum::<usize>(),
            heard.again,
            heard.slowest.as_millis(),
            heard.answers
        );
        let pools: Vec<String> = [pool(0), pool(1)].map(|pool| pool.values.join(" ")).into();
        let others: Vec<_> = heard
            .answers
            .keys()
            .filter(|answer| !pools.contains(answer))
            .collect();
        assert!(others.is_empty(), "{what}: {others:?}");
        assert_eq!(heard.answers.len(), 2, "{what}: both pools were seen");
        heard
    }
}

/// Asked until there is an answer; how often it was asked again.
fn persistently(server: SocketAddr, wait: Duration) -> (String, usize) {
    let end = Instant::now() + PERSISTS;
    let mut again = 0;
    loop {
        match once(server, wait) {
            Ok(answer) => return (answer, again),
            Err(error) if Instant::now() > end => return (error, again),
            // Where nobody listens, the answer comes at once.
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
        again += 1;
    }
}

fn once(server: SocketAddr, wait: Duration) -> Result<String, String> {
    let mut question = Message::query();
    question.add_query(Query::query(
        Name::from_ascii(format!("www.{ZONE}.")).unwrap(),
        RecordType::A,
    ));
    let id = question.metadata.id;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.connect(server).unwrap();
    let words = |error: std::io::Error| error.to_string();
    socket.send(&question.to_vec().unwrap()).map_err(words)?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).map_err(words)?;
    let answer = Message::from_vec(&buffer[..length]).map_err(|error| error.to_string())?;
    assert_eq!(answer.metadata.id, id);
    // What a server says that is not ready yet: resolvers go on to another one, or ask again.
    let code = answer.response_code.to_string();
    if answer.answers.is_empty() && (code.contains("Server Failure") || code.contains("Refused")) {
        return Err(code);
    }
    let mut addresses: Vec<String> = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(address.0.to_string()),
            _ => None,
        })
        .collect();
    addresses.sort();
    // No address at all is an answer too, and one that caches would keep.
    Ok(format!("{} {code}", addresses.join(" ")).replace(" No Error", ""))
}

/// What changes the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Dynamic updates.
    Updates(Program),
    /// PowerDNS's HTTP API. It compares nothing, but there is one writer here; and it too makes a change as a whole.
    Http,
}

impl By {
    fn program(self) -> Program {
        match self {
            By::Updates(program) => program,
            By::Http => Program::PowerDns,
        }
    }

    fn name(self) -> &'static str {
        match self {
            By::Updates(program) => program.name(),
            By::Http => "PowerDNS by HTTP",
        }
    }
}

/// A server, and the port of its HTTP API where that changes the zone.
struct Site {
    server: Server,
    api: Option<u16>,
}

impl Site {
    async fn start(by: By) -> Site {
        let site = match by {
            By::Updates(program) => Site {
                server: Server::start(program).await,
                api: None,
            },
            By::Http => {
                let port = free_port();
                let api = format!(
                    "api=yes\napi-key={KEY}\nwebserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={port}\n"
                );
                Site {
                    server: Server::powerdns_with(&api).await,
                    api: Some(port),
                }
            }
        };
        // The API may be there a moment after the name server.
        until("the zone can be read", async || {
            site.zone().read(&["www.z.example"]).await.is_ok()
        })
        .await;
        let first = [pool(0), note(0)].map(|new| Replace {
            old: None,
            new: Some(new),
        });
        site.zone().replace(&first).await.unwrap();
        site
    }

    fn zone(&self) -> Box<dyn Zone> {
        match self.api {
            None => Box::new(self.server.zone()),
            Some(port) => by_http(port),
        }
    }
}

fn by_http(port: u16) -> Box<dyn Zone> {
    let settings = Token {
        token: Some(SecretString::from(KEY)),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        server: "localhost".to_owned(),
    };
    Box::new(Powerdns::new(&settings, ZONE).unwrap())
}

pub async fn flips_under_questions(by: By) {
    let site = Site::start(by).await;
    let zone = site.zone();
    let clients = Clients::start(local(site.server.port), WAIT);
    let mut slowest = Duration::ZERO;
    for number in 0..2 * FLIPS {
        let since = Instant::now();
        zone.replace(&flip(number)).await.unwrap();
        slowest = slowest.max(since.elapsed());
        assert_eq!(at(zone.as_ref(), "www").await, [pool(number + 1)]);
    }
    let heard = clients.judge(&format!("{}: {} flips", by.name(), 2 * FLIPS));
    assert_eq!(heard.again, 0, "no question had to be asked again");
    println!("{}: slowest flip {} ms", by.name(), slowest.as_millis());
}

/// The server reads its configuration and zones anew, again and again.
pub async fn a_storm_of_reloads(by: By) {
    let site = Site::start(by).await;
    let (server, zone, program) = (&site.server, site.zone(), by.program());
    let clients = Clients::start(local(server.port), WAIT);
    let mut number = 0;
    for round in 0..2 * FLIPS {
        server.reload();
        // Where an update meets a reload it may be refused, or nobody knows: what is read is the truth, and it is asked again.
        let said = zone.replace(&flip(number)).await;
        let found = read(zone.as_ref()).await;
        let moved = found == pool(number + 1);
        assert!(moved || found == pool(number), "{found:?}");
        match said {
            Ok(()) => assert!(moved, "round {round}: done, and not there"),
            Err(ApiError::InDoubt { .. }) => {}
            Err(error) => assert!(!moved, "round {round}: {error}, and it was done"),
        }
        number += usize::from(moved);
    }
    let heard = clients.judge(&format!("{}: {number} flips under reloads", by.name()));
    assert!(number >= FLIPS, "{number} flips of {} were done", 2 * FLIPS);
    assert!(heard.slowest < PERSISTS);
    // After the last reload too it is what was written last. Of PowerDNS each command was answered; the others say in
    // their logs what they did.
    let reloaded = match program {
        Program::Bind => "reloading zones succeeded",
        Program::Knot => "configuration reloaded",
        Program::PowerDns => "",
    };
    let reloads = || {
        let log = std::fs::read_to_string(server.path("log")).unwrap();
        log.matches(reloaded).count()
    };
    // The first of these may be the end of one before.
    for _ in 0..3 {
        let so_far = reloads();
        server.reload();
        if program != Program::PowerDns {
            assert!(so_far >= FLIPS, "{so_far} reloads");
            until("another reload", async || reloads() > so_far).await;
        }
    }
    assert_eq!(read(zone.as_ref()).await, pool(number));
}

/// SIGKILL before, in and after a flip, and the server comes again: what was said is so, and the flip is done or it is not.
pub async fn killed_in_the_midst(by: By) {
    let mut site = Site::start(by).await;
    let mut verdicts = BTreeMap::<&str, usize>::new();
    let clients = Clients::start(local(site.server.port), IMPATIENT);
    let mut number = 0;
    let mut calm = Duration::ZERO;
    while number < CALM {
        let since = Instant::now();
        site.zone().replace(&flip(number)).await.unwrap();
        calm = calm.max(since.elapsed());
        number += 1;
    }
    for kill in 0..KILLS {
        // By HTTP a flip is two questions and the change: so that a kill meets the change, it is held on its way.
        let held = match site.api.filter(|_| kill % 2 == 0) {
            Some(api) => Some(Relay::to(local(api)).await),
            None => None,
        };
        let zone = held
            .as_ref()
            .map_or_else(|| site.zone(), |relay| by_http(relay.port));
        let change = async move { zone.replace(&flip(number)).await };
        let said = match (kill % 4, &held) {
            // Sent, and never read; or killed at some instant from before it is read until after it is done. No answer
            // comes through.
            (kind, Some(relay)) => {
                relay.arm(Fault::Hold, 2);
                let changing = tokio::spawn(change);
                let held = tokio::time::timeout(PATIENCE, relay.held()).await;
                held.expect("the change is the third that is sent");
                if kind == 0 {
                    site.server.freeze();
                }
                // The change is a small part of a flip.
                let instant = calm * (kill / 4) / KILLS;
                tokio::join!(relay.deliver(), async {
                    tokio::time::sleep(instant).await;
                    site.server.kill();
                });
                changing.await.unwrap()
            }
            // Sent, and never read: asleep when it comes, dead when it would wake.
            (0, None) => {
                site.server.freeze();
                let changing = tokio::spawn(change);
                tokio::time::sleep(calm).await;
                site.server.kill();
                changing.await.unwrap()
            }
            // Answered, and dead at once.
            (1, None) => {
                let said = change.await;
                site.server.kill();
                said
            }
            // At some instant from before it was sent until after it was answered.
            _ => {
                let changing = tokio::spawn(change);
                tokio::time::sleep(calm * 2 * kill / KILLS).await;
                site.server.kill();
                changing.await.unwrap()
            }
        };
        site.server.run().await;
        let zone = site.zone();
        let found = read(zone.as_ref()).await;
        let moved = found == pool(number + 1);
        assert!(moved || found == pool(number), "{found:?}");
        let with = at(zone.as_ref(), "_pointsman.www").await;
        assert_eq!(with, [note(number + usize::from(moved))], "the note goes with it");
        if held.is_some() {
            assert!(
                matches!(said, Err(ApiError::InDoubt { .. })),
                "sent, and not answered: {said:?}"
            );
            assert!(!moved || kill % 4 != 0, "done, and never read");
        }
        let verdict = match said {
            Ok(()) => {
                assert!(moved, "done, and not there after the restart");
                "done"
            }
            Err(ApiError::InDoubt { .. }) if moved => "in doubt, and it was done",
            Err(ApiError::InDoubt { .. }) => "in doubt, and it was not",
            Err(error) => {
                assert!(!moved, "{error}, and it was done");
                "not done"
            }
        };
        *verdicts.entry(verdict).or_default() += 1;
        number += usize::from(moved);
        // What stands there now was seen by clients as well.
        let so_far = clients.answers();
        until("answers", async || clients.answers() > so_far + CLIENTS).await;
    }
    println!("{}: {KILLS} kills: {verdicts:?}", by.name());
    let heard = clients.judge(&format!("{}: {number} flips, {KILLS} kills", by.name()));
    assert!(heard.again > 0, "nobody noticed that the server was away");
    assert!(
        verdicts.len() > 1,
        "every kill fell at the same place: {verdicts:?}"
    );
}

/// What stands there, once the server answers again.
async fn read(zone: &dyn Zone) -> RecordSet {
    let end = Instant::now() + PERSISTS;
    loop {
        match zone.read(&["www.z.example"]).await {
            Ok(mut sets) if sets.len() == 1 => return sets.remove(0),
            Ok(sets) => panic!("{sets:?}"),
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    }
}
