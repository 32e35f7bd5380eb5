//! What only PowerDNS can do wrong, and what it answers over DNS meanwhile.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pointsman::switch::api::ApiError;
use pointsman::switch::dns::{Kind, RecordSet, Replace, Zone as _};
use serde_json::{Value as Json, json};

use super::bench::{
    Bench as _, TOKEN, WWW, ZONE, a, change, create, note, remove, set, stands, token, words,
};
use super::powerdns::Server;
use super::resolve;
use super::torn::{Proxy, Tear};
use pointsman::switch::dns::powerdns::Powerdns;

/// Replacements under questions.
const FLIPS: usize = 50;

#[tokio::test]
async fn a_restart_loses_nothing() {
    let mut server = Server::start().await;
    let zone = server.zone();
    let text: String = ('a'..='z').cycle().take(3000).collect();
    let sets = vec![note(&text), a(&["192.0.2.1"])];
    zone.replace(&[create(sets[0].clone()), create(sets[1].clone())])
        .await
        .unwrap();
    server.down();
    let error = words(&zone.read(&[WWW]).await.unwrap_err());
    assert!(
        error.starts_with("Unreachable: PowerDNS at 127.0.0.1:"),
        "{error}"
    );
    let error = zone.replace(&[change(sets[1].clone(), a(&["192.0.2.2"]))]).await;
    assert!(matches!(error, Err(ApiError::Unreachable { .. })), "{error:?}");
    server.up().await;
    assert_eq!(stands(zone.as_ref()).await, sets);
    let answer = resolve::addresses(server.dns(), WWW).await.unwrap();
    assert_eq!(answer.addresses, [Ipv4Addr::new(192, 0, 2, 1)]);
}

#[tokio::test]
async fn a_change_without_an_answer_is_in_doubt() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.endpoint().trim_start_matches("http://").parse().unwrap()).await;
    let zone = Powerdns::new(&token(&proxy.endpoint(), TOKEN), ZONE).unwrap();
    for (number, tear) in [Tear::Nothing, Tear::Half].into_iter().enumerate() {
        let old = number.checked_sub(1).map(|n| note(&n.to_string()));
        proxy.arm(tear);
        let new = note(&number.to_string());
        let error = zone
            .replace(&[Replace {
                old,
                new: Some(new.clone()),
            }])
            .await
            .unwrap_err();
        println!("{}", words(&error));
        assert!(error.is_in_doubt(), "{error:?}");
        // It was done, and reading says so.
        assert_eq!(stands(&zone).await, [new]);
    }
}

/// What is put in place of the real one, to see what is sent.
#[tokio::test]
async fn a_flip_is_these_requests() {
    let fake = wiremock::MockServer::start().await;
    let rrset = |name: &str, kind: &str, content: &str| json!({ "name": name, "type": kind, "ttl": 60, "comments": [], "records": [{ "content": content, "disabled": false }] });
    let rrsets = [
        rrset("www.example.com.", "A", "192.0.2.1"),
        rrset("_pointsman.www.example.com.", "TXT", "\"epoch 1\""),
    ];
    let zone = json!({ "id": "example.com.", "name": "example.com.", "kind": "Native", "rrsets": rrsets });
    let get = wiremock::Mock::given(wiremock::matchers::method("GET"));
    get.respond_with(wiremock::ResponseTemplate::new(200).set_body_json(zone))
        .mount(&fake)
        .await;
    let change_it = wiremock::Mock::given(wiremock::matchers::any());
    change_it
        .respond_with(wiremock::ResponseTemplate::new(204))
        .mount(&fake)
        .await;
    let zone = Powerdns::new(&token(&fake.uri(), TOKEN), ZONE).unwrap();
    let cname = set(WWW, Kind::Cname, 60, &["green.example.com"]);
    let sets = [
        change(note("epoch 1"), note("epoch \"2\"")),
        create(cname),
        remove(a(&["192.0.2.1"])),
    ];
    zone.replace(&sets).await.unwrap();
    let requests = fake.received_requests().await.unwrap();
    let sent: Vec<Json> = requests
        .iter()
        .map(|request| {
            assert_eq!(request.headers["x-api-key"], TOKEN);
            let query = request
                .url
                .query()
                .map_or(String::new(), |query| format!("?{query}"));
            let body: Json = serde_json::from_slice(&request.body).unwrap_or_default();
            json!({ "request": format!("{} {}{query}", request.method, request.url.path()), "body": body })
        })
        .collect();
    insta::assert_json_snapshot!(sent, @r#"
    [
      {
        "request": "GET /api/v1/servers/localhost/zones/example.com.?rrset_name=_pointsman.www.example.com.",
        "body": null
      },
      {
        "request": "GET /api/v1/servers/localhost/zones/example.com.?rrset_name=www.example.com.",
        "body": null
      },
      {
        "request": "PATCH /api/v1/servers/localhost/zones/example.com.",
        "body": {
          "rrsets": [
            {
              "name": "www.example.com.",
              "type": "A",
              "changetype": "DELETE"
            },
            {
              "name": "_pointsman.www.example.com.",
              "type": "TXT",
              "ttl": 60,
              "changetype": "REPLACE",
              "records": [
                {
                  "content": "\"epoch \\\"2\\\"\"",
                  "disabled": false
                }
              ]
            },
            {
              "name": "www.example.com.",
              "type": "CNAME",
              "ttl": 60,
              "changetype": "REPLACE",
              "records": [
                {
                  "content": "green.example.com.",
                  "disabled": false
                }
              ]
            }
          ]
        }
      },
      {
        "request": "PUT /api/v1/servers/localhost/cache/flush?domain=_pointsman.www.example.com.",
        "body": null
      },
      {
        "request": "PUT /api/v1/servers/localhost/cache/flush?domain=www.example.com.",
        "body": null
      }
    ]
    "#);
}

#[tokio::test]
async fn its_own_words_come_through() {
    let server = Server::start().await;
    let zone = server.zone();
    zone.replace(&[create(a(&["192.0.2.1"]))]).await.unwrap();
    let beside = [create(set(WWW, Kind::Cname, 60, &["b.example.com"]))];
    let error = words(&zone.replace(&beside).await.unwrap_err());
    assert!(error.starts_with("Refused: "), "{error}");
    assert!(error.contains("Conflicts with pre-existing RRset"), "{error}");
}

#[tokio::test]
async fn doctor_sees_copies_and_serials_that_stand_still() {
    let server = Server::start().await;
    let put = reqwest::Method::PUT;
    for (settings, says) in [
        (json!({ "kind": "Master", "soa_edit_api": "" }), "serial"),
        (json!({ "kind": "Slave", "masters": ["127.0.0.1"] }), "a copy"),
    ] {
        server.api(put.clone(), &format!("/{ZONE}."), &settings).await;
        let findings = server.zone().doctor().await;
        let bad: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
        assert!(bad.len() == 1 && bad[0].what.contains(says), "{findings:?}");
    }
}

/// Between two pools of two addresses, and between addresses and a CNAME.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_ever_empty() {
    let server = Server::start().await;
    let zone = server.zone();
    let blue = a(&["192.0.2.1", "192.0.2.2"]);
    let green = a(&["192.0.2.3", "192.0.2.4"]);
    let cname = set(WWW, Kind::Cname, 60, &["pool.example.com"]);
    let pool = set("pool.example.com", Kind::A, 60, &["192.0.2.5", "192.0.2.6"]);
    zone.replace(&[create(blue.clone()), create(pool.clone()), create(note("0"))])
        .await
        .unwrap();
    let mut epoch = 0;
    for (name, other) in [("addresses", green), ("CNAME", cname)] {
        let stop = Arc::new(AtomicBool::new(false));
        let askers: Vec<_> = (0..2)
            .map(|_| tokio::spawn(ask(server.dns(), Arc::clone(&stop))))
            .collect();
        let (mut took, mut lag) = (Vec::new(), Vec::new());
        let mut now = blue.clone();
        for _ in 0..FLIPS {
            let next = if now == blue { other.clone() } else { blue.clone() };
            let began = Instant::now();
            zone.replace(&turn(epoch, &now, &next)).await.unwrap();
            epoch += 1;
            took.push(began.elapsed());
            // The API knows it at once, whatever the caches hold.
            let read = zone.read(&[WWW]).await.unwrap();
            assert_eq!(read, std::slice::from_ref(&next));
            let values = if next.kind == Kind::A {
                &next.values
            } else {
                &pool.values
            };
            let began = Instant::now();
            while texts(&resolve::addresses(server.dns(), WWW).await.unwrap().addresses) != *values {
                assert!(
                    began.elapsed() < Duration::from_secs(30),
                    "the change is not seen"
                );
                tokio::task::yield_now().await;
            }
            lag.push(began.elapsed());
            now = next;
        }
        // An even number: blue stands there again.
        assert_eq!(now, blue);
        stop.store(true, Ordering::SeqCst);
        let mut seen = BTreeSet::new();
        let mut asked = 0;
        for asker in askers {
            let (count, kinds) = asker.await.unwrap();
            asked += count;
            seen.extend(kinds);
        }
        took.sort();
        lag.sort();
        let late = lag.iter().filter(|lag| **lag > Duration::from_secs(1)).count();
        println!(
            "{name}: {FLIPS} replacements of {:?} (median), {:?} (longest), {asked} questions meanwhile, \
             seen after {:?} (median), {:?} (longest), {late} times after more than 1 s; answers: {seen:?}",
            took[FLIPS / 2],
            took[FLIPS - 1],
            lag[FLIPS / 2],
            lag[FLIPS - 1],
        );
        assert!(asked > FLIPS, "nobody asked");
        // Emptied once more, its caches hold the old answer hardly ever; without that, for 20 s after every eighth change.
        assert!(late <= FLIPS / 25, "{late} changes were seen late");
        for (rcode, addresses) in &seen {
            let whole = [&blue.values, &pool.values, &other.values].contains(&addresses);
            assert!(*rcode == 0 && whole, "rcode {rcode} with {addresses:?}");
        }
    }
}

/// One flip: the note changes, and what stands at the name.
fn turn(epoch: usize, now: &RecordSet, next: &RecordSet) -> Vec<Replace> {
    let mut sets = vec![change(note(&epoch.to_string()), note(&(epoch + 1).to_string()))];
    if now.kind == next.kind {
        sets.push(change(now.clone(), next.clone()));
    } else {
        sets.extend([create(next.clone()), remove(now.clone())]);
    }
    sets
}

async fn ask(server: std::net::SocketAddr, stop: Arc<AtomicBool>) -> (usize, BTreeSet<(u8, Vec<String>)>) {
    let (mut asked, mut seen) = (0, BTreeSet::new());
    while !stop.load(Ordering::SeqCst) {
        let answer = resolve::addresses(server, WWW)
            .await
            .expect("an answer within 2 s");
        asked += 1;
        seen.insert((answer.rcode, texts(&answer.addresses)));
    }
    (asked, seen)
}

fn texts(addresses: &[Ipv4Addr]) -> Vec<String> {
    addresses.iter().map(Ipv4Addr::to_string).collect()
}
