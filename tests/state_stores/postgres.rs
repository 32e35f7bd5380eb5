//! A real PostgreSQL server of the test's own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use camino::Utf8PathBuf;
use pointsman::inventory::state::{PostgresState, SslMode};
use pointsman::state::postgres::Postgres;
use pointsman::state::{Site, Store, StoreError};
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio_postgres::NoTls;

use super::bench::Bench;
use super::folder::{Folder, as_server, certificates};
use super::process::{Process, free_port, local, must};
use super::relay::Relay;

/// With what a URL must encode.
pub const PASSWORD: &str = "p@ss/w?rd%";
const PASSWORD_IN_URL: &str = "p%40ss%2Fw%3Frd%25";

pub struct Server {
    pub folder: Folder,
    pub port: u16,
    process: Mutex<Option<Process>>,
    starts: AtomicUsize,
    /// Settings on the command line that are left to the server's own files.
    without: Mutex<Vec<&'static str>>,
}

fn program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("Debian's postgresql is installed (tests/run.sh does)")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    versions.sort();
    versions.last().expect("a version").join("bin").join(name)
}

impl Server {
    /// A new database cluster, with the database `pointsman` of the user `ci`.
    pub async fn new() -> Server {
        let folder = Folder::new();
        let password = folder.write("password", PASSWORD);
        must(
            as_server(program("initdb"))
                .args([
                    "--no-sync",
                    "-E",
                    "UTF8",
                    "--locale=C",
                    "-U",
                    "admin",
                    "-A",
                    "scram-sha-256",
                ])
                .arg("--pwfile")
                .arg(&password)
                .arg("-D")
                .arg(folder.path().join("data")),
        );
        certificates(
            &folder,
            &[
                ("server", "DNS:localhost,IP:127.0.0.1"),
                ("stranger", "DNS:elsewhere.example.com"),
            ],
        );
        let server = Server {
            folder,
            port: free_port(),
            process: Mutex::new(None),
            starts: AtomicUsize::new(0),
            without: Mutex::default(),
        };
        server.start().await;
        server
            .admin_in("postgres", &format!("CREATE ROLE ci LOGIN PASSWORD '{PASSWORD}'"))
            .await;
        server
            .admin_in("postgres", "CREATE DATABASE pointsman OWNER ci")
            .await;
        server
    }

    async fn start(&self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let log = self
            .folder
            .path()
            .join(format!("log-{}", self.starts.fetch_add(1, Ordering::SeqCst)));
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.folder.path().display()),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", path("server.pem")),
            format!("ssl_key_file={}", path("server.key")),
            // What a careless administrator sets for speed, and the longest that it then loses.
            "synchronous_commit=off".to_owned(),
            "wal_writer_delay=10s".to_owned(),
        ];
        let mut command = as_server(program("postgres"));
        command
            .arg("-D")
            .arg(path("data"))
            .args(["-p", &self.port.to_string()]);
        let without = self.without.lock().await.clone();
        for setting in settings {
            if !without.iter().any(|name| setting.starts_with(name)) {
                command.arg("-c").arg(setting);
            }
        }
        let mut process = Process::start(&mut command, &log);
        process
            .until(async || self.connect("postgres").await.is_ok())
            .await;
        *self.process.lock().await = Some(process);
    }

    /// SIGKILL to all of it, and a new start on the same data.
    pub async fn kill_and_start(&self) {
        drop(self.process.lock().await.take());
        self.start().await;
    }

    /// A new start, with these settings as `ALTER SYSTEM` set them.
    pub async fn restart_without(&self, settings: &[&'static str]) {
        settings.clone_into(&mut *self.without.lock().await);
        self.kill_and_start().await;
    }

    pub async fn stop(&self) {
        drop(self.process.lock().await.take());
    }

    async fn connect(&self, database: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user("admin")
            .password(PASSWORD)
            .dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// As the administrator, one statement after the other, each by itself.
    pub async fn admin_in(&self, database: &str, statements: &str) {
        let client = self.connect(database).await.unwrap();
        for statement in statements.split(';').filter(|s| !s.trim().is_empty()) {
            client
                .batch_execute(statement)
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
    }

    /// In the store's own database.
    pub async fn admin(&self, statements: &str) {
        self.admin_in("pointsman", statements).await;
    }

    pub async fn count(&self, table: &str) -> i64 {
        let client = self.connect("pointsman").await.unwrap();
        let row = client
            .query_one(&format!("SELECT count(*) FROM {table}"), &[])
            .await;
        row.unwrap().get(0)
    }

    pub fn url(&self, host: &str, port: u16) -> String {
        format!("postgresql://ci:{PASSWORD_IN_URL}@{host}:{port}/pointsman")
    }

    pub fn store(&self, env: &str) -> Postgres {
        self.store_at(&self.url("127.0.0.1", self.port), SslMode::Disable, None, env)
            .unwrap()
    }

    pub fn store_at(
        &self,
        url: &str,
        ssl_mode: SslMode,
        ca: Option<&str>,
        env: &str,
    ) -> Result<Postgres, StoreError> {
        let settings = PostgresState {
            url: SecretString::from(url.to_owned()),
            ssl_mode,
            ca_file: ca.map(|name| Utf8PathBuf::from_path_buf(self.folder.path().join(name)).unwrap()),
        };
        Postgres::new(&settings, site(env))
    }
}

pub fn site(env: &str) -> Site {
    Site {
        app: "shop".to_owned(),
        env: env.to_owned(),
    }
}

fn quoted(text: Option<&str>) -> String {
    text.map_or("NULL".to_owned(), |text| {
        format!("'{}'", text.replace('\'', "''"))
    })
}

#[async_trait]
impl Bench for Server {
    fn client(&self, env: &str) -> Box<dyn Store> {
        Box::new(self.store(env))
    }

    fn through(&self, relay: &Relay, env: &str) -> Box<dyn Store> {
        let url = self.url("127.0.0.1", relay.port);
        Box::new(self.store_at(&url, SslMode::Disable, None, env).unwrap())
    }

    async fn relay(&self) -> Relay {
        Relay::to(local(self.port)).await
    }

    async fn crash(&self) {
        self.kill_and_start().await;
    }

    async fn overwrite(&self, env: &str, epoch: u64, run: Option<&str>) {
        let run = quoted(run);
        let client = self.connect("pointsman").await.unwrap();
        client
            .batch_execute(&format!(
                "INSERT INTO pointsman_lock (app, env, epoch, run, owner) VALUES ('shop', '{env}', {epoch}, {run}, '{{}}')
                 ON CONFLICT (app, env) DO UPDATE SET epoch = excluded.epoch, run = excluded.run"
            ))
            .await
            .unwrap();
    }

    async fn scribble(&self, env: &str, run: &str, seq: u64, line: &str) {
        let client = self.connect("pointsman").await.unwrap();
        let line = quoted(Some(line));
        client
            .batch_execute(&format!(
                "INSERT INTO pointsman_journal VALUES ('shop', '{env}', '{run}', {seq}, 1, {line})"
            ))
            .await
            .unwrap();
    }

    fn rounds(&self) -> u64 {
        40
    }
}
