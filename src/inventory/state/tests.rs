//! What `[state]` means, its mistakes, and that no password is shown.

use super::super::testing::Lab;
use super::*;

fn text(state: &str) -> String {
    format!("{}\n[state]\n{state}\n", Lab::BASE)
}

fn state(table: &str) -> State {
    Lab::new().load_text(&text(table)).expect("valid").state
}

#[test]
fn the_routers_keep_it_unless_another_is_named() {
    assert!(matches!(Lab::new().load().state, State::Servers));
    assert!(matches!(state("store = \"servers\""), State::Servers));
}

#[test]
fn a_url_with_every_sslmode() {
    for (query, expected) in [
        ("", SslMode::Prefer),
        ("?sslmode=disable", SslMode::Disable),
        ("?sslmode=prefer", SslMode::Prefer),
        ("?connect_timeout=3&sslmode=require", SslMode::Require),
        ("?sslmode=verify-full&connect_timeout=3", SslMode::VerifyFull),
    ] {
        let State::Postgres(postgres) = state(&format!(
            "store = \"postgres\"\nurl = \"postgresql://ci:${{DOCKER_PASS}}@db1:5432,db2/pointsman{query}\""
        )
        .replace("${DOCKER_PASS}", "a%40b"))
        else {
            panic!("another store");
        };
        assert_eq!(postgres.ssl_mode, expected, "{query}");
        assert!(!postgres.url.expose_secret().contains("sslmode"));
        assert_eq!(
            postgres.url.expose_secret().contains("connect_timeout=3"),
            query.contains("connect")
        );
        assert!(!format!("{postgres:?}").contains("a%40b"));
    }
}

#[test]
fn etcd_with_and_without_a_login() {
    let State::Etcd(etcd) = state(
        "store = \"etcd\"\nendpoints = [\"https://e1:2379\", \"http://[::1]:2379\"]\nusername = \"ci\"\npassword = \"hunter2\"",
    ) else {
        panic!("another store");
    };
    assert_eq!(etcd.endpoints.len(), 2);
    assert_eq!(etcd.login.as_ref().expect("given").0, "ci");
    assert!(!format!("{etcd:?}").contains("hunter2"));
    let State::Etcd(etcd) = state("store = \"etcd\"\nendpoints = [\"http://e1:2379\"]") else {
        panic!("another store");
    };
    assert!(etcd.login.is_none());
}

#[test]
fn its_mistakes() {
    let lab = Lab::new();
    let said = |table: &str| lab.refused(&text(table));
    insta::assert_snapshot!(said("store = \"postgres\""), @r#"
    error: `state.url` is missing
      --> production.toml:21:9
       |
    21 | store = "postgres"
       |         ^^^^^^^^^^ expected where the postgres servers are, found none
       |
       = help: add `url = "${STATE_URL}"`

    production.toml: 1 mistake
    "#);
    insta::assert_snapshot!(said("url = \"postgresql://db/pointsman\""), @r#"
    error: `state.store` is missing
      --> production.toml:20:1
       |
    20 | [state]
       | ^^^^^^^ expected which store, found none
       |
       = help: add `store = "postgres"`

    production.toml: 1 mistake
    "#);
    insta::assert_snapshot!(
        said("store = \"etdc\"\nendpoints = [\"e1:2379\"]\npassword = \"hunter2\"\nca_file = \"none.pem\""),
        @r#"
        error: `state.store` has a value that does not exist
          --> production.toml:21:9
           |
        21 | store = "etdc"
           |         ^^^^^^ expected one of `servers`, `postgres`, `etcd`, found "etdc"
           |
           = help: did you mean `etcd`?

        error: `state.endpoints[0]` is malformed
          --> production.toml:22:14
           |
        22 | endpoints = ["e1:2379"]
           |              ^^^^^^^^^ expected `http://host[:port][/path]` or `https://...`, found "e1:2379"

        error: `state.username` is missing
          --> production.toml:23:12
           |
        23 | password = "*******"
           |            ^^^^^^^^^ expected both or neither of `username` and `password`, found only `password`
           |
           = help: add `username = "${ETCD_USER}"`

        error: `state.ca_file` names no file
          --> production.toml:24:11
           |
        24 | ca_file = "none.pem"
           |           ^^^^^^^^^^ expected a file at none.pem, found nothing there

        production.toml: 4 mistakes
        "#
    );
    insta::assert_snapshot!(
        said("store = \"postgres\"\nurl = \"postgresql://ci:hunter2@db/pointsman?sslmode=allow\""),
        @r#"
        error: `state.url` is malformed
          --> production.toml:22:7
           |
        22 | url = "postgresql://ci:*******@db/pointsman?sslmode=allow"
           |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected `sslmode` to be `disable`, `prefer`, `require` or `verify-full`, found another
           |
           = help: libpq's `allow` and `verify-ca` are not taken: use `prefer` or `verify-full`

        production.toml: 1 mistake
        "#
    );
}

#[test]
fn a_password_in_a_url_is_never_shown() {
    let lab = Lab::new();
    for url in [
        "postgresql://ci:hunter2@db",
        "postgresql://ci:hunter2@db:x/pointsman",
        "postgresql:///pointsman?user=ci&password=hunter2",
        "host=db password=hunter2",
        "mysql://ci:hunter2@db/pointsman",
    ] {
        let errors = lab
            .load_text(&text(&format!("store = \"postgres\"\nurl = \"{url}\"")))
            .expect_err(url)
            .render(false);
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    let errors = lab
        .load_text(&text("store = \"postgres\"\nurl = 5"))
        .expect_err("refused");
    assert!(errors.render(false).contains("`state.url` has the wrong type"));
}
