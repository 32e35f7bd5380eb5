//! The note beside a name, and journals on the first host of each pool: the suite, but for what needs a store that refuses a
//! late journal line. There is no guard on an anchor, and none is needed: a journal has one writer, and who takes a run over
//! goes by what the switch says.

use camino::Utf8PathBuf;
use pointsman::inventory::Inventory;
use pointsman::remote::Sessions;
use pointsman::state::Store;
use pointsman::switch::dns::{Kind, RecordSet, Replace, Zone as _};

use super::server::{Program, Server, WRITER, secret_of};
use super::suite;
use super::support::{lab, lab_command};

const NAME: &str = "shop.z.example";
/// The first hosts of the pools.
const ANCHORS: [&str; 2] = ["web1", "web3"];

/// A name server, and a folder of the test's own on the anchors.
struct Site {
    server: Server,
    folder: tempfile::TempDir,
    base: String,
}

impl Site {
    async fn start(test: &str) -> Site {
        let server = Server::start(Program::Bind).await;
        let first = Replace {
            old: None,
            new: Some(RecordSet {
                name: NAME.to_owned(),
                kind: Kind::A,
                ttl: 5,
                values: vec![lab()["WEB1"].clone()],
                share: None,
            }),
        };
        server.zone().replace(&[first]).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let compose = "services:\n  web: {image: a}\n";
        std::fs::write(folder.path().join("compose.yml"), compose).unwrap();
        Site {
            server,
            folder,
            base: format!("/home/deploy/note-{test}-{}", std::process::id()),
        }
    }

    /// As another machine has it, with connections of its own.
    fn client(&self) -> Box<dyn Store> {
        let host = |name: &str| {
            format!(
                "{{ address = \"{}\", name = \"{name}\" }}",
                lab()[&name.to_uppercase()]
            )
        };
        let text = format!(
            "[app]\nname = \"shop\"\npath = \"{base}\"\ncompose = \"compose.yml\"\nidentity = {{ path = \"/version\" }}\n\
             [ssh]\nuser = \"deploy\"\nidentity = \"{key}\"\nknown_hosts = \"{known}\"\n\
             [pools.blue]\nhosts = [{blue}]\n[pools.green]\nhosts = [{green}]\n\
             [[checks]]\nname = \"web\"\nport = 80\npath = \"/up\"\n[switch]\nconnector = \"rfc2136\"\n\
             [switch.dns]\nname = \"{NAME}\"\nttl = \"5s\"\nnameservers = [\"127.0.0.1:{port}\"]\n\
             [switch.rfc2136]\nserver = \"127.0.0.1:{port}\"\nkey = \"{WRITER}\"\nsecret = \"{secret}\"\n",
            base = self.base,
            key = lab()["SSH_KEY"],
            known = lab()["KNOWN_HOSTS"],
            blue = host(ANCHORS[0]),
            green = host(ANCHORS[1]),
            port = self.server.port,
            secret = secret_of(WRITER)
        );
        let file = self.folder.path().join("production.toml");
        std::fs::write(&file, text).unwrap();
        let file = Utf8PathBuf::try_from(file).unwrap();
        let inventory =
            Inventory::load(&file, &|_| None).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        let sessions = Sessions::new(&inventory.ssh).unwrap();
        let noted = pointsman::state::noted(&inventory, &sessions).unwrap();
        Box::new(noted.expect("an API"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for host in ANCHORS {
            lab_command(&["ssh", host, &format!("rm -rf {}", self.base)]);
        }
    }
}

#[tokio::test]
async fn a_whole_run() {
    let site = Site::start("whole").await;
    let (a, b) = (site.client(), site.client());
    suite::a_whole_run(a.as_ref(), b.as_ref()).await.unwrap();
}

#[tokio::test]
async fn heartbeats() {
    let site = Site::start("heartbeats").await;
    let (a, b) = (site.client(), site.client());
    suite::heartbeats(a.as_ref(), b.as_ref()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_at_once_one_takes_it() {
    let site = Site::start("race").await;
    let clients: Vec<Box<dyn Store>> = (0..8).map(|_| site.client()).collect();
    suite::race(&clients, 10).await.unwrap();
}

#[tokio::test]
async fn a_robbed_run_changes_nothing() {
    let site = Site::start("stolen").await;
    let (a, b) = (site.client(), site.client());
    suite::stolen(a.as_ref(), b.as_ref()).await.unwrap();
}

#[tokio::test]
async fn a_stale_look_takes_nothing() {
    let site = Site::start("stale").await;
    let (a, b) = (site.client(), site.client());
    suite::stale_read(a.as_ref(), b.as_ref()).await.unwrap();
}
