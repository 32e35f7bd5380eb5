use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use wiremock::matchers::{basic_auth, bearer_token, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::http::patience::Patience;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The manifest of one architecture, with layers of so many bytes in all.
fn image(size: u64) -> Vec<u8> {
    json!({"config": {"digest": "sha256:cc"}, "layers": [{"size": 10}, {"size": size - 10}]})
        .to_string()
        .into_bytes()
}

fn index() -> Vec<u8> {
    json!({"manifests": [
        {"digest": Digest::of(&image(100)).as_str(), "platform": {"architecture": "amd64", "os": "linux"}},
        {"digest": Digest::of(&image(250)).as_str(), "platform": {"architecture": "arm64", "os": "linux"}},
    ]})
    .to_string()
    .into_bytes()
}

fn good() -> ResponseTemplate {
    ResponseTemplate::new(200)
        .insert_header("docker-content-digest", Digest::of(&index()).as_str())
        .set_body_raw(index(), INDEX)
}

fn resolved(size: u64) -> Resolved {
    Resolved {
        digest: Digest::of(&index()),
        size,
    }
}

/// An open registry whose tag v1 answers so.
async fn registry(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v2/shop/manifests/v1"))
        .respond_with(answer)
        .mount(&server)
        .await;
    images(&server).await;
    server
}

/// The manifests that the index lists.
async fn images(server: &MockServer) {
    for size in [100, 250] {
        let body = image(size);
        Mock::given(path(format!("/v2/shop/manifests/{}", Digest::of(&body))))
            .respond_with(ResponseTemplate::new(200).set_body_bytes(body))
            .mount(server)
            .await;
    }
}

fn login(server: &str) -> inventory::Registry {
    inventory::Registry {
        server: server.to_owned(),
        username: Some("deployer".into()),
        password: Some(SecretString::from("s3cret")),
        ca: None,
    }
}

/// Asks for an image's digest without lasting pauses.
async fn ask(
    server: &MockServer,
    image: &str,
    login: Option<&inventory::Registry>,
    archs: &[&str],
) -> Result<Resolved, RegistryError> {
    let mut client = Client::new(login)?;
    client.patience = Patience {
        first: Duration::from_millis(1),
        ..Patience::default()
    };
    client
        .resolve(&format!("{}/{image}", server.address()).parse()?, archs)
        .await
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("recorded")
}

#[tokio::test]
async fn an_open_registry_tells_the_digest() {
    let server = registry(good()).await;
    assert_eq!(ask(&server, "shop:v1", None, &["amd64"]).await, Ok(resolved(100)));
    assert_eq!(
        ask(&server, "shop:v1", None, &["amd64", "arm64"]).await,
        Ok(resolved(250))
    );
    let accept = requests(&server).await[0].headers["accept"]
        .to_str()
        .expect("text")
        .to_owned();
    for kind in [
        "image.index.v1",
        "manifest.list.v2",
        "image.manifest.v1",
        "distribution.manifest.v2",
    ] {
        assert!(accept.contains(kind), "{accept}");
    }
}

#[tokio::test]
async fn a_registry_that_promises_no_digest_is_computed() {
    let server = registry(ResponseTemplate::new(200).set_body_raw(index(), INDEX)).await;
    assert_eq!(ask(&server, "shop:v1", None, &[]).await, Ok(resolved(0)));
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_refused() {
    let promised = Digest::of(b"other");
    let answer = good().insert_header("docker-content-digest", promised.as_str());
    let server = registry(answer).await;
    let error = ask(&server, "shop:v1", None, &[]).await.expect_err("refused");
    assert!(
        matches!(&error, RegistryError::Digest { expected, found, .. } if expected == promised.as_str() && *found == Digest::of(&index())),
        "{error}"
    );
}

#[tokio::test]
async fn a_listed_manifest_that_was_tampered_with_is_refused() {
    let server = MockServer::start().await;
    let listed = Digest::of(&image(100));
    Mock::given(path(format!("/v2/shop/manifests/{listed}")))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(image(99)))
        .mount(&server)
        .await;
    Mock::given(path("/v2/shop/manifests/v1"))
        .respond_with(good())
        .mount(&server)
        .await;
    let error = ask(&server, "shop:v1", None, &["amd64"])
        .await
        .expect_err("refused");
    assert!(matches!(error, RegistryError::Digest { expected, .. } if expected == listed.as_str()));
}

#[tokio::test]
async fn a_registry_that_only_a_server_reaches_is_asked_through_its_tunnel() {
    let server = registry(good()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    let listener = tokio::net::UnixListener::bind(&socket).expect("bound");
    let target = *server.address();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let Ok(mut far) = tokio::net::TcpStream::connect(target).await else {
                return;
            };
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let client = Client::through(None, &socket).expect("a client");
    // Nobody listens on port 1 of this machine: only the socket leads there.
    let image = "localhost:1/shop:v1".parse().expect("a name");
    assert_eq!(client.resolve(&image, &["amd64"]).await, Ok(resolved(100)));
}

#[tokio::test]
async fn an_architecture_that_is_not_built_is_named() {
    let server = registry(good()).await;
    let error = ask(&server, "shop:v1", None, &["amd64", "riscv64"])
        .await
        .expect_err("refused");
    assert!(
        error.to_string().ends_with(
            "shop:v1 is not built for riscv64; expected it among its architectures, found amd64, arm64"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_architecture_of_a_single_image_stands_in_its_configuration() {
    let body = image(70);
    let server = registry(ResponseTemplate::new(200).set_body_bytes(body.clone())).await;
    Mock::given(path("/v2/shop/blobs/sha256:cc"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({"architecture": "arm64", "os": "linux"})),
        )
        .mount(&server)
        .await;
    assert_eq!(
        ask(&server, "shop:v1", None, &["arm64"]).await,
        Ok(Resolved {
            digest: Digest::of(&body),
            size: 70
        })
    );
    let error = ask(&server, "shop:v1", None, &["amd64"])
        .await
        .expect_err("refused");
    assert!(matches!(error, RegistryError::Architecture { found, .. } if found == ["arm64"]));
}

#[tokio::test]
async fn name_and_password_where_they_are_asked_for() {
    let server = MockServer::start().await;
    Mock::given(basic_auth("deployer", "s3cret"))
        .respond_with(good())
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"r\""))
        .with_priority(9)
        .mount(&server)
        .await;
    let own = login(&server.address().to_string());
    assert!(ask(&server, "shop:v1", Some(&own), &[]).await.is_ok());

    let nobody = ask(&server, "shop:v1", None, &[]).await.expect_err("refused");
    assert!(matches!(
        nobody,
        RegistryError::Unauthorized { username: None, .. }
    ));
    // The inventory's login is for its own registry and for no other.
    let before = requests(&server).await.len();
    let foreign = ask(&server, "shop:v1", Some(&login("r.example.com")), &[])
        .await
        .expect_err("refused");
    assert!(matches!(
        foreign,
        RegistryError::Unauthorized { username: None, .. }
    ));
    assert!(
        requests(&server).await[before..]
            .iter()
            .all(|r| !r.headers.contains_key("authorization"))
    );
}

/// A registry that wants tokens.
async fn token_registry(token_answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"reg\",scope=\"ignored\"",
        server.uri()
    );
    Mock::given(path("/token"))
        .and(query_param("service", "reg"))
        .respond_with(token_answer)
        .mount(&server)
        .await;
    Mock::given(bearer_token("t0k3n"))
        .and(path("/v2/shop/manifests/v1"))
        .respond_with(good())
        .mount(&server)
        .await;
    Mock::given(bearer_token("t0k3n"))
        .and(path("/v2/"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str()))
        .with_priority(9)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_token_is_fetched_for_this_repository_only() {
    for body in [json!({"token": "t0k3n"}), json!({"access_token": "t0k3n"})] {
        let server = token_registry(ResponseTemplate::new(200).set_body_json(body)).await;
        let own = login(&server.address().to_string());
        assert!(ask(&server, "shop:v1", Some(&own), &[]).await.is_ok());
        let all = requests(&server).await;
        let fetched = all.iter().find(|r| r.url.path() == "/token").expect("fetched");
        assert_eq!(
            fetched.url.query(),
            Some("service=reg&scope=repository%3Ashop%3Apull")
        );
        assert!(
            fetched.headers["authorization"]
                .to_str()
                .expect("text")
                .starts_with("Basic ")
        );
        assert!(
            all.iter().filter(|r| r.url.path() != "/token").all(|r| r
                .headers
                .get("authorization")
                .is_none_or(|a| !a.to_str().expect("text").starts_with("Basic"))),
            "the password goes to the token server alone"
        );
    }
}

#[tokio::test]
async fn a_refused_login_is_sent_once_and_never_shown() {
    for status in [401, 403] {
        let refusal = json!({"errors": [{"code": "DENIED", "message": "account is locked"}]});
        let server = token_registry(ResponseTemplate::new(status).set_body_json(refusal)).await;
        let own = login(&server.address().to_string());
        let error = ask(&server, "shop:v1", Some(&own), &[])
            .await
            .expect_err("refused");
        assert!(
            matches!(&error, RegistryError::Unauthorized { username: Some(name), .. } if name == "deployer")
        );
        assert!(error.to_string().contains("account is locked"), "{error}");
        assert!(!format!("{error:?} {} {:?}", error.hint(), Client::new(Some(&own))).contains("s3cret"));
        let sent = requests(&server)
            .await
            .iter()
            .filter(|r| r.url.path() == "/token")
            .count();
        assert_eq!(sent, 1);
    }
}

#[tokio::test]
async fn a_missing_tag_comes_with_those_that_are_most_like_it() {
    let server = MockServer::start().await;
    let unknown = json!({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]});
    Mock::given(path("/v2/shop/manifests/75_db4b44b"))
        .respond_with(ResponseTemplate::new(404).set_body_json(unknown))
        .mount(&server)
        .await;
    let tags = [
        "latest",
        "1_aaaaaaa",
        "75_db4b44c",
        "74_0000000",
        "2_bbbbbbb",
        "75_db4b44",
        "3_ccccccc",
    ];
    Mock::given(path("/v2/shop/tags/list"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"name": "shop", "tags": tags})))
        .mount(&server)
        .await;
    let error = ask(&server, "shop:75_db4b44b", None, &[])
        .await
        .expect_err("missing");
    let RegistryError::NoTag { tags, tag, image } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (tag.as_str(), image.clone()),
        ("75_db4b44b", format!("{}/shop", server.address()))
    );
    assert_eq!(tags.len(), 5);
    assert!(
        tags[..2].contains(&"75_db4b44c".to_owned()) && tags[..2].contains(&"75_db4b44".to_owned()),
        "{tags:?}"
    );
}

#[tokio::test]
async fn a_missing_repository_is_another_matter() {
    let unknown = json!({"errors": [{"code": "NAME_UNKNOWN", "message": "repository name not known"}]});
    let server = registry(ResponseTemplate::new(404).set_body_json(unknown)).await;
    let error = ask(&server, "shop:v1", None, &[]).await.expect_err("missing");
    assert_eq!(
        error.to_string(),
        format!("registry {} has no repository shop", server.address())
    );
}

#[tokio::test]
async fn a_busy_registry_is_waited_for_as_long_as_it_asks() {
    for status in [429, 503] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(status).insert_header("retry-after", "1"))
            .up_to_n_times(1)
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .respond_with(good())
            .with_priority(9)
            .mount(&server)
            .await;
        let begun = std::time::Instant::now();
        assert!(ask(&server, "shop:v1", None, &[]).await.is_ok());
        assert!(begun.elapsed() >= Duration::from_secs(1), "it came back too soon");
    }
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let server = registry(ResponseTemplate::new(429).insert_header("retry-after", "3600")).await;
    let error = ask(&server, "shop:v1", None, &[]).await.expect_err("busy");
    assert!(
        error.to_string().ends_with("is busy and asks to wait 3600 s"),
        "{error}"
    );
    assert_eq!(requests(&server).await.len(), 1);

    let server = registry(ResponseTemplate::new(503)).await;
    let error = ask(&server, "shop:v1", None, &[]).await.expect_err("busy");
    assert!(matches!(error, RegistryError::Busy { after: None, .. }));
    assert_eq!(requests(&server).await.len(), 4);
}

#[tokio::test]
async fn what_is_no_registry_is_told_so() {
    let server = registry(ResponseTemplate::new(200).set_body_string("<html>hello</html>")).await;
    let error = ask(&server, "shop:v1", None, &[]).await.expect_err("no manifest");
    assert!(
        error
            .to_string()
            .ends_with("answers a manifest of an unknown kind"),
        "{error}"
    );
    let server = registry(ResponseTemplate::new(500)).await;
    let error = ask(&server, "shop:v1", None, &[]).await.expect_err("no manifest");
    assert!(
        error.to_string().ends_with("answers 500 Internal Server Error"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_there_is_told_with_the_reason() {
    // Bound and given back: nobody listens there now.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port");
    let image = format!("{free}/shop:v1");
    let mut client = Client::new(None).expect("a client");
    client.patience.first = Duration::from_millis(1);
    let error = client
        .resolve(&image.parse().expect("a name"), &[])
        .await
        .expect_err("nobody");
    assert!(matches!(&error, RegistryError::Unreachable { .. }), "{error}");
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_ping_tells_whether_the_login_works() {
    let open = MockServer::start().await;
    Mock::given(path("/v2/"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&open)
        .await;
    let ping = async |server: &MockServer, registry: Option<&inventory::Registry>| {
        let client = Client::new(registry).expect("a client");
        client.ping(&server.address().to_string()).await
    };
    assert_eq!(ping(&open, None).await, Ok(Ping::Open));

    let closed = MockServer::start().await;
    Mock::given(basic_auth("deployer", "s3cret"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&closed)
        .await;
    Mock::given(header("host", closed.address().to_string().as_str()))
        .respond_with(ResponseTemplate::new(401).insert_header("www-authenticate", "Basic"))
        .with_priority(9)
        .mount(&closed)
        .await;
    let own = login(&closed.address().to_string());
    assert_eq!(ping(&closed, Some(&own)).await, Ok(Ping::LoggedIn));
    assert_eq!(ping(&closed, None).await, Ok(Ping::NeedsLogin));
    let wrong = inventory::Registry {
        password: Some(SecretString::from("other")),
        ..own
    };
    assert!(matches!(
        ping(&closed, Some(&wrong)).await,
        Err(RegistryError::Unauthorized { .. })
    ));

    let token = token_registry(ResponseTemplate::new(200).set_body_json(json!({"token": "t0k3n"}))).await;
    assert_eq!(ping(&token, None).await, Ok(Ping::NeedsLogin));
    let own = login(&token.address().to_string());
    assert_eq!(ping(&token, Some(&own)).await, Ok(Ping::LoggedIn));
}

#[test]
fn a_ca_that_is_none_is_refused_before_anything_is_sent() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = camino::Utf8PathBuf::from_path_buf(file.path().to_owned()).expect("text");
    for ca in [path, "/none/ca.pem".into()] {
        let registry = inventory::Registry {
            ca: Some(ca.clone()),
            ..login("r")
        };
        let error = Client::new(Some(&registry)).expect_err("refused");
        assert!(
            matches!(&error, RegistryError::Ca { path, .. } if *path == ca),
            "{error}"
        );
    }
}
