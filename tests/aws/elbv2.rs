//! A listener or rule whose two weights are moved, and the note in its tags.
//!
//! What moto does not model: it checks no targets (registered ones are `healthy`), knows no `draining` by time, does not
//! refuse weights of the wrong kind, gives actions back as they were sent, shows every write at once, and ties no policy
//! to a resource (so the printed policy is proved by its actions alone). Its limit of 10 tags is raised to AWS's 50
//! (`run_moto.py`).

use std::time::{Duration, Instant};

use camino::Utf8Path;
use pointsman::inventory::provider::Aws;
use pointsman::inventory::{Inventory, Pool};
use pointsman::switch::Route;
use pointsman::switch::api::{Api as _, ApiError, Change, Seen};
use pointsman::switch::elbv2::Elbv2;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use super::moto::Moto;
use super::settings;
use super::strict::between;

const INVENTORY: &str = r#"
[app]
name = "shop"
path = "/srv/shop"
compose = "compose.yml"
identity = { path = "/version" }
[pools.blue]
hosts = ["10.0.0.11", "10.0.0.12"]
[pools.green]
hosts = ["10.0.0.21", "10.0.0.22"]
[[checks]]
name = "web"
service = "web"
port = 80
path = "/up"
[switch]
connector = "haproxy"
routers = ["127.0.0.1"]
"#;

/// The connector's own table is not needed for what it reads of an inventory: the names and numbers of hosts.
fn inventory() -> Inventory {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("compose.yml"),
        "services:\n  web:\n    image: registry.example.com/shop/web:${TAG:?}\n",
    )
    .unwrap();
    let file = folder.path().join("production.toml");
    std::fs::write(&file, INVENTORY).unwrap();
    Inventory::load(Utf8Path::from_path(&file).unwrap(), &|_| None)
        .unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

fn balancer(settings: &Aws) -> Elbv2 {
    Elbv2::new(settings, &inventory()).unwrap()
}

const VERSION: &str = "2015-12-01";

/// A balancer of a kind, with two groups of two targets each.
struct Scene {
    moto: Moto,
    listener: String,
    /// A rule of the listener; application balancers only.
    rule: Option<String>,
    blue: String,
    green: String,
}

impl Scene {
    async fn new(kind: &str, protocol: &str) -> Scene {
        let moto = Moto::start().await;
        let ec2 = async |parameters: &[(&str, &str)]| moto.query("ec2", "2016-11-15", parameters).await;
        let elb =
            async |parameters: &[(&str, &str)]| moto.query("elasticloadbalancing", VERSION, parameters).await;
        let vpc = ec2(&[("Action", "CreateVpc"), ("CidrBlock", "10.0.0.0/16")]).await;
        let vpc = between(&vpc, "<vpcId>", "<").to_owned();
        let mut subnets = Vec::new();
        for (zone, net) in [("us-east-1a", "10.0.1.0/24"), ("us-east-1b", "10.0.2.0/24")] {
            let subnet = ec2(&[
                ("Action", "CreateSubnet"),
                ("VpcId", &vpc),
                ("CidrBlock", net),
                ("AvailabilityZone", zone),
            ])
            .await;
            subnets.push(between(&subnet, "<subnetId>", "<").to_owned());
        }
        let made = elb(&[
            ("Action", "CreateLoadBalancer"),
            ("Name", "shop"),
            ("Type", kind),
            ("Subnets.member.1", &subnets[0]),
            ("Subnets.member.2", &subnets[1]),
        ])
        .await;
        let balancer = between(&made, "<LoadBalancerArn>", "<").to_owned();
        let mut groups = Vec::new();
        for (name, net) in [("shop-blue", 1), ("shop-green", 2), ("other", 3)] {
            let made = elb(&[
                ("Action", "CreateTargetGroup"),
                ("Name", name),
                ("Protocol", protocol),
                ("Port", "80"),
                ("VpcId", &vpc),
                ("TargetType", "ip"),
            ])
            .await;
            let group = between(&made, "<TargetGroupArn>", "<").to_owned();
            for host in [1, 2] {
                elb(&[
                    ("Action", "RegisterTargets"),
                    ("TargetGroupArn", &group),
                    ("Targets.member.1.Id", &format!("10.0.0.{net}{host}")),
                    ("Targets.member.1.Port", "8080"),
                ])
                .await;
            }
            groups.push(group);
        }
        let made = elb(&[
            ("Action", "CreateListener"),
            ("LoadBalancerArn", &balancer),
            ("Protocol", protocol),
            ("Port", "80"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &groups[0]),
        ])
        .await;
        let listener = between(&made, "<ListenerArn>", "<").to_owned();
        let rule = if kind == "application" {
            let made = elb(&[
                ("Action", "CreateRule"),
                ("ListenerArn", &listener),
                ("Priority", "10"),
                ("Conditions.member.1.Field", "path-pattern"),
                ("Conditions.member.1.Values.member.1", "/shop/*"),
                ("Actions.member.1.Type", "forward"),
                (
                    "Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn",
                    &groups[0],
                ),
                (
                    "Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight",
                    "100",
                ),
                (
                    "Actions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn",
                    &groups[1],
                ),
                ("Actions.member.1.ForwardConfig.TargetGroups.member.2.Weight", "0"),
                (
                    "Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled",
                    "true",
                ),
                (
                    "Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds",
                    "60",
                ),
            ])
            .await;
            Some(between(&made, "<RuleArn>", "<").to_owned())
        } else {
            None
        };
        Scene {
            moto,
            listener,
            rule,
            blue: groups[0].clone(),
            green: groups[1].clone(),
        }
    }

    fn at(&self, place: &str, keys: &Aws) -> Aws {
        Aws {
            listener: Some(place.to_owned()),
            blue: Some(self.blue.clone()),
            green: Some(self.green.clone()),
            ..keys.clone()
        }
    }

    async fn elb(&self, parameters: &[(&str, &str)]) -> String {
        self.moto.query("elasticloadbalancing", VERSION, parameters).await
    }
}

/// All to the other pool, with this note.
async fn flip(balancer: &Elbv2, seen: &Seen, note: &str) -> (Pool, Seen) {
    let other = match seen.view.live.settled().unwrap() {
        Pool::Blue => Pool::Green,
        Pool::Green => Pool::Blue,
    };
    let change = Change {
        note,
        to: Some(Route::all(other)),
        ttl: None,
    };
    balancer.change(seen, &change).await.unwrap();
    (other, balancer.read().await.unwrap())
}

async fn note(balancer: &Elbv2, seen: &Seen, note: &str) -> Result<(), ApiError> {
    let change = Change {
        note,
        to: None,
        ttl: None,
    };
    balancer.change(seen, &change).await
}

async fn flips(balancer: &Elbv2, times: usize, what: &str) {
    let mut seen = balancer.read().await.unwrap();
    assert_eq!(seen.view.live, Route::all(Pool::Blue));
    assert_eq!((seen.note.as_deref(), seen.ttl), (None, None));
    let mut took = Vec::new();
    for number in 0..times {
        let text = format!("{{\"epoch\":{number}}}");
        let since = Instant::now();
        let (pool, now) = flip(balancer, &seen, &text).await;
        took.push(since.elapsed());
        assert!(now.view.is_all(pool), "flip {number}: {:?}", now.view);
        assert_eq!(now.note.as_deref(), Some(text.as_str()));
        seen = now;
    }
    took.sort();
    println!(
        "{what}: {times} flips, each read back; half within {:?}, all within {:?}",
        took[times / 2],
        took[times - 1]
    );
}

#[tokio::test]
async fn a_listener_of_an_application_balancer() {
    let scene = Scene::new("application", "HTTP").await;
    let listener = scene.at(&scene.listener, &settings(&scene.moto.url));
    let one = balancer(&listener);
    // Only blue's group stands in it yet.
    assert!(
        one.doctor()
            .await
            .iter()
            .any(|finding| !finding.ok && finding.what.contains("found only that of blue"))
    );
    // Flips with keys that may do what `config` prints and no more; moto checks each signature and action.
    let printed = one.config(&inventory());
    let (_, policy) = printed.split_once("IAM policy:\n").unwrap();
    let policy = policy.replace(&scene.listener, "*");
    let keys = scene.moto.user("pointsman", Some(&policy)).await;
    let denied = scene.moto.user("nobody", None).await;
    scene.moto.check_keys().await;
    let allowed = balancer(&scene.at(&scene.listener, &keys));
    flips(&allowed, 100, "listener of an application balancer").await;
    for finding in allowed.doctor().await {
        assert!(finding.ok, "{finding:?}");
    }
    let denied = balancer(&scene.at(&scene.listener, &denied))
        .read()
        .await
        .unwrap_err();
    assert!(matches!(denied, ApiError::Refused { .. }), "{denied:?}");
    println!("{denied}");
    scene.moto.check_nothing().await;

    shares(&one).await;
    long_notes(&one).await;
    stale_looks(&one).await;
    torn_notes(&scene, &one).await;
    foreign_actions(&scene, &one).await;
}

async fn shares(balancer: &Elbv2) {
    for (live, next, percent) in [
        (Pool::Blue, Pool::Green, 10),
        (Pool::Blue, Pool::Green, 50),
        (Pool::Blue, Pool::Green, 75),
        (Pool::Green, Pool::Blue, 10),
        (Pool::Green, Pool::Blue, 50),
        (Pool::Green, Pool::Blue, 99),
        (Pool::Blue, Pool::Blue, 0),
    ] {
        let to = Route { live, next, percent };
        let seen = balancer.read().await.unwrap();
        let change = Change {
            note: "shares",
            to: Some(to),
            ttl: None,
        };
        balancer.change(&seen, &change).await.unwrap();
        assert_eq!(balancer.read().await.unwrap().view.live, to);
    }
    let seen = balancer.read().await.unwrap();
    let blue = &seen.view.backends[&Pool::Blue];
    assert_eq!(blue.len(), 2, "{blue:?}");
    assert_eq!(
        (blue[0].name.as_str(), blue[0].status.as_str()),
        ("10.0.0.11:8080", "healthy")
    );
    assert_eq!(seen.view.up(Pool::Green), 2);
}

async fn long_notes(balancer: &Elbv2) {
    for length in [3_000, 0, 4_000, 1, 3_000] {
        let text: String = "{\"ü\":1}".chars().cycle().take(length).collect();
        let seen = balancer.read().await.unwrap();
        note(balancer, &seen, &text).await.unwrap();
        let now = balancer.read().await.unwrap();
        assert_eq!(now.note.as_deref(), Some(text.as_str()));
        assert_eq!(now.view.live, seen.view.live);
    }
    let seen = balancer.read().await.unwrap();
    let error = note(balancer, &seen, &"x".repeat(10_000)).await.unwrap_err();
    assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
    assert_eq!(balancer.read().await.unwrap(), seen);
}

/// Somebody else changed the weights, or the note, after the look.
async fn stale_looks(balancer: &Elbv2) {
    let old = balancer.read().await.unwrap();
    let (_, moved) = flip(balancer, &old, old.note.as_deref().unwrap()).await;
    note(balancer, &moved, "another").await.unwrap();
    let now = balancer.read().await.unwrap();
    for seen in [&old, &moved] {
        let error = note(balancer, seen, "stale").await.unwrap_err();
        assert!(matches!(error, ApiError::Stale { .. }), "{error:?}");
        println!("{error}");
        let to = Change {
            note: "stale",
            to: Some(Route::all(Pool::Blue)),
            ttl: None,
        };
        let error = balancer.change(seen, &to).await.unwrap_err();
        assert!(matches!(error, ApiError::Stale { .. }), "{error:?}");
    }
    assert_eq!(balancer.read().await.unwrap(), now, "nothing changed");
    flip(balancer, &now, "back").await;
}

async fn torn_notes(scene: &Scene, balancer: &Elbv2) {
    let seen = balancer.read().await.unwrap();
    note(balancer, &seen, &"x".repeat(1_000)).await.unwrap();
    let tags = scene
        .elb(&[
            ("Action", "DescribeTags"),
            ("ResourceArns.member.1", &scene.listener),
        ])
        .await;
    let head = between(
        tags.split_once("<Key>pointsman:note</Key>").unwrap().1,
        "<Value>",
        "<",
    )
    .to_owned();
    let name = head.split(':').next().unwrap();
    // What a writer leaves behind that was killed before its note counted.
    scene
        .elb(&[
            ("Action", "AddTags"),
            ("ResourceArns.member.1", &scene.listener),
            ("Tags.member.1.Key", "pointsman:note.9999-abcdef.1"),
            ("Tags.member.1.Value", "bm90IGl0"),
        ])
        .await;
    assert_eq!(balancer.read().await.unwrap().note.unwrap().len(), 1_000);
    let piece = format!("pointsman:note.{name}.3");
    scene
        .elb(&[
            ("Action", "RemoveTags"),
            ("ResourceArns.member.1", &scene.listener),
            ("TagKeys.member.1", &piece),
        ])
        .await;
    let torn = balancer.read().await.unwrap_err();
    println!("{torn}");
    assert!(torn.to_string().contains("torn"), "{torn:?}");
    assert!(torn.hint().unwrap().contains("remove-tags"), "{torn:?}");
    // As the hint says.
    scene
        .elb(&[
            ("Action", "RemoveTags"),
            ("ResourceArns.member.1", &scene.listener),
            ("TagKeys.member.1", "pointsman:note"),
        ])
        .await;
    let seen = balancer.read().await.unwrap();
    assert_eq!(seen.note, None);
    note(balancer, &seen, "anew").await.unwrap();
    let tags = scene
        .elb(&[
            ("Action", "DescribeTags"),
            ("ResourceArns.member.1", &scene.listener),
        ])
        .await;
    assert_eq!(
        tags.matches("<Key>pointsman:").count(),
        2,
        "no old pieces stay: {tags}"
    );
}

async fn foreign_actions(scene: &Scene, balancer: &Elbv2) {
    let seen = balancer.read().await.unwrap();
    let groups = scene
        .elb(&[("Action", "DescribeTargetGroups"), ("Names.member.1", "other")])
        .await;
    let other = between(&groups, "<TargetGroupArn>", "<").to_owned();
    let actions: [(&str, &[(&str, &str)]); 2] = [
        (
            &other,
            &[
                ("DefaultActions.member.1.Type", "forward"),
                ("DefaultActions.member.1.TargetGroupArn", &other),
            ],
        ),
        (
            "fixed-response",
            &[
                ("DefaultActions.member.1.Type", "fixed-response"),
                ("DefaultActions.member.1.FixedResponseConfig.StatusCode", "503"),
            ],
        ),
    ];
    for (shown, action) in actions {
        let mut all = vec![
            ("Action", "ModifyListener"),
            ("ListenerArn", scene.listener.as_str()),
        ];
        all.extend(action);
        scene.elb(&all).await;
        for error in [
            balancer.read().await.unwrap_err(),
            note(balancer, &seen, "mine").await.unwrap_err(),
        ] {
            assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
            assert!(error.to_string().contains(shown), "{error}");
            println!("{error}");
        }
        let now = scene
            .elb(&[
                ("Action", "DescribeListeners"),
                ("ListenerArns.member.1", &scene.listener),
            ])
            .await;
        assert!(now.contains(shown), "it was written over: {now}");
    }
    let gone = Aws {
        listener: Some(format!("{}0", scene.listener)),
        ..scene.at(&scene.listener, &settings(&scene.moto.url))
    };
    let error = self::balancer(&gone).read().await.unwrap_err();
    assert!(error.hint().unwrap().contains("switch.aws"), "{error:?}");
}

#[tokio::test]
async fn a_rule_of_an_application_balancer() {
    let scene = Scene::new("application", "HTTP").await;
    let rule = scene.rule.clone().unwrap();
    let balancer = balancer(&scene.at(&rule, &settings(&scene.moto.url)));
    flips(&balancer, 100, "rule of an application balancer").await;
    let now = scene
        .elb(&[("Action", "DescribeRules"), ("RuleArns.member.1", &rule)])
        .await;
    assert!(
        now.contains("<DurationSeconds>60<") && now.contains("/shop/*"),
        "stickiness and conditions stay: {now}"
    );
    // The listener's own action is another matter.
    let listener = scene
        .elb(&[
            ("Action", "DescribeListeners"),
            ("ListenerArns.member.1", &scene.listener),
        ])
        .await;
    assert!(!listener.contains(&scene.green), "{listener}");
}

#[tokio::test]
async fn a_listener_of_a_network_balancer() {
    let scene = Scene::new("network", "TCP").await;
    let balancer = balancer(&scene.at(&scene.listener, &settings(&scene.moto.url)));
    flips(&balancer, 100, "listener of a network balancer").await;
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let arn = |kind: &str| Some(format!("arn:aws:elasticloadbalancing:us-east-1:1:{kind}/app/x/1"));
    let whole = Aws {
        listener: arn("listener"),
        blue: arn("targetgroup"),
        green: Some("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/y/2".to_owned()),
        ..settings("http://127.0.0.1:1")
    };
    assert!(Elbv2::new(&whole, &inventory()).is_ok());
    for wrong in [
        Aws {
            listener: None,
            ..whole.clone()
        },
        Aws {
            listener: arn("loadbalancer"),
            ..whole.clone()
        },
        Aws {
            green: whole.blue.clone(),
            ..whole.clone()
        },
    ] {
        let error = Elbv2::new(&wrong, &inventory()).err().unwrap();
        assert!(matches!(error, ApiError::Refused { .. }), "{error:?}");
    }
}

/// The note counts, and the weights are refused or not answered: the one is taken back, the other is in doubt.
#[tokio::test]
async fn a_change_that_ends_half_way() {
    for (answer, in_doubt) in [
        (error(400, "InvalidConfigurationRequest"), false),
        (error(500, "InternalFailure"), true),
    ] {
        let server = MockServer::start().await;
        let whole = Aws {
            listener: Some("arn:aws:elasticloadbalancing:us-east-1:1:listener/app/x/1/2".to_owned()),
            blue: Some("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/b/1".to_owned()),
            green: Some("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/g/2".to_owned()),
            ..settings(&server.uri())
        };
        let listeners = format!(
            "<R><Listeners><member><DefaultActions><member><Type>forward</Type><TargetGroupArn>{}</TargetGroupArn>\
             </member></DefaultActions></member></Listeners></R>",
            whole.blue.as_deref().unwrap()
        );
        let answers = [
            (
                "DescribeListeners",
                ResponseTemplate::new(200).set_body_string(listeners),
            ),
            ("DescribeT", ResponseTemplate::new(200).set_body_string("<R/>")),
            ("AddTags", ResponseTemplate::new(200).set_body_string("<R/>")),
            ("RemoveTags", ResponseTemplate::new(200).set_body_string("<R/>")),
            ("ModifyListener", answer),
        ];
        for (action, answer) in answers {
            Mock::given(matchers::body_string_contains(format!("Action={action}")))
                .respond_with(answer)
                .mount(&server)
                .await;
        }
        let balancer = balancer(&whole);
        let seen = balancer.read().await.unwrap();
        let to = Change {
            note: "new",
            to: Some(Route::all(Pool::Green)),
            ttl: None,
        };
        let since = Instant::now();
        let error = balancer.change(&seen, &to).await.unwrap_err();
        assert!(since.elapsed() < Duration::from_secs(30));
        println!("{error}");
        assert_eq!(error.is_in_doubt(), in_doubt, "{error:?}");
        let requests = server.received_requests().await.unwrap();
        let taken_back = requests.iter().any(|request| {
            let body = String::from_utf8_lossy(&request.body);
            body.contains("Action=RemoveTags") && body.contains("TagKeys.member.1=pointsman%3Anote&")
        });
        assert_eq!(taken_back, !in_doubt);
    }
}

fn error(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    ))
}
