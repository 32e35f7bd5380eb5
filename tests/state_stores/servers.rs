//! The lab's routers as a store, in a folder of the test's own.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use pointsman::inventory::Ssh;
use pointsman::remote::{Server, Sessions};
use pointsman::state::Store;
use pointsman::state::servers::Servers;

use super::bench::Bench;
use super::relay::Relay;
use super::support::{Fault, lab, lab_command};

pub struct Routers {
    base: String,
    known_hosts: tempfile::TempDir,
}

impl Routers {
    pub fn new(test: &str) -> Routers {
        Routers {
            base: format!("/home/deploy/state-{test}-{}", std::process::id()),
            known_hosts: tempfile::tempdir().unwrap(),
        }
    }

    fn sessions(&self, relay: Option<u16>) -> Sessions {
        let known = std::fs::read_to_string(&lab()["KNOWN_HOSTS"]).unwrap();
        // Behind the relay is lb1, with its own key.
        let key = known.lines().find(|line| line.starts_with("lb1,")).unwrap();
        let key = key.split_once(' ').unwrap().1;
        let port = relay.unwrap_or_default();
        let file = self.known_hosts.path().join(format!("known-{port}"));
        std::fs::write(&file, format!("{known}\n[127.0.0.1]:{port} {key}\n")).unwrap();
        Sessions::new(&Ssh {
            user: Some("deploy".into()),
            port: None,
            identity: Some(Utf8PathBuf::from(&lab()["SSH_KEY"])),
            jump: None,
            known_hosts: Some(Utf8PathBuf::from_path_buf(file).unwrap()),
            config: None,
            connect_timeout: Duration::from_secs(5),
            max_connects: 8,
        })
        .unwrap()
    }

    fn store(&self, relay: Option<u16>, env: &str) -> Servers {
        let server = |name: &str, address: String, port| Server {
            name: name.to_owned(),
            address,
            port,
            user: None,
        };
        let first = match relay {
            None => server("lb1", lab()["LB1"].clone(), None),
            Some(port) => server("lb1", "127.0.0.1".to_owned(), Some(port)),
        };
        let second = server("lb2", lab()["LB2"].clone(), None);
        Servers::new(
            self.sessions(relay),
            vec![first, second],
            format!("{}/{env}", self.base),
        )
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn on_both(&self, command: &str) {
        for router in ["lb1", "lb2"] {
            lab_command(&["ssh", router, command]);
        }
    }
}

impl Drop for Routers {
    fn drop(&mut self) {
        self.on_both(&format!("rm -rf {}", self.base));
    }
}

#[async_trait]
impl Bench for Routers {
    fn client(&self, env: &str) -> Box<dyn Store> {
        Box::new(self.store(None, env))
    }

    fn through(&self, relay: &Relay, env: &str) -> Box<dyn Store> {
        Box::new(self.store(Some(relay.port), env))
    }

    async fn relay(&self) -> Relay {
        let address: SocketAddr = format!("{}:22", lab()["LB1"]).parse().unwrap();
        Relay::to(address).await
    }

    async fn crash(&self) {
        drop(Fault::on("killed", "lb1"));
        lab_command(&["up"]);
    }

    async fn overwrite(&self, env: &str, epoch: u64, run: Option<&str>) {
        let state = format!("{}/{env}", self.base);
        let holder = match run {
            Some(run) => format!("echo {run} >{state}/holder"),
            None => format!("rm -f {state}/holder"),
        };
        self.on_both(&format!(
            "mkdir -p {state}; echo {epoch} >{state}/epoch; {holder}"
        ));
    }

    async fn scribble(&self, env: &str, run: &str, _seq: u64, line: &str) {
        use base64::Engine as _;
        let line = base64::engine::general_purpose::STANDARD.encode(format!("{line}\n"));
        let runs = format!("{}/{env}/runs/{run}", self.base);
        self.on_both(&format!(
            "mkdir -p {runs}; echo {line} | base64 -d >>{runs}/journal.jsonl"
        ));
    }

    fn rounds(&self) -> u64 {
        3
    }
}
