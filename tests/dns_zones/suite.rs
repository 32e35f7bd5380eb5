//! What every server must do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman::switch::api::ApiError;
use pointsman::switch::dns::ask;
use pointsman::switch::dns::rfc2136::Rfc2136;
use pointsman::switch::dns::{Kind, RecordSet, Replace, Zone};
use pointsman::switch::{Finding, api_for};

use super::process::{free_port, local};
use super::server::{Program, READER, Server, WRITER, WRITER_512, ZONE, hmac_of, secret_of};

/// Writers that run against each other, and how often.
pub const WRITERS: usize = 8;
pub const ROUNDS: usize = 100;

pub fn set(name: &str, kind: Kind, ttl: u32, values: &[&str]) -> RecordSet {
    let mut values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    values.sort();
    RecordSet {
        name: format!("{name}.{ZONE}"),
        kind,
        ttl,
        values,
        share: None,
    }
}

pub fn change(old: Option<RecordSet>, new: Option<RecordSet>) -> Vec<Replace> {
    vec![Replace { old, new }]
}

/// What stands at one name.
pub async fn at(zone: &dyn Zone, name: &str) -> Vec<RecordSet> {
    let name = format!("{name}.{ZONE}");
    zone.read(&[&name])
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Replaces, reads back, and goes on with what it found.
async fn put(zone: &Rfc2136, name: &str, sets: Vec<Replace>) {
    zone.replace(&sets)
        .await
        .unwrap_or_else(|error| panic!("{sets:?}: {error}"));
    let mut expected: Vec<RecordSet> = sets.into_iter().filter_map(|set| set.new).collect();
    expected.sort_by_key(|set| set.kind);
    let mut found = at(zone, name).await;
    found.sort_by_key(|set| set.kind);
    assert_eq!(found, expected);
}

pub async fn round_trips(program: Program) {
    let server = Server::start(program).await;
    let zone = server.zone();
    assert_eq!(at(&zone, "www").await, []);

    // Addresses, several at once, both families in one change, and another TTL alone.
    let a = set("www", Kind::A, 60, &["192.0.2.1", "192.0.2.2"]);
    let aaaa = set("www", Kind::Aaaa, 60, &["2001:db8::1"]);
    put(&zone, "www", change(None, Some(a.clone()))).await;
    let both = vec![
        Replace {
            old: Some(a.clone()),
            new: Some(a.clone()),
        },
        Replace {
            old: None,
            new: Some(aaaa.clone()),
        },
    ];
    put(&zone, "www", both).await;
    let sooner = set("www", Kind::A, 5, &["192.0.2.1", "192.0.2.2"]);
    let sets = vec![
        Replace {
            old: Some(a),
            new: Some(sooner.clone()),
        },
        Replace {
            old: Some(aaaa.clone()),
            new: Some(aaaa.clone()),
        },
    ];
    put(&zone, "www", sets).await;

    // Addresses become a CNAME and back, each in one message, in whatever order they are given.
    let cname = set("www", Kind::Cname, 5, &["blue.z.example"]);
    let sets = vec![
        Replace {
            old: None,
            new: Some(cname.clone()),
        },
        Replace {
            old: Some(sooner.clone()),
            new: None,
        },
        Replace {
            old: Some(aaaa),
            new: None,
        },
    ];
    put(&zone, "www", sets).await;
    let green = set("www", Kind::Cname, 5, &["green.z.example"]);
    put(&zone, "www", change(Some(cname), Some(green.clone()))).await;
    let sets = vec![
        Replace {
            old: None,
            new: Some(sooner.clone()),
        },
        Replace {
            old: Some(green),
            new: None,
        },
    ];
    put(&zone, "www", sets).await;

    // Texts: long, several in one set, empty, not ASCII; names in any case.
    let long = "0123456789".repeat(300);
    let longest = "é".repeat(zone.longest_text() / 2);
    let text = set("_Pointsman.www", Kind::Txt, 1, &[&long]);
    let lower = RecordSet {
        name: text.name.to_lowercase(),
        ..text.clone()
    };
    zone.replace(&change(None, Some(text))).await.unwrap();
    assert_eq!(at(&zone, "_POINTSMAN.www").await, [lower.clone()]);
    let more = set(
        "_pointsman.www",
        Kind::Txt,
        1,
        &[&longest, "", "epoch=7 \"quoted\" back\\slash; semicolon", &long],
    );
    put(&zone, "_pointsman.www", change(Some(lower), Some(more.clone()))).await;
    put(&zone, "_pointsman.www", change(Some(more), None)).await;

    // Two names in one change, read in one go.
    let note = set("_pointsman.www", Kind::Txt, 1, &["2"]);
    let sets = vec![
        Replace {
            old: Some(sooner.clone()),
            new: Some(set("www", Kind::A, 5, &["192.0.2.9"])),
        },
        Replace {
            old: None,
            new: Some(note.clone()),
        },
    ];
    zone.replace(&sets).await.unwrap();
    let read = zone
        .read(&["_pointsman.www.z.example", "www.z.example"])
        .await
        .unwrap();
    assert_eq!(read, [note, set("www", Kind::A, 5, &["192.0.2.9"])]);

    // What others cut otherwise.
    let cut = at(&zone, "cut").await;
    assert_eq!(cut[0].values, ["one record in three"]);
    let new = set("cut", Kind::Txt, 300, &["one"]);
    put(&zone, "cut", change(Some(cut[0].clone()), Some(new))).await;
}

/// Nothing is changed where what is expected does not stand there, in whatever way.
///
/// The negative control is `overwrite`, the same message without what is expected: the stale writer wins.
pub async fn stale_changes_nothing(program: Program) {
    let server = Server::start(program).await;
    let zone = server.zone();
    let a = |value: &str| Some(set("www", Kind::A, 5, &[value]));
    let two = set("www", Kind::A, 5, &["192.0.2.1", "192.0.2.2"]);
    zone.replace(&change(None, Some(two.clone()))).await.unwrap();
    let new = a("192.0.2.66");
    let note = |old: Option<RecordSet>| Replace {
        old,
        new: Some(set("_pointsman.www", Kind::Txt, 1, &["mine"])),
    };
    let mut tries = vec![
        change(None, new.clone()),           // nothing expected, something there
        change(a("192.0.2.3"), new.clone()), // another value
        change(a("192.0.2.1"), new.clone()), // a part of the set
        change(
            Some(set("www", Kind::A, 5, &["192.0.2.1", "192.0.2.2", "192.0.2.3"])),
            new.clone(),
        ),
        change(Some(set("www", Kind::Aaaa, 5, &["2001:db8::1"])), None),
        change(Some(set("nowhere", Kind::Txt, 5, &["x"])), None),
        change(a("192.0.2.3"), a("192.0.2.3")), // only compared
        // What is left out silently by a server must not be said to be done.
        change(None, Some(set("www", Kind::Cname, 5, &["blue.z.example"]))),
    ];
    // One of two is stale: neither is done, in either order.
    let stale = change(a("192.0.2.3"), new.clone()).remove(0);
    tries.push(vec![stale.clone(), note(None)]);
    tries.push(vec![note(None), stale]);
    let kept = change(Some(two.clone()), Some(two.clone())).remove(0);
    tries.push(vec![
        kept,
        note(Some(set("_pointsman.www", Kind::Txt, 1, &["other"]))),
    ]);
    for sets in tries {
        let error = zone.replace(&sets).await.expect_err(&format!("{sets:?}"));
        println!("{}: {error}", program.name());
        assert!(matches!(error, ApiError::Stale { .. }), "{sets:?}: {error:?}");
        assert_eq!(at(&zone, "www").await, [two.clone()], "{sets:?}");
        assert_eq!(at(&zone, "_pointsman.www").await, [], "{sets:?}");
    }
    cname_stands_alone(&server, &zone).await;
    let cname = set("alias", Kind::Cname, 5, &["blue.z.example"]);
    zone.replace(&change(None, Some(cname.clone()))).await.unwrap();
    let beside = change(None, Some(set("alias", Kind::A, 5, &["192.0.2.1"])));
    let error = zone.replace(&beside).await.unwrap_err();
    assert!(matches!(error, ApiError::Stale { .. }), "{error:?}");
    assert_eq!(at(&zone, "alias").await, [cname.clone()]);
    // The control: where that is not compared, a server may say that all is well, and leave it out.
    let said = zone.overwrite(&beside).await;
    println!("{}: beside a CNAME, nothing compared: {said:?}", program.name());
    assert_eq!(said.is_ok(), program != Program::PowerDns, "{said:?}");
    assert_eq!(at(&zone, "alias").await, [cname], "it is not there");
    // A wildcard stands in for what is read, and for nothing that is compared.
    let wild = at(&zone, "a.wild").await;
    assert_eq!(wild[0].values, ["192.0.2.7"]);
    let error = zone
        .replace(&change(Some(wild[0].clone()), Some(wild[0].clone())))
        .await
        .unwrap_err();
    assert!(matches!(error, ApiError::Stale { .. }), "{error:?}");

    let stale = change(Some(set("www", Kind::A, 5, &["192.0.2.3"])), new.clone());
    zone.overwrite(&stale).await.unwrap();
    assert_eq!(
        at(&zone, "www").await,
        new.into_iter().collect::<Vec<_>>(),
        "without the comparison the stale writer wins"
    );
}

/// What stands where a CNAME has to stand alone is named at once, also of a type that no update of ours compares (LOC).
///
/// The negative control is `overwrite`: BIND and Knot say that all is well, and leave the CNAME out.
async fn cname_stands_alone(server: &Server, zone: &Rfc2136) {
    let program = server.program;
    let apex = RecordSet {
        name: ZONE.to_owned(),
        ..set("", Kind::Cname, 5, &["blue.z.example"])
    };
    for (cname, found) in [
        (set("mx", Kind::Cname, 5, &["blue.z.example"]), "found MX;"),
        (set("loc", Kind::Cname, 5, &["blue.z.example"]), "found TYPE29;"),
        (apex, "found NS, SOA;"),
    ] {
        let name = cname.name.clone();
        let beside = change(None, Some(cname));
        let error = zone.replace(&beside).await.unwrap_err();
        let hint = error.hint().unwrap_or_default();
        println!("{}: {error}; {hint}", program.name());
        assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains(found), "{error}");
        assert!(hint.contains("`switch.dns.green`"), "{hint}");
        assert_eq!(zone.read(&[&name]).await, Ok(vec![]));
        let said = zone.overwrite(&beside).await;
        assert_eq!(said.is_ok(), program != Program::PowerDns, "{said:?}");
        assert_eq!(zone.read(&[&name]).await, Ok(vec![]), "it is not there");
    }
}

/// What a flip would meet is found by `doctor` before: a key that may not make it, a record that a CNAME cannot stand
/// beside. Nothing is changed by that: the zone's serial stays.
pub async fn doctor_rehearses_a_flip(program: Program) {
    let server = Server::start(program).await;
    let zone = server.zone();
    for name in ["shop", "mx", "ptr"] {
        let blue = set(name, Kind::A, 5, &["127.0.0.1"]);
        zone.replace(&change(None, Some(blue))).await.unwrap();
    }
    let note = set("_pointsman.shop", Kind::Txt, 5, &["pointsman 1/1 "]);
    let (folder, second) = (tempfile::tempdir().unwrap(), Duration::from_secs(1));
    let serial = async || ask::serial(local(server.port), ZONE, second).await.unwrap();
    // With the note that a first deploy writes, and with one that stands there.
    for noted in [false, true] {
        if noted {
            zone.replace(&change(None, Some(note.clone()))).await.unwrap();
        }
        let before = serial().await;
        for (key, name, green, problem, cure) in [
            (WRITER, "shop", "127.0.0.2", "", ""),
            (WRITER, "shop", "green.z.example", "", ""),
            (READER, "shop", "127.0.0.2", "may not do this", "`update-policy`"),
            (WRITER, "mx", "127.0.0.2", "", ""),
            (WRITER, "mx", "green.z.example", "found MX;", "`switch.dns.green`"),
            (
                WRITER,
                "ptr",
                "green.z.example",
                "found PTR;",
                "`switch.dns.green`",
            ),
        ] {
            // Knot calls a key that no `acl` of the zone names unknown, so nothing is read with it that a flip could change.
            let (problem, cure) = match (program, key) {
                (Program::Knot, READER) => ("BADKEY", "`acl`"),
                _ => (problem, cure),
            };
            let dns = format!("name = \"{name}.{ZONE}\"\ngreen = [\"{green}\"]\n");
            let inventory = server.inventory(folder.path(), key, &dns);
            let findings = api_for(&inventory).unwrap().unwrap().doctor().await;
            let at = format!("127.0.0.1:{}", server.port);
            let of_server: Vec<_> = findings.iter().filter(|finding| finding.server == at).collect();
            let wrong: Vec<_> = of_server.iter().filter(|finding| !finding.ok).collect();
            let what = format!("{} {key} {name} {green}: {of_server:#?}", program.name());
            println!("{what}");
            if problem.is_empty() {
                let may = format!("may change `_pointsman.{name}.{ZONE}` TXT, `{name}.{ZONE}` A");
                assert!(
                    of_server.iter().any(|finding| finding.what.contains(&may)),
                    "{what}"
                );
                assert_eq!(wrong.len(), 0, "{what}");
                continue;
            }
            let hint = |finding: &Finding| finding.hint.as_ref().is_some_and(|hint| hint.contains(cure));
            assert!(
                wrong
                    .iter()
                    .any(|finding| finding.what.contains(problem) && hint(finding)),
                "{what}"
            );
        }
        assert_eq!(serial().await, before, "{}: nothing was changed", program.name());
    }
    assert_eq!(at(&zone, "shop").await, [set("shop", Kind::A, 5, &["127.0.0.1"])]);
    assert_eq!(at(&zone, "_pointsman.shop").await, [note]);
}

/// Of writers that expect the same, one wins, each time.
pub async fn one_writer_wins(program: Program) {
    let server = Server::start(program).await;
    let zones: Vec<Arc<Rfc2136>> = (0..WRITERS).map(|_| Arc::new(server.zone())).collect();
    let mut standing = set("_pointsman.www", Kind::Txt, 1, &["start"]);
    zones[0]
        .replace(&change(None, Some(standing.clone())))
        .await
        .unwrap();
    let since = Instant::now();
    let (mut wins, mut slowest) = ([0; WRITERS], std::time::Duration::ZERO);
    for round in 0..ROUNDS {
        let mut tasks = Vec::new();
        for (number, zone) in zones.iter().enumerate() {
            let zone = Arc::clone(zone);
            let new = set("_pointsman.www", Kind::Txt, 1, &[&format!("{round} {number}")]);
            let old = standing.clone();
            tasks.push(tokio::spawn(async move {
                let since = Instant::now();
                let done = zone.replace(&change(Some(old), Some(new.clone()))).await;
                (new, done, since.elapsed())
            }));
        }
        let mut winners = Vec::new();
        for (number, task) in tasks.into_iter().enumerate() {
            let (new, done, took) = task.await.unwrap();
            slowest = slowest.max(took);
            match done {
                Ok(()) => {
                    wins[number] += 1;
                    winners.push(new);
                }
                Err(ApiError::Stale { .. }) => {}
                Err(error) => panic!("{}: round {round}: {error:?}", program.name()),
            }
        }
        let found = at(zones[0].as_ref(), "_pointsman.www").await;
        assert_eq!(winners, found, "{}: round {round}", program.name());
        standing = winners.remove(0);
    }
    println!(
        "{}: {WRITERS} writers, {ROUNDS} rounds: one winner each, {wins:?}; {} ms a round, slowest change {} ms",
        program.name(),
        since.elapsed().as_millis() / ROUNDS as u128,
        slowest.as_millis()
    );
}

/// What is wrong is named, refused with its cure, and nothing is changed.
pub async fn refusals_have_their_own_words(program: Program) {
    let mut server = Server::start(program).await;
    let zone = server.zone();
    let new = Some(set("www", Kind::A, 5, &["192.0.2.1"]));
    let (sha256, sha512) = (hmac_of(WRITER).0, hmac_of(WRITER_512).0);
    let port = server.port;
    // PowerDNS refuses a key that it does not take in one way for all reasons, without a TSIG record (its log says which);
    // Knot calls a key that no `acl` of the zone names unknown, and so does not even let it read.
    let powerdns = program == Program::PowerDns;
    let word = |word: &'static str| if powerdns { "does not sign" } else { word };
    let unknown = |zone: &'static str, key: &str, secret: &str, algorithm| {
        server.zone_at(port, zone, key, &secret_of(secret), algorithm)
    };
    let cases = [
        (
            "wrong key",
            word("BADKEY"),
            unknown(ZONE, "nobody.example", WRITER, sha256),
        ),
        (
            "wrong secret",
            word("BADSIG"),
            unknown(ZONE, WRITER, READER, sha256),
        ),
        (
            "wrong algorithm",
            word("BADKEY"),
            unknown(ZONE, WRITER, WRITER, sha512),
        ),
        (
            "slow clock",
            word("the server's is ahead (BADTIME"),
            server.zone().with_clock_off_by(-900),
        ),
        (
            "fast clock",
            word("this machine's is ahead (BADTIME"),
            server.zone().with_clock_off_by(900),
        ),
        (
            "not allowed",
            if program == Program::Knot {
                "BADKEY"
            } else {
                "may not"
            },
            server.zone_with(READER),
        ),
    ];
    for (what, word, zone) in cases {
        let error = zone.replace(&change(None, new.clone())).await.unwrap_err();
        println!(
            "{}: {what}: {error}; {}",
            program.name(),
            error.hint().unwrap_or_default()
        );
        assert!(matches!(error, ApiError::Refused { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains(word), "{what}: {error}");
        if word.contains("BADTIME") {
            let seconds = error.to_string();
            let seconds = seconds.split("the clocks are ").nth(1).unwrap();
            let seconds: u64 = seconds.split(' ').next().unwrap().parse().unwrap();
            // The clock is read before the message is sent, and a busy machine answers late.
            assert!(seconds.abs_diff(900) <= 10, "{what}: {error}");
        }
        let rehearsed = zone.rehearse(&change(None, new.clone())).await.unwrap_err();
        assert!(
            matches!(rehearsed, ApiError::Refused { .. }) && rehearsed.to_string().contains(word),
            "{what}: what a rehearsal says is what the change says: {rehearsed}"
        );
        let read = zone.read(&["blue.z.example"]).await;
        let may_read = what == "not allowed" && program != Program::Knot;
        assert_eq!(read.is_ok(), may_read, "{what}: {read:?}");
        let findings = zone.doctor().await;
        // BIND's `update-policy` has nothing against a change of nothing: see `doctor_rehearses_a_flip`.
        let good = what == "not allowed" && program == Program::Bind;
        assert_eq!(
            findings.iter().all(|finding| finding.ok),
            good,
            "{what}: {findings:?}"
        );
    }
    assert_eq!(zone.rehearse(&change(None, new.clone())).await, Ok(()));
    assert_eq!(at(&zone, "www").await, [], "a rehearsal changes nothing");
    let other = server.zone_at(port, "other.example", WRITER, &secret_of(WRITER), sha256);
    let set_there = RecordSet {
        name: "www.other.example".to_owned(),
        ..new.clone().unwrap()
    };
    let error = other.replace(&change(None, Some(set_there))).await.unwrap_err();
    println!("{}: wrong zone: {error}", program.name());
    assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
    let error = other.read(&["www.other.example"]).await.unwrap_err();
    println!("{}: wrong zone: reading: {error}", program.name());
    assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
    assert_eq!(at(&zone, "www").await, [], "nothing was changed");

    let findings = zone.doctor().await;
    println!("{}: doctor: {findings:?}", program.name());
    assert!(
        findings.len() == 3 && findings.iter().all(|finding| finding.ok),
        "{findings:?}"
    );

    let nobody = server.zone_at(free_port(), ZONE, WRITER, &secret_of(WRITER), sha256);
    server.kill();
    for zone in [&zone, &nobody] {
        let error = zone.replace(&change(None, new.clone())).await.unwrap_err();
        println!("{}: down: {error}", program.name());
        assert!(matches!(error, ApiError::Unreachable { .. }), "{error:?}");
        let error = zone.read(&["www.z.example"]).await.unwrap_err();
        assert!(matches!(error, ApiError::Unreachable { .. }), "{error:?}");
    }
}

/// Each algorithm, and what was written is there after SIGKILL.
pub async fn what_was_written_stays(program: Program) {
    let mut server = Server::start(program).await;
    let first = set("www", Kind::A, 5, &["192.0.2.1"]);
    let second = set("www", Kind::A, 5, &["192.0.2.2"]);
    server
        .zone_with(WRITER)
        .replace(&change(None, Some(first.clone())))
        .await
        .unwrap();
    server
        .zone_with(WRITER_512)
        .replace(&change(Some(first.clone()), Some(second.clone())))
        .await
        .unwrap();
    for _ in 0..3 {
        server.kill();
        server.run().await;
        assert_eq!(at(&server.zone_with(WRITER_512), "www").await, [second.clone()]);
        assert_eq!(at(&server.zone(), "www").await, [second.clone()]);
    }
    // And it goes on.
    server
        .zone()
        .replace(&change(Some(second), Some(first)))
        .await
        .unwrap();
}
