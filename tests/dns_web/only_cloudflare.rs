//! What only Cloudflare can do wrong, and what its comparison of ids gives.

use pointsman::switch::api::ApiError;
use pointsman::switch::dns::Zone as _;
use serde_json::Value as Json;

use super::bench::{Bench as _, TOKEN, WWW, ZONE, a, change, create, note, stands, token, words};
use super::cloudflare::Cloud;
use super::fake::{Fault, Row};
use super::torn::{Proxy, Tear};
use pointsman::switch::dns::cloudflare::Cloudflare;

async fn with_blue() -> Cloud {
    let cloud = Cloud::start().await;
    let sets = [create(note("epoch 1")), create(a(&["192.0.2.1", "192.0.2.2"]))];
    cloud.zone().replace(&sets).await.unwrap();
    cloud.0.changes();
    cloud
}

/// One flip, from blue to green.
fn flip() -> Vec<pointsman::switch::dns::Replace> {
    vec![
        change(note("epoch 1"), note("epoch 2")),
        change(a(&["192.0.2.1", "192.0.2.2"]), a(&["192.0.2.2", "192.0.2.3"])),
    ]
}

#[tokio::test]
async fn a_flip_is_this_request() {
    let cloud = with_blue().await;
    cloud.zone().replace(&flip()).await.unwrap();
    insta::assert_json_snapshot!(cloud.0.changes(), @r#"
    [
      {
        "request": "POST /client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records/batch",
        "body": {
          "deletes": [
            {
              "id": "00000000000000000000000000000001"
            }
          ],
          "patches": [
            {
              "name": "www.example.com",
              "type": "A",
              "content": "192.0.2.3",
              "ttl": 60,
              "proxied": false,
              "id": "00000000000000000000000000000002"
            }
          ],
          "posts": [
            {
              "name": "_pointsman.www.example.com",
              "type": "TXT",
              "content": "\"epoch 2\"",
              "ttl": 60,
              "proxied": false
            }
          ]
        }
      }
    ]
    "#);
}

/// Both read, then both write: the request of each is as if the other had not been there.
#[tokio::test]
async fn of_two_who_read_the_same_note_one_writes() {
    let cloud = with_blue().await;
    cloud.zone().replace(&flip()).await.unwrap();
    let late = cloud.0.changes()[0]["body"].clone();
    // The same batch again, as a run would send it that was stopped after it read.
    let url = format!(
        "{}/client/v4/zones/{}/dns_records/batch",
        cloud.0.uri(),
        super::cloudflare::ZONE_ID
    );
    let client = pointsman::http::builder(std::time::Duration::from_secs(10))
        .build()
        .unwrap();
    let response = client
        .post(url)
        .bearer_auth(TOKEN)
        .json(&late)
        .send()
        .await
        .unwrap();
    let answer: Json = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(answer["errors"][0]["code"], 81044);
    assert_eq!(
        stands(cloud.zone().as_ref()).await,
        [note("epoch 2"), a(&["192.0.2.2", "192.0.2.3"])]
    );

    // And at once: of eight, one; the others are told that they are stale, and are not in doubt.
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..8 {
        let zone = cloud.zone();
        runs.spawn(async move {
            let sets = [change(note("epoch 2"), note(&format!("epoch 3 of {number}")))];
            zone.replace(&sets).await
        });
    }
    let ended = runs.join_all().await;
    let done = ended.iter().filter(|end| end.is_ok()).count();
    let stale = ended
        .iter()
        .filter(|end| matches!(end, Err(ApiError::Stale { .. })))
        .count();
    println!("of 8 at once {done} wrote, {stale} were stale");
    assert_eq!((done, stale), (1, 7), "{ended:?}");
}

/// Even a change that leaves the note as it is uses it up.
#[tokio::test]
async fn a_note_that_stays_the_same_is_used_up_too() {
    let cloud = with_blue().await;
    let before: Vec<u64> = cloud.0.state().rows.keys().copied().collect();
    let sets = [
        change(note("epoch 1"), note("epoch 1")),
        change(a(&["192.0.2.1", "192.0.2.2"]), a(&["192.0.2.3", "192.0.2.4"])),
    ];
    cloud.zone().replace(&sets).await.unwrap();
    let rows = cloud.0.state().rows.clone();
    let kept: Vec<&Row> = before.iter().filter_map(|id| rows.get(id)).collect();
    assert!(
        kept.len() == 2 && kept.iter().all(|row| row.kind == "A"),
        "{rows:?}"
    );
    // Where nothing changes nothing is sent.
    cloud.0.changes();
    cloud
        .zone()
        .replace(&[change(note("epoch 1"), note("epoch 1"))])
        .await
        .unwrap();
    assert_eq!(cloud.0.changes(), serde_json::json!([]));
}

#[tokio::test]
async fn what_is_proxied_or_automatic_is_told() {
    let cloud = Cloud::start().await;
    let row = |ttl, proxied| Row {
        name: WWW.to_owned(),
        kind: "A".to_owned(),
        content: "192.0.2.1".to_owned(),
        ttl,
        proxied,
    };
    let id = cloud.0.state().add(row(1, false));
    let mut automatic = a(&["192.0.2.1"]);
    automatic.ttl = 300;
    assert_eq!(stands(cloud.zone().as_ref()).await, [automatic]);
    let mut one = a(&["192.0.2.2"]);
    one.ttl = 1;
    let error = cloud.zone().replace(&[change(a(&["192.0.2.1"]), one)]).await;
    let error = words(&error.unwrap_err());
    assert!(error.contains("automatic"), "{error}");
    cloud.0.state().rows.insert(id, row(1, true));
    let sets = [change(a(&["192.0.2.1"]), a(&["192.0.2.2"]))];
    let error = words(&cloud.zone().replace(&sets).await.unwrap_err());
    assert!(
        error.starts_with("Refused: ") && error.contains("proxied"),
        "{error}"
    );
    assert!(error.contains("DNS only"), "{error}");
    assert_eq!(cloud.0.changes(), serde_json::json!([]));
}

#[tokio::test]
async fn pages_are_read_to_the_end() {
    let cloud = Cloud::start().await;
    cloud.0.state().page = 2;
    let values: Vec<String> = (1..=7).map(|n| format!("192.0.2.{n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    cloud.zone().replace(&[create(a(&values))]).await.unwrap();
    assert_eq!(stands(cloud.zone().as_ref()).await, [a(&values)]);
}

#[tokio::test]
async fn its_own_words_come_through() {
    let cloud = with_blue().await;
    let mut low = a(&["192.0.2.3"]);
    low.ttl = 20;
    let sets = [change(a(&["192.0.2.1", "192.0.2.2"]), low)];
    let error = words(&cloud.zone().replace(&sets).await.unwrap_err());
    assert!(
        error.contains("HTTP 400, Invalid TTL") && error.contains("(9021)"),
        "{error}"
    );
    assert_eq!(
        stands(cloud.zone().as_ref()).await,
        [note("epoch 1"), a(&["192.0.2.1", "192.0.2.2"])]
    );
}

#[tokio::test]
async fn who_is_turned_away_comes_back() {
    let cloud = with_blue().await;
    cloud.0.fail(0, Fault::Throttle(4, Some(0)));
    cloud.zone().replace(&flip()).await.unwrap();
    let before = cloud.0.state().requests;
    cloud.0.fail(0, Fault::Throttle(99, Some(0)));
    let zone = cloud.zone();
    let error = words(
        &zone
            .replace(&[change(note("epoch 2"), note("epoch 3"))])
            .await
            .unwrap_err(),
    );
    println!("{error}");
    assert!(
        error.starts_with("Refused: ") && error.contains("throttled: 5 requests"),
        "{error}"
    );
    assert_eq!(cloud.0.state().requests - before, 5);
    // Longer than a flip may wait: not waited for.
    cloud.0.fail(0, Fault::Throttle(99, Some(300)));
    let error = words(&zone.read(&[WWW]).await.unwrap_err());
    println!("{error}");
    assert!(error.contains("it asks to wait 300 s"), "{error}");
}

#[tokio::test]
async fn what_is_not_known_to_be_done_is_in_doubt() {
    let faults = [
        (Fault::Before(500), false),
        (Fault::After(502), true),
        // Nobody knows who said it: this machine's proxy, or theirs.
        (Fault::After(503), true),
        (Fault::Torn, true),
    ];
    for (fault, done) in faults {
        let cloud = with_blue().await;
        cloud.0.fail(0, fault);
        let error = cloud.zone().replace(&flip()).await.unwrap_err();
        println!("{fault:?}: {}", words(&error));
        assert!(error.is_in_doubt(), "{fault:?}: {error:?}");
        let now = stands(cloud.zone().as_ref()).await;
        assert_eq!(now[0] == note("epoch 2"), done, "{fault:?}");
    }
    for tear in [Tear::Nothing, Tear::Half] {
        let cloud = with_blue().await;
        let proxy = Proxy::to(cloud.0.uri().trim_start_matches("http://").parse().unwrap()).await;
        let endpoint = format!("{}/client/v4", proxy.endpoint());
        let zone = Cloudflare::new(&token(&endpoint, TOKEN), ZONE).unwrap();
        proxy.arm(tear);
        let error = zone.replace(&flip()).await.unwrap_err();
        println!("{tear:?}: {}", words(&error));
        assert!(error.is_in_doubt(), "{tear:?}: {error:?}");
        assert_eq!(stands(&zone).await[0], note("epoch 2"));
    }
}
