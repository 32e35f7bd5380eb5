//! A real PowerDNS of the test's own, with its records in SQLite.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use pointsman::switch::dns::Zone;
use pointsman::switch::dns::powerdns::Powerdns;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::bench::{Bench, TOKEN, ZONE, token};
use super::process::{Process, free_port, local, must};

/// Where Debian puts it.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

pub struct Server {
    folder: TempDir,
    api: u16,
    dns: u16,
    process: Option<Process>,
}

impl Server {
    pub async fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let script =
            "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())";
        must(
            Command::new("python3")
                .args(["-c", script])
                .arg(folder.path().join("zones"))
                .arg(SCHEMA),
        );
        let mut server = Server {
            folder,
            api: free_port(),
            dns: free_port(),
            process: None,
        };
        server.up().await;
        let zone =
            json!({ "name": format!("{ZONE}."), "kind": "Native", "nameservers": ["ns1.example.com."] });
        server.api(reqwest::Method::POST, "", &zone).await;
        server
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.api)
    }

    pub fn dns(&self) -> SocketAddr {
        local(self.dns)
    }

    pub async fn up(&mut self) {
        let folder = self.path().display();
        let settings = format!(
            "launch=gsqlite3\ngsqlite3-database={folder}/zones\nlocal-address=127.0.0.1\nlocal-port={}\n\
             socket-dir={folder}\nsetuid=\nsetgid=\ndaemon=no\nguardian=no\nsecurity-poll-suffix=\n\
             api=yes\napi-key={TOKEN}\nwebserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={}\n",
            self.dns, self.api
        );
        std::fs::write(self.path().join("pdns.conf"), settings).unwrap();
        let mut command = Command::new("pdns_server");
        command.arg(format!("--config-dir={folder}"));
        let mut process = Process::start(&mut command, &self.path().join("log"));
        let (api, dns) = (self.endpoint(), self.dns());
        process
            .until(async || {
                reqwest_get(&api).await && super::resolve::addresses(dns, "nothing.invalid").await.is_some()
            })
            .await;
        self.process = Some(process);
    }

    pub fn down(&mut self) {
        self.process = None;
    }

    /// A request as an administrator makes it, below `zones`.
    pub async fn api(&self, method: reqwest::Method, path: &str, body: &Json) {
        let url = format!("{}/api/v1/servers/localhost/zones{path}", self.endpoint());
        let request = client()
            .request(method, url)
            .header("X-API-Key", TOKEN)
            .json(body);
        let response = request.send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{}",
            response.text().await.unwrap()
        );
    }
}

impl Bench for Server {
    fn client(&self, endpoint: Option<&str>, key: &str, zone: &str) -> Box<dyn Zone> {
        let endpoint = endpoint.map_or_else(|| self.endpoint(), str::to_owned);
        Box::new(Powerdns::new(&token(&endpoint, key), zone).unwrap())
    }

    fn changes_type(&self) -> bool {
        true
    }
}

fn client() -> reqwest::Client {
    pointsman::http::builder(std::time::Duration::from_secs(10))
        .build()
        .unwrap()
}

async fn reqwest_get(url: &str) -> bool {
    client().get(url).send().await.is_ok()
}
