//! Real etcd members of the test's own.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use camino::Utf8PathBuf;
use pointsman::inventory::state::EtcdState;
use pointsman::state::Store;
use pointsman::state::etcd::Etcd;
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::bench::Bench;
use super::folder::{Folder, as_server, certificates};
use super::postgres::site;
use super::process::{Process, free_port, local, must};
use super::relay::Relay;

struct Member {
    client: u16,
    peer: u16,
    process: Mutex<Option<Process>>,
}

/// A cluster of one member or more.
pub struct Cluster {
    pub folder: Folder,
    members: Vec<Member>,
    tls: bool,
    extra: Vec<String>,
    starts: AtomicUsize,
}

impl Cluster {
    pub async fn new() -> Cluster {
        Cluster::with(1, false, &[]).await
    }

    /// With these further arguments of each member.
    pub async fn with(members: usize, tls: bool, extra: &[&str]) -> Cluster {
        let folder = Folder::new();
        if tls {
            certificates(&folder, &[("server", "DNS:localhost,IP:127.0.0.1")]);
        }
        let cluster = Cluster {
            folder,
            members: (0..members)
                .map(|_| Member {
                    client: free_port(),
                    peer: free_port(),
                    process: Mutex::new(None),
                })
                .collect(),
            tls,
            extra: extra.iter().map(|argument| (*argument).to_owned()).collect(),
            starts: AtomicUsize::new(0),
        };
        // Members wait for each other, so all are started before any is waited for.
        for number in 0..members {
            cluster.spawn(number).await;
        }
        for number in 0..members {
            cluster.wait(number).await;
        }
        cluster
    }

    async fn spawn(&self, number: usize) {
        let member = &self.members[number];
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let peer_url = |member: &Member| format!("http://127.0.0.1:{}", member.peer);
        let all: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(number, member)| format!("m{number}={}", peer_url(member)))
            .collect();
        let log = self
            .folder
            .path()
            .join(format!("log-{}", self.starts.fetch_add(1, Ordering::SeqCst)));
        let mut command = as_server("etcd");
        command
            .args([
                "--name",
                &format!("m{number}"),
                "--data-dir",
                &path(&format!("data{number}")),
            ])
            .args(["--listen-client-urls", &self.endpoint(number)])
            .args(["--advertise-client-urls", &self.endpoint(number)])
            .args(["--listen-peer-urls", &peer_url(member)])
            .args(["--initial-advertise-peer-urls", &peer_url(member)])
            .args(["--initial-cluster", &all.join(",")])
            .args(&self.extra);
        if self.tls {
            command.args([
                "--cert-file",
                &path("server.pem"),
                "--key-file",
                &path("server.key"),
            ]);
        }
        *member.process.lock().await = Some(Process::start(&mut command, &log));
    }

    async fn wait(&self, number: usize) {
        let mut process = self.members[number].process.lock().await;
        let process = process.as_mut().expect("it was started");
        process
            .until(async || {
                let health = self.etcdctl_command(number).args(["endpoint", "health"]).output();
                // One that asks for a name is well.
                health.is_ok_and(|output| {
                    output.status.success()
                        || String::from_utf8_lossy(&output.stderr).contains("user name is empty")
                })
            })
            .await;
    }

    pub async fn start(&self, number: usize) {
        self.spawn(number).await;
        self.wait(number).await;
    }

    pub async fn kill(&self, number: usize) {
        drop(self.members[number].process.lock().await.take());
    }

    /// Members that wait for each other.
    pub async fn start_all(&self, numbers: &[usize]) {
        for number in numbers {
            self.spawn(*number).await;
        }
        for number in numbers {
            self.wait(*number).await;
        }
    }

    pub fn endpoint(&self, number: usize) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.members[number].client)
    }

    pub fn endpoints(&self) -> Vec<String> {
        (0..self.members.len())
            .map(|number| self.endpoint(number))
            .collect()
    }

    fn etcdctl_command(&self, number: usize) -> Command {
        let mut command = Command::new("etcdctl");
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoint(number)]);
        if self.tls {
            command.arg("--cacert").arg(self.folder.path().join("ca.pem"));
        }
        command
    }

    /// Runs etcdctl, which must succeed.
    pub fn etcdctl(&self, args: &[&str]) -> String {
        must(self.etcdctl_command(0).args(args))
    }

    pub fn store_at(
        &self,
        endpoints: Vec<String>,
        login: Option<(&str, &str)>,
        ca: Option<&str>,
        env: &str,
    ) -> Etcd {
        let settings = EtcdState {
            endpoints,
            login: login.map(|(name, password)| (name.to_owned(), SecretString::from(password.to_owned()))),
            ca_file: ca.map(|name| Utf8PathBuf::from_path_buf(self.folder.path().join(name)).unwrap()),
        };
        Etcd::new(&settings, site(env)).unwrap()
    }

    pub fn store(&self, env: &str) -> Etcd {
        self.store_at(self.endpoints(), None, None, env)
    }
}

#[async_trait]
impl Bench for Cluster {
    fn client(&self, env: &str) -> Box<dyn Store> {
        Box::new(self.store(env))
    }

    fn through(&self, relay: &Relay, env: &str) -> Box<dyn Store> {
        Box::new(self.store_at(vec![format!("http://127.0.0.1:{}", relay.port)], None, None, env))
    }

    async fn relay(&self) -> Relay {
        Relay::to(local(self.members[0].client)).await
    }

    async fn crash(&self) {
        self.kill(0).await;
        self.start(0).await;
    }

    async fn overwrite(&self, env: &str, epoch: u64, run: Option<&str>) {
        let lock = serde_json::json!({ "v": 1, "epoch": epoch, "run": run });
        self.etcdctl(&["put", &format!("/pointsman/shop/{env}/lock"), &lock.to_string()]);
    }

    async fn scribble(&self, env: &str, run: &str, seq: u64, line: &str) {
        self.etcdctl(&[
            "put",
            &format!("/pointsman/shop/{env}/journal/{run}/{seq:020}"),
            line,
        ]);
    }

    fn rounds(&self) -> u64 {
        40
    }
}
