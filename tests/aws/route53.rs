//! A hosted zone: what is written is read again, and what somebody else wrote is not written over.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use pointsman::inventory::dns::{Dns, Stragglers};
use pointsman::inventory::provider::Aws;
use pointsman::inventory::{Inventory, Pool};
use pointsman::switch::Route;
use pointsman::switch::api::{Api as _, ApiError, Change};
use pointsman::switch::dns::{Kind, Name, Route53, Zone as _};
use secrecy::SecretString;

use super::moto::Moto;
use super::strict::{State, Strict};
use super::{replace, set, settings};

const NAME: &str = "www.example.com";
const NOTE: &str = "_pointsman.www.example.com";

fn zone(settings: &Aws) -> Route53 {
    Route53::new(settings, "example.com").unwrap()
}

/// moto checks every signature (with botocore, another hand's code) and the policy that is printed.
#[tokio::test]
async fn everything_that_moto_knows() {
    let moto = Moto::start().await;
    let id = moto.zone("example.com", false).await;
    let settings = Aws {
        hosted_zone: Some(id.clone()),
        ..moto.user("free", None).await
    };
    // moto ties no policy to a resource, so the actions alone are proved.
    let policy = zone(&settings).policy();
    let policy = policy
        .replace(&format!("arn:aws:route53:::hostedzone/{id}"), "*")
        .replace("arn:aws:route53:::change/*", "*");
    let allowed = Aws {
        hosted_zone: Some(id.clone()),
        ..moto.user("allowed", Some(&policy)).await
    };
    moto.check_keys().await;
    round_trips(&allowed).await;
    keys_are_refused(&allowed, &settings).await;
    other_zones(&moto, &allowed).await;
    foreign_records(&moto, &id, &allowed).await;
}

async fn round_trips(settings: &Aws) {
    let zone = zone(settings);
    let one = set(NAME, Kind::A, &["192.0.2.1", "192.0.2.2"]);
    let six = set(NAME, Kind::Aaaa, &["2001:db8::1"]);
    let note: String = (0..3_000_u32)
        .map(|i| char::from(b' ' + (i * 7 % 95) as u8))
        .collect();
    let note = set(NOTE, Kind::Txt, &[&note]);
    let since = Instant::now();
    let all = [&one, &six, &note].map(|set| replace(None, Some(set)));
    zone.replace(&all).await.unwrap();
    let read = zone.read(&[NAME, NOTE]).await.unwrap();
    assert_eq!(read, [one.clone(), six.clone(), note.clone()]);
    println!(
        "three sets, a text of 3000 bytes among them: written and read in {:?}",
        since.elapsed()
    );

    let alias = set(NAME, Kind::Cname, &["green.example.com"]);
    let other = set(NOTE, Kind::Txt, &["short \"and\" \\ strange\tü"]);
    zone.replace(&[
        replace(Some(&one), None),
        replace(Some(&six), None),
        replace(None, Some(&alias)),
        replace(Some(&note), Some(&other)),
    ])
    .await
    .unwrap();
    assert_eq!(
        zone.read(&[NAME, NOTE]).await.unwrap(),
        [alias.clone(), other.clone()]
    );
    // moto takes a set that once stood there for one that stands there, so this one is new, and what is only compared is
    // compared in `strict`.
    let two = set(NAME, Kind::A, &["192.0.2.3"]);
    zone.replace(&[replace(Some(&alias), None), replace(None, Some(&two))])
        .await
        .unwrap();
    assert_eq!(zone.read(&[NAME]).await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(zone.read(&["nothing.example.com"]).await.unwrap(), []);
    for finding in zone.doctor().await {
        assert!(finding.ok, "{finding:?}");
    }
}

async fn keys_are_refused(allowed: &Aws, without_policy: &Aws) {
    let wrong_secret = Aws {
        secret_key: Some(SecretString::from("wrong-secret".to_owned())),
        ..allowed.clone()
    };
    let unknown = Aws {
        access_key: Some("AKIANOBODY".to_owned()),
        ..allowed.clone()
    };
    for (settings, cure) in [
        (&wrong_secret, "switch.aws.secret_key"),
        (&unknown, "switch.aws.access_key"),
        (without_policy, "pointsman switch config"),
    ] {
        let error = zone(settings).read(&[NAME]).await.unwrap_err();
        assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains(cure), "{error:?}");
        assert!(!format!("{error:?}").contains("wrong-secret"), "{error:?}");
        println!("{error}");
        assert!(zone(settings).doctor().await.iter().any(|finding| !finding.ok));
    }
}

async fn other_zones(moto: &Moto, allowed: &Aws) {
    let named = Aws {
        hosted_zone: None,
        ..allowed.clone()
    };
    // Found by its name.
    assert_eq!(zone(&named).read(&[NAME]).await.unwrap().len(), 1);
    let missing = Aws {
        hosted_zone: Some("Z0000000000000000000".to_owned()),
        ..allowed.clone()
    };
    let error = zone(&missing).read(&[NAME]).await.unwrap_err();
    assert!(
        error.hint().is_some_and(|hint| hint.contains("hosted_zone")),
        "{error:?}"
    );
    let error = Route53::new(&named, "example.org")
        .unwrap()
        .read(&[NAME])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("found none"), "{error:?}");
    // A wrong one is not taken for an empty one.
    moto.check_nothing().await;
    let other = moto.zone("example.net", false).await;
    moto.zone("example.com", false).await;
    let wrong = Aws {
        hosted_zone: Some(other),
        ..allowed.clone()
    };
    let error = zone(&wrong).read(&[NAME]).await.unwrap_err();
    assert!(error.to_string().contains("example.net, public"), "{error:?}");
    let error = zone(&named).read(&[NAME]).await.unwrap_err();
    assert!(
        error.to_string().contains("expected one public hosted zone"),
        "{error:?}"
    );
}

async fn foreign_records(moto: &Moto, id: &str, allowed: &Aws) {
    let create = |name: &str, inner: &str| {
        format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
             <Changes><Change><Action>CREATE</Action><ResourceRecordSet><Name>{name}</Name><Type>A</Type>{inner}\
             </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        )
    };
    let path = format!("/hostedzone/{id}/rrset/");
    let alias = "<AliasTarget><HostedZoneId>Z35SXDOTRQ7X7K</HostedZoneId><DNSName>lb.example.net.</DNSName>\
                 <EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>";
    moto.route53(&path, create("alias.example.com", alias)).await;
    let weighted = "<SetIdentifier>half</SetIdentifier><Weight>10</Weight><TTL>60</TTL><ResourceRecords>\
                    <ResourceRecord><Value>192.0.2.7</Value></ResourceRecord></ResourceRecords>";
    moto.route53(&path, create("weighted.example.com", weighted))
        .await;
    for (name, shown) in [
        ("alias.example.com", "lb.example.net"),
        ("weighted.example.com", "Weight 10"),
    ] {
        let error = zone(allowed).read(&[name]).await.unwrap_err();
        assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains(shown), "{error}");
        println!("{error}");
    }
}

/// A share of the answers: both pools' sets side by side with weights, in one batch with the note; then one pool's alone.
#[tokio::test]
async fn a_share_of_the_answers() {
    let moto = Moto::start().await;
    let id = moto.zone("example.com", false).await;
    let settings = Aws {
        hosted_zone: Some(id),
        ..moto.user("free", None).await
    };
    let zone = Arc::new(zone(&settings));
    let folder = tempfile::tempdir().unwrap();
    let name = Name::new(
        &dns(),
        zone.clone(),
        &inventory(folder.path(), &settings.endpoint.clone().unwrap()),
    )
    .unwrap();
    let first = set(NAME, Kind::A, &["192.0.2.1", "192.0.2.2"]);
    zone.replace(&[replace(None, Some(&first))]).await.unwrap();
    for (number, (live, percent)) in [(Pool::Blue, 10), (Pool::Green, 30), (Pool::Green, 0)]
        .into_iter()
        .enumerate()
    {
        let to = Route {
            live,
            next: live.other(),
            percent,
        };
        let note = format!("note {number}");
        let seen = name.glance().await.unwrap();
        let change = Change {
            note: &note,
            to: Some(to),
            ttl: None,
        };
        name.change(&seen, &change).await.unwrap();
        let now = name.glance().await.unwrap();
        println!("{}: {:?}", now.view.live, now.raw);
        assert!(now.view.live.same_as(&to), "{now:?}");
        assert_eq!(now.note.as_deref(), Some(note.as_str()));
        assert!(now.view.problems.is_empty(), "{now:?}");
        let weights: Vec<Option<(Pool, u8)>> = zone
            .read(&[NAME])
            .await
            .unwrap()
            .iter()
            .map(|set| set.share.map(|share| (share.pool, share.weight)))
            .collect();
        match percent {
            0 => assert_eq!(weights, [None]),
            10 => assert_eq!(weights, [Some((Pool::Blue, 90)), Some((Pool::Green, 10))]),
            _ => assert_eq!(weights, [Some((Pool::Blue, 30)), Some((Pool::Green, 70))]),
        }
    }
    // A TTL is lowered where the weights are, too.
    let ten = Route {
        live: Pool::Green,
        next: Pool::Blue,
        percent: 20,
    };
    for (note, to, ttl) in [("before", Some(ten), None), ("after", None, Some(7))] {
        let seen = name.glance().await.unwrap();
        name.change(&seen, &Change { note, to, ttl }).await.unwrap();
        assert!(name.glance().await.unwrap().view.live.same_as(&ten));
    }
    let sets = zone.read(&[NAME]).await.unwrap();
    assert!(sets.len() == 2 && sets.iter().all(|set| set.ttl == 7), "{sets:?}");
}

fn dns() -> Dns {
    let owned = |values: [&str; 2]| values.map(str::to_owned).into();
    Dns {
        name: NAME.to_owned(),
        zone: "example.com".to_owned(),
        note: NOTE.to_owned(),
        blue: owned(["192.0.2.1", "192.0.2.2"]),
        green: owned(["192.0.2.3", "192.0.2.4"]),
        ttl: Duration::from_secs(60),
        // Nobody is there: moto answers no questions of DNS.
        nameservers: vec!["127.0.0.1:1".to_owned()],
        resolvers: Vec::new(),
        settle: Duration::from_secs(60),
        stragglers: Stragglers::Refuse,
        tail_forward: false,
        min_up: None,
    }
}

fn inventory(folder: &Path, endpoint: &str) -> Inventory {
    std::fs::write(folder.join("compose.yml"), "services:\n  web: {image: a}\n").unwrap();
    let text = format!(
        "[app]\nname = \"shop\"\npath = \"/srv/shop\"\ncompose = \"compose.yml\"\nidentity = {{ path = \"/version\" }}\n\
         [pools.blue]\nhosts = [\"192.0.2.1\"]\n[pools.green]\nhosts = [\"192.0.2.3\"]\n\
         [[checks]]\nname = \"web\"\nport = 80\npath = \"/up\"\n[switch]\nconnector = \"route53\"\n\
         [switch.dns]\nname = \"{NAME}\"\n[switch.aws]\naccess_key = \"a\"\nsecret_key = \"s\"\nendpoint = \"{endpoint}\"\n"
    );
    let file = folder.join("production.toml");
    std::fs::write(&file, text).unwrap();
    Inventory::load(Utf8Path::from_path(&file).unwrap(), &|_| None)
        .unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

#[tokio::test]
async fn what_somebody_else_wrote_is_not_written_over() {
    let strict = Strict::start().await;
    strict.put(NAME, "A", 60, &["192.0.2.1"]);
    strict.put(NOTE, "TXT", 60, &["\"epoch 7\""]);
    strict.put("other.example.com", "A", 60, &["192.0.2.7"]);
    let zone = zone(&settings(&strict.url()));
    let (a, txt) = (
        set(NAME, Kind::A, &["192.0.2.1"]),
        set(NOTE, Kind::Txt, &["epoch 7"]),
    );
    let seen = zone.read(&[NAME, NOTE]).await.unwrap();
    assert_eq!(seen, [a.clone(), txt.clone()]);
    let before = strict.sets();

    let (other, new) = (
        set(NAME, Kind::A, &["192.0.2.9"]),
        set(NOTE, Kind::Txt, &["epoch 8"]),
    );
    let late = set(NOTE, Kind::Txt, &["epoch 6"]);
    let gone = set("gone.example.com", Kind::A, &["192.0.2.1"]);
    for changes in [
        // Another value; one that is only compared; one that is gone; one that is there already.
        vec![replace(Some(&late), Some(&new)), replace(Some(&a), Some(&other))],
        vec![replace(Some(&late), Some(&late)), replace(Some(&a), Some(&other))],
        vec![replace(Some(&gone), None), replace(Some(&a), Some(&other))],
        vec![replace(None, Some(&new)), replace(Some(&a), Some(&other))],
    ] {
        let error = zone.replace(&changes).await.unwrap_err();
        assert!(matches!(error, ApiError::Stale { .. }), "{error:?}");
        assert_eq!(strict.sets(), before, "nothing changed");
    }
    // What can never be is no matter of time.
    let elsewhere = set("www.example.org", Kind::A, &["192.0.2.1"]);
    let error = zone
        .replace(&[replace(None, Some(&elsewhere))])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not permitted in zone"), "{error:?}");
    assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");

    strict.state.lock().unwrap().pending = 1;
    zone.replace(&[replace(Some(&txt), Some(&new)), replace(Some(&a), Some(&other))])
        .await
        .unwrap();
    assert_eq!(zone.read(&[NAME, NOTE]).await.unwrap(), [other, new]);
    assert_eq!(
        strict.state.lock().unwrap().asked,
        2,
        "it waited until the change was in sync"
    );
}

/// Flips there and back.
const FLIPS: usize = 50;

/// Pool and note together, as a run flips them, under a reader.
/// Negative controls: with a batch for each set one pool's records stood beside the other's note; with a batch for what
/// goes and one for what comes the reader was given none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_flips_and_back_under_a_reader() {
    let strict = Strict::start().await;
    strict.put(NAME, "A", 60, &["192.0.2.1", "192.0.2.2"]);
    strict.put(NOTE, "TXT", 60, &["\"pointsman 1/1 blue\""]);
    let folder = tempfile::tempdir().unwrap();
    let inventory = inventory(folder.path(), &strict.url());
    let name = Name::new(&dns(), Arc::new(zone(&settings(&strict.url()))), &inventory).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(
        strict.url(),
        Arc::clone(&strict.state),
        Arc::clone(&stop),
    ));
    let since = Instant::now();
    for number in 0..2 * FLIPS {
        let pool = [Pool::Green, Pool::Blue][number % 2];
        let seen = name.glance().await.unwrap();
        let change = Change {
            note: &pool.to_string(),
            to: Some(Route::all(pool)),
            ttl: None,
        };
        name.change(&seen, &change).await.unwrap();
        let now = name.glance().await.unwrap();
        assert!(now.view.live.same_as(&Route::all(pool)), "{now:?}");
        assert_eq!(now.note, Some(pool.to_string()));
    }
    let took = since.elapsed();
    stop.store(true, Ordering::SeqCst);
    let (read, seen) = reader.await.unwrap();
    println!("{} flips in {took:?}, {read} reads: {seen:?}", 2 * FLIPS);
    assert!(read > FLIPS, "nobody read");
    let whole = [
        r#""pointsman 1/1 blue" 192.0.2.1 192.0.2.2"#,
        r#""pointsman 1/1 green" 192.0.2.3 192.0.2.4"#,
    ];
    assert!(seen.iter().eq(whole), "{seen:?}");
    assert_eq!(
        strict.state.lock().unwrap().done,
        2 * FLIPS,
        "a batch for each flip"
    );
}

/// What a reader is given by the API, name by name, and what stands there at one instant: note and addresses.
async fn read_on(url: String, state: Arc<Mutex<State>>, stop: Arc<AtomicBool>) -> (usize, BTreeSet<String>) {
    let zone = zone(&settings(&url));
    let (mut read, mut seen) = (0, BTreeSet::new());
    while !stop.load(Ordering::SeqCst) {
        let given = zone.read(&[NAME]).await.unwrap();
        let pools = [&["192.0.2.1", "192.0.2.2"], &["192.0.2.3", "192.0.2.4"]];
        assert!(
            given.len() == 1 && pools.iter().any(|pool| given[0].values == **pool),
            "{given:?}"
        );
        let stands = state.lock().unwrap().sets.clone();
        let values: Vec<String> = stands.into_values().flat_map(|(_, values)| values).collect();
        seen.insert(values.join(" "));
        read += 1;
    }
    (read, seen)
}

/// People write what pointsman would not, and a DELETE has to name it so.
#[tokio::test]
async fn what_people_wrote_is_deleted_letter_by_letter() {
    let strict = Strict::start().await;
    strict.put(NAME, "AAAA", 300, &["2001:0DB8:0:0:0:0:0:2", "2001:DB8::1"]);
    strict.put(NOTE, "TXT", 300, &["\"cut \" \"here\\041\""]);
    strict.put("alias.example.com", "CNAME", 300, &["Blue.Example.COM"]);
    let zone = zone(&settings(&strict.url()));
    let read = zone.read(&[NAME, NOTE, "alias.example.com"]).await.unwrap();
    assert_eq!(read[0].values, ["2001:db8::1", "2001:db8::2"]);
    assert_eq!(read[1].values, ["cut here!"]);
    assert_eq!(read[2].values, ["blue.example.com"]);
    let compared: Vec<_> = read.iter().map(|set| replace(Some(set), Some(set))).collect();
    let before = strict.sets();
    zone.replace(&compared).await.unwrap();
    assert_eq!(
        strict.sets(),
        before,
        "what is only compared stays as it was written"
    );
    let gone: Vec<_> = read.iter().map(|set| replace(Some(set), None)).collect();
    zone.replace(&gone).await.unwrap();
    assert!(strict.sets().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_at_once_one_wins() {
    const ROUNDS: usize = 100;
    let strict = Strict::start().await;
    strict.put(NOTE, "TXT", 60, &["\"start\""]);
    let zones: Vec<Arc<Route53>> = (0..8).map(|_| Arc::new(zone(&settings(&strict.url())))).collect();
    let since = Instant::now();
    let mut stale = 0;
    for round in 0..ROUNDS {
        let old = zones[0].read(&[NOTE]).await.unwrap().remove(0);
        let tries = zones.iter().enumerate().map(|(who, zone)| {
            let (zone, old) = (Arc::clone(zone), old.clone());
            tokio::spawn(async move {
                let new = set(NOTE, Kind::Txt, &[&format!("round {round} of {who}")]);
                (who, zone.replace(&[replace(Some(&old), Some(&new))]).await)
            })
        });
        let mut winners = Vec::new();
        for (who, result) in futures::future::try_join_all(tries).await.unwrap() {
            match result {
                Ok(()) => winners.push(who),
                Err(ApiError::Stale { .. }) => stale += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        let [winner] = winners[..] else {
            panic!("round {round}: {winners:?} won");
        };
        let found = zones[0].read(&[NOTE]).await.unwrap();
        assert_eq!(found[0].values, [format!("round {round} of {winner}")]);
    }
    assert_eq!((stale, strict.state.lock().unwrap().done), (7 * ROUNDS, ROUNDS));
    println!(
        "{ROUNDS} rounds of 8: one winner each, {stale} were stale, in {:?}",
        since.elapsed()
    );
}
