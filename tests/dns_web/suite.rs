//! What every provider must do.

use pointsman::switch::api::ApiError;
use pointsman::switch::dns::Kind;

use super::bench::{Bench, NOTE, TOKEN, WWW, ZONE, a, change, create, note, remove, set, stands, words};
use super::process::free_port;

pub async fn round_trip(bench: &impl Bench) {
    let zone = bench.zone();
    assert_eq!(stands(zone.as_ref()).await, vec![]);
    let aaaa = set(WWW, Kind::Aaaa, 60, &["2001:db8::1"]);
    let awkward = note(r#"v=1; who="anna" at;50%"#);
    zone.replace(&[
        create(awkward.clone()),
        create(a(&["192.0.2.1", "192.0.2.2"])),
        create(aaaa.clone()),
    ])
    .await
    .unwrap();
    let first = vec![awkward.clone(), a(&["192.0.2.1", "192.0.2.2"]), aaaa.clone()];
    assert_eq!(stands(zone.as_ref()).await, first);

    // Fewer, others, another TTL, and one type goes.
    let mut next = a(&["192.0.2.2"]);
    next.ttl = 120;
    zone.replace(&[
        change(awkward, note("epoch 2")),
        change(a(&["192.0.2.1", "192.0.2.2"]), next.clone()),
        remove(aaaa),
    ])
    .await
    .unwrap();
    assert_eq!(stands(zone.as_ref()).await, vec![note("epoch 2"), next.clone()]);

    // Only compared: what is the same stays the same.
    zone.replace(&[change(next.clone(), next.clone())]).await.unwrap();
    zone.replace(&[
        change(note("epoch 2"), note("epoch 3")),
        change(next.clone(), next.clone()),
    ])
    .await
    .unwrap();
    assert_eq!(stands(zone.as_ref()).await, vec![note("epoch 3"), next.clone()]);

    // More than there were.
    let more = a(&["192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    zone.replace(&[change(next, more.clone())]).await.unwrap();
    assert_eq!(stands(zone.as_ref()).await, vec![note("epoch 3"), more.clone()]);

    let cname = set(WWW, Kind::Cname, 60, &["blue.example.com"]);
    let turn = [remove(more.clone()), create(cname.clone())];
    if bench.changes_type() {
        zone.replace(&turn).await.unwrap();
        assert_eq!(stands(zone.as_ref()).await, vec![note("epoch 3"), cname.clone()]);
        zone.replace(&[create(more.clone()), remove(cname)])
            .await
            .unwrap();
    } else {
        let error = zone.replace(&turn).await.unwrap_err();
        assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
        assert!(words(&error).contains("without a record"), "{error:?}");
    }
    assert_eq!(stands(zone.as_ref()).await, vec![note("epoch 3"), more]);
    for finding in zone.doctor().await {
        assert!(finding.ok, "{finding:?}");
    }
}

pub async fn long_texts(bench: &impl Bench) {
    let zone = bench.zone();
    let one = "x\";".repeat(zone.longest_text() / 3);
    zone.replace(&[create(note(&one))]).await.unwrap();
    assert_eq!(stands(zone.as_ref()).await, vec![note(&one)]);
    // 3,000 bytes, as one record or as many.
    let text: String = ('a'..='z').cycle().take(3000).collect();
    let parts: Vec<String> = text
        .as_bytes()
        .chunks(zone.longest_text() - 4)
        .enumerate()
        .map(|(number, part)| format!("{number:02}: {}", String::from_utf8_lossy(part)))
        .map(|part| part[..part.len().min(zone.longest_text())].to_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let long = set(NOTE, Kind::Txt, 60, &parts);
    zone.replace(&[change(note(&one), long.clone())]).await.unwrap();
    assert_eq!(stands(zone.as_ref()).await, vec![long]);
}

pub async fn stale(bench: &impl Bench) {
    let (zone, other) = (bench.zone(), bench.zone());
    zone.replace(&[create(note("epoch 1")), create(a(&["192.0.2.1"]))])
        .await
        .unwrap();
    other
        .replace(&[change(note("epoch 1"), note("epoch 2"))])
        .await
        .unwrap();
    let now = vec![note("epoch 2"), a(&["192.0.2.1"])];
    let all = [
        // The note is another.
        vec![
            change(note("epoch 1"), note("epoch 3")),
            change(a(&["192.0.2.1"]), a(&["192.0.2.2"])),
        ],
        // The addresses are others.
        vec![
            change(note("epoch 2"), note("epoch 3")),
            change(a(&["192.0.2.9"]), a(&["192.0.2.2"])),
        ],
        // Nothing was expected.
        vec![
            change(note("epoch 2"), note("epoch 3")),
            create(a(&["192.0.2.2"])),
        ],
        // Something was expected.
        vec![
            change(note("epoch 2"), note("epoch 3")),
            change(
                set(WWW, Kind::Cname, 60, &["b.example.com"]),
                set(WWW, Kind::Cname, 60, &["c.example.com"]),
            ),
        ],
        // A comparison alone fails as well.
        vec![change(note("epoch 1"), note("epoch 1"))],
    ];
    for sets in all {
        let error = zone.replace(&sets).await.unwrap_err();
        assert!(matches!(error, ApiError::Stale { .. }), "{sets:?}: {error:?}");
        assert!(words(&error).contains("expected"), "{error:?}");
        assert_eq!(stands(zone.as_ref()).await, now);
    }
}

pub async fn refusals(bench: &impl Bench) {
    let set = [create(a(&["192.0.2.1"]))];
    let wrong_key = bench.client(None, "s3cret-other", ZONE);
    let wrong_zone = bench.client(None, TOKEN, "example.net");
    let there = format!("http://127.0.0.1:{}", free_port());
    let down = bench.client(Some(&there), TOKEN, ZONE);
    for (zone, says) in [
        (&wrong_key, "credentials refused"),
        (&wrong_zone, "example.net"),
        (&down, "refused"),
    ] {
        let read = words(&zone.read(&["www.example.net"]).await.unwrap_err());
        println!("{read}");
        let kind = if says == "refused" {
            "Unreachable: "
        } else {
            "Refused: "
        };
        assert!(read.starts_with(kind), "{read}");
        assert!(says == "example.net" || read.contains(says), "{read}");
        assert!(!read.contains("[]"), "no hint: {read}");
        let findings = zone.doctor().await;
        let [finding] = &findings[..] else {
            panic!("{findings:?}");
        };
        assert!(!finding.ok && finding.hint.is_some(), "{finding:?}");
        let replaced = zone.replace(&set).await.unwrap_err();
        assert!(!replaced.is_in_doubt(), "{replaced:?}");
    }
    let zone = bench.zone();
    let outside = set_of("www.example.org");
    let error = words(&zone.replace(&[create(outside)]).await.unwrap_err());
    assert!(
        error.contains("www.example.org is not in zone example.com"),
        "{error}"
    );
    assert_eq!(stands(zone.as_ref()).await, vec![]);
}

fn set_of(name: &str) -> pointsman::switch::dns::RecordSet {
    set(name, Kind::A, 60, &["192.0.2.1"])
}
