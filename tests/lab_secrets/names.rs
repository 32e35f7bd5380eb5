//! What a name server is talked to with: the key that signs updates, and the token of its API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pointsman::switch::dns::{Kind, RecordSet, Replace, Zone as _};

use super::canaries::{
    APP_HOSTS, Canaries, ROUTERS, Runs, random, the_containers, the_files_of, the_operators_machine,
};
use super::process::free_port;
use super::server::{Server, WRITER, secret_of};
use super::support::scene::{NoRouters, switched};
use super::support::{lab, reset};

const NAME: &str = "shop.z.example";
/// Seconds for which answers may be kept: as short as it can be, for each deploy waits for it.
const TTL: u32 = 1;

/// About 20 runs, 60 with `POINTSMAN_LONG=long`: by signed updates, and by the API of the same PowerDNS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_name_server_either() {
    reset("two-pools");
    let _quiet = NoRouters::stopped();
    let (token, api) = (random("token"), free_port());
    // Its own administration has keys in command lines, so that it ends before anybody looks.
    let server = Server::powerdns_with(&format!(
        "api=yes\napi-key={token}\nwebserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={api}\n"
    ))
    .await;
    let first = RecordSet {
        name: NAME.to_owned(),
        kind: Kind::A,
        ttl: TTL,
        values: ["WEB1", "WEB2"].map(|host| lab()[host].clone()).into(),
        share: None,
    };
    let first = Replace {
        old: None,
        new: Some(first),
    };
    server.zone().replace(&[first]).await.unwrap();

    let (key, password) = (secret_of(WRITER), lab()["REGISTRY_PASSWORD"].clone());
    let wrong = (STANDARD.encode(random("key")), random("wrong"));
    let mut canaries = Canaries::default();
    canaries.add("the key", &key);
    canaries.add(
        "the key, decoded",
        &String::from_utf8(STANDARD.decode(&key).unwrap()).unwrap(),
    );
    canaries.add("the token", &token);
    canaries.add("a wrong key", &wrong.0);
    canaries.add("a wrong token", &wrong.1);
    canaries.add("the registry's password", &password);

    let tables = format!(
        "[switch.dns]\nname = \"{NAME}\"\nttl = \"{TTL}s\"\nnameservers = [\"127.0.0.1:{dns}\"]\nresolvers = [\"127.0.0.1:{dns}\"]\n\
         [switch.rfc2136]\nserver = \"127.0.0.1:{dns}\"\nkey = \"{WRITER}\"\nsecret = \"${{LAB_KEY}}\"\n\
         [switch.powerdns]\nendpoint = \"http://127.0.0.1:{api}\"\ntoken = \"${{LAB_TOKEN}}\"\n",
        dns = server.port
    );
    let signed = switched("secrets-signed", "rfc2136", &tables, &[]);
    let by_api = switched("secrets-api", "powerdns", &tables, &[]);
    let variables = vec![
        ("LAB_REGISTRY_PASSWORD", password),
        ("LAB_KEY", key),
        ("LAB_TOKEN", token),
    ];
    let mut runs = Runs::new(canaries, variables);
    let wrong_key = [("LAB_KEY", wrong.0.as_str())];
    let wrong_token = [("LAB_TOKEN", wrong.1.as_str())];
    runs.ran(&signed, &["plan", "v1"], 0);
    runs.ran(&signed, &["-v", "deploy", "v1"], 0);
    runs.ran_with(&signed, &["-v", "deploy", "v2"], 20, &wrong_key)
        .says(&[WRITER]);
    runs.ran_with(&signed, &["--json", "doctor"], 50, &wrong_key);
    runs.ran(&signed, &["--json", "deploy", "v2"], 0);
    runs.ran(&signed, &["-v", "rollback"], 0);
    runs.ran(&signed, &["-v", "doctor"], 0);
    runs.ran(&signed, &["--json", "status"], 0);
    runs.ran(&signed, &["history"], 0);
    runs.ran(&signed, &["--json", "validate"], 0);
    // The note and the records are where they were: only the way to them is another.
    runs.ran(&by_api, &["-v", "status"], 0);
    runs.ran_with(&by_api, &["-v", "rollback"], 20, &wrong_token)
        .says(&["401"]);
    runs.ran_with(&by_api, &["--json", "doctor"], 50, &wrong_token);
    runs.ran(&by_api, &["--json", "rollback"], 0);
    runs.ran(&by_api, &["-v", "doctor"], 0);
    runs.ran(&by_api, &["--json", "deploy", "v3"], 0);
    runs.ran(&by_api, &["lock", "status"], 0);
    while super::long() && runs.count < 60 {
        let by = if runs.count.is_multiple_of(2) {
            &signed
        } else {
            &by_api
        };
        runs.ran(by, &["-v", "rollback"], 0);
    }

    let canaries = runs.end(&["pointsman", "ssh", "docker"]);
    the_operators_machine(&canaries, &signed);
    the_operators_machine(&canaries, &by_api);
    for host in APP_HOSTS {
        assert_eq!(
            the_containers(&canaries, host),
            0,
            "the app is given none of these"
        );
    }
    for host in APP_HOSTS.into_iter().chain(ROUTERS) {
        assert_eq!(the_files_of(&canaries, host), 0, "no env file has any");
    }
}
