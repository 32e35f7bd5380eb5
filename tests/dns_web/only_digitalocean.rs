//! What only DigitalOcean can do wrong: its changes are not made as one.

use pointsman::switch::api::ApiError;
use pointsman::switch::dns::digitalocean::Digitalocean;
use pointsman::switch::dns::{Kind, Replace, Zone as _};

use super::bench::{
    Bench as _, TOKEN, WWW, ZONE, a, change, create, note, remove, set, stands, token, words,
};
use super::digitalocean::Ocean;
use super::fake::Fault;
use super::torn::{Proxy, Tear};

async fn with_blue() -> Ocean {
    let ocean = Ocean::start().await;
    let sets = [create(note("epoch 1")), create(a(&["192.0.2.1", "192.0.2.2"]))];
    ocean.zone().replace(&sets).await.unwrap();
    ocean.0.changes();
    ocean
}

/// One flip, from blue to green. The note comes last, and is written first.
fn flip() -> Vec<Replace> {
    vec![
        change(a(&["192.0.2.1", "192.0.2.2"]), a(&["192.0.2.3", "192.0.2.4"])),
        change(note("epoch 1"), note("epoch 2")),
    ]
}

#[tokio::test]
async fn a_flip_is_these_requests() {
    let ocean = with_blue().await;
    ocean.zone().replace(&flip()).await.unwrap();
    insta::assert_json_snapshot!(ocean.0.changes(), @r#"
    [
      {
        "request": "PUT /v2/domains/example.com/records/1",
        "body": {
          "type": "TXT",
          "name": "_pointsman.www",
          "data": "epoch 2",
          "ttl": 60
        }
      },
      {
        "request": "PUT /v2/domains/example.com/records/2",
        "body": {
          "type": "A",
          "name": "www",
          "data": "192.0.2.3",
          "ttl": 60
        }
      },
      {
        "request": "PUT /v2/domains/example.com/records/3",
        "body": {
          "type": "A",
          "name": "www",
          "data": "192.0.2.4",
          "ttl": 60
        }
      }
    ]
    "#);
    assert_eq!(ocean.0.state().gaps, 0);
}

/// From an address of one type to one of another: the new one comes before the old one goes.
#[tokio::test]
async fn the_name_is_never_without_a_record() {
    let ocean = with_blue().await;
    let sets = [
        change(note("epoch 1"), note("epoch 2")),
        remove(a(&["192.0.2.1", "192.0.2.2"])),
        create(set(WWW, Kind::Aaaa, 60, &["2001:db8::1"])),
    ];
    ocean.zone().replace(&sets).await.unwrap();
    let changes = ocean.0.changes();
    let methods: Vec<&str> = changes
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["request"].as_str().unwrap().split(' ').next().unwrap())
        .collect();
    assert_eq!(methods, ["PUT", "POST", "DELETE", "DELETE"]);
    assert_eq!(ocean.0.state().gaps, 0);
}

#[tokio::test]
async fn a_change_that_breaks_off_in_the_middle_is_in_doubt() {
    for (pass, fault) in [
        (1, Fault::Before(500)),
        (1, Fault::Before(422)),
        (2, Fault::After(502)),
        (2, Fault::Torn),
    ] {
        let ocean = with_blue().await;
        ocean.0.fail(pass, fault);
        let error = ocean.zone().replace(&flip()).await.unwrap_err();
        println!("{fault:?} after {pass}: {}", words(&error));
        assert!(error.is_in_doubt(), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("{pass} of 3 records were changed (TXT epoch 2 at "))
        );
        assert_eq!(stands(ocean.zone().as_ref()).await[0], note("epoch 2"));
        assert_eq!(ocean.0.state().gaps, 0);
    }
}

#[tokio::test]
async fn a_change_that_fails_at_once_is_told_as_it_is() {
    let ocean = with_blue().await;
    ocean.0.fail(0, Fault::Before(422));
    let error = ocean.zone().replace(&flip()).await.unwrap_err();
    assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
    ocean.0.fail(0, Fault::Before(404));
    let error = ocean.zone().replace(&flip()).await.unwrap_err();
    assert!(matches!(error, ApiError::Stale { .. }), "{error:?}");
    ocean.0.fail(0, Fault::Before(500));
    let error = ocean.zone().replace(&flip()).await.unwrap_err();
    assert!(error.is_in_doubt(), "{error:?}");
    let now = stands(ocean.zone().as_ref()).await;
    assert_eq!(now, [note("epoch 1"), a(&["192.0.2.1", "192.0.2.2"])]);
}

#[tokio::test]
async fn a_text_that_is_not_kept_as_it_was_given_is_told() {
    let ocean = with_blue().await;
    let sets = [change(note("epoch 1"), note(r"epoch\2"))];
    let error = ocean.zone().replace(&sets).await.unwrap_err();
    println!("{}", words(&error));
    assert!(error.is_in_doubt(), "{error:?}");
}

#[tokio::test]
async fn a_ttl_that_is_too_low_is_not_sent() {
    let ocean = with_blue().await;
    let mut low = a(&["192.0.2.3"]);
    low.ttl = 29;
    let sets = [change(a(&["192.0.2.1", "192.0.2.2"]), low.clone())];
    let error = words(&ocean.zone().replace(&sets).await.unwrap_err());
    assert!(error.contains("30 s or more"), "{error}");
    assert_eq!(ocean.0.changes(), serde_json::json!([]));
    low.ttl = 30;
    let sets = [change(a(&["192.0.2.1", "192.0.2.2"]), low)];
    ocean.zone().replace(&sets).await.unwrap();
}

#[tokio::test]
async fn pages_are_read_to_the_end_and_links_are_not_followed() {
    let ocean = Ocean::start().await;
    ocean.0.state().page = 2;
    let values: Vec<String> = (1..=7).map(|n| format!("192.0.2.{n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    ocean.zone().replace(&[create(a(&values))]).await.unwrap();
    assert_eq!(stands(ocean.zone().as_ref()).await, [a(&values)]);
}

#[tokio::test]
async fn the_zone_itself_has_its_own_name() {
    let ocean = Ocean::start().await;
    let zone = ocean.zone();
    let apex = set(ZONE, Kind::A, 60, &["192.0.2.1"]);
    zone.replace(&[create(apex.clone())]).await.unwrap();
    assert_eq!(ocean.0.changes()[0]["body"]["name"], "@");
    assert_eq!(zone.read(&[ZONE]).await.unwrap(), [apex]);
    let cname = set(WWW, Kind::Cname, 60, &["other.example.net"]);
    zone.replace(&[create(cname.clone())]).await.unwrap();
    assert_eq!(ocean.0.changes()[0]["body"]["data"], "other.example.net.");
    assert_eq!(zone.read(&[WWW]).await.unwrap(), [cname]);
}

#[tokio::test]
async fn who_is_turned_away_in_the_middle_comes_back() {
    let ocean = with_blue().await;
    ocean.0.fail(0, Fault::Throttle(4, None));
    ocean.zone().replace(&flip()).await.unwrap();
    assert_eq!(ocean.0.state().gaps, 0);
}

#[tokio::test]
async fn torn_answers_are_in_doubt() {
    for tear in [Tear::Nothing, Tear::Half] {
        let ocean = with_blue().await;
        let proxy = Proxy::to(ocean.0.uri().trim_start_matches("http://").parse().unwrap()).await;
        let zone = Digitalocean::new(&token(&proxy.endpoint(), TOKEN), ZONE).unwrap();
        proxy.arm(tear);
        let error = zone.replace(&flip()).await.unwrap_err();
        println!("{tear:?}: {}", words(&error));
        assert!(error.is_in_doubt(), "{tear:?}: {error:?}");
        assert_eq!(stands(&zone).await[0], note("epoch 2"));
    }
}
