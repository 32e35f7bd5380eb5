//! BIND, Knot and PowerDNS, each with one zone that two keys may change.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::Utf8PathBuf;
use pointsman::inventory::Inventory;
use pointsman::inventory::provider::{Hmac, Rfc2136 as Settings};
use pointsman::switch::dns::ask;
use pointsman::switch::dns::rfc2136::Rfc2136;
use secrecy::SecretString;
use tempfile::TempDir;

use super::process::{Process, free_port, local, must};

/// The zone.
pub const ZONE: &str = "z.example";
/// A key that may change it.
pub const WRITER: &str = "writer.z.example";
/// Another one, with hmac-sha512.
pub const WRITER_512: &str = "writer512.z.example";
/// A key that the server knows, and that may change nothing.
pub const READER: &str = "reader.z.example";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Bind,
    Knot,
    PowerDns,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::Bind => "BIND",
            Program::Knot => "Knot",
            Program::PowerDns => "PowerDNS",
        }
    }
}

/// The secret of a key, in base64: another one in each process, so that nobody finds it where another test put its own.
pub fn secret_of(key: &str) -> String {
    static RANDOM: OnceLock<u128> = OnceLock::new();
    let random = RANDOM.get_or_init(rand::random);
    STANDARD.encode(format!(
        "the secret of {key}, {random:032x}, which is long enough"
    ))
}

pub fn hmac_of(key: &str) -> (Hmac, &'static str) {
    if key == WRITER_512 {
        (Hmac::HmacSha512, "hmac-sha512")
    } else {
        (Hmac::HmacSha256, "hmac-sha256")
    }
}

/// One server.
pub struct Server {
    pub program: Program,
    pub port: u16,
    pub folder: TempDir,
    process: Option<Process>,
}

impl Server {
    /// Starts one, and waits until it serves the zone.
    pub async fn start(program: Program) -> Server {
        let mut server = Server {
            program,
            port: free_port(),
            folder: tempfile::tempdir().unwrap(),
            process: None,
        };
        match program {
            Program::Bind => server.configure_bind(),
            Program::Knot => server.configure_knot(),
            Program::PowerDns => server.configure_powerdns(),
        }
        server.run().await;
        server
    }

    /// Starts it again.
    pub async fn run(&mut self) {
        let mut command = match self.program {
            Program::Bind => named(&self.path("named.conf")),
            Program::Knot => {
                let mut command = Command::new("/usr/sbin/knotd");
                command.arg("-c").arg(self.path("knot.conf"));
                command
            }
            Program::PowerDns => {
                let mut command = Command::new("/usr/sbin/pdns_server");
                command.arg(format!("--config-dir={}", self.folder.path().display()));
                command
            }
        };
        let mut process = Process::start(&mut command, &self.path("log"));
        let at = local(self.port);
        process
            .until(async || ask::serial(at, ZONE, Duration::from_secs(1)).await.is_ok())
            .await;
        self.process = Some(process);
    }

    /// It reads its configuration and its zones again, as after an administrator's change.
    pub fn reload(&self) {
        match self.program {
            Program::Bind | Program::Knot => self.process.as_ref().unwrap().signal("HUP"),
            Program::PowerDns => {
                for word in ["reload", "rediscover", "purge"] {
                    let mut command = Command::new("pdns_control");
                    command.arg(format!("--config-dir={}", self.folder.path().display()));
                    must(command.arg(word));
                }
            }
        }
    }

    /// It does nothing more until it is killed.
    pub fn freeze(&self) {
        self.process.as_ref().unwrap().signal("STOP");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The zone through the first key.
    pub fn zone(&self) -> Rfc2136 {
        self.zone_with(WRITER)
    }

    pub fn zone_with(&self, key: &str) -> Rfc2136 {
        self.zone_at(self.port, ZONE, key, &secret_of(key), hmac_of(key).0)
    }

    pub fn zone_at(&self, port: u16, zone: &str, key: &str, secret: &str, algorithm: Hmac) -> Rfc2136 {
        let settings = Settings {
            server: Some(format!("127.0.0.1:{port}")),
            key: Some(key.to_owned()),
            algorithm,
            secret: Some(SecretString::from(secret.to_owned())),
        };
        Rfc2136::new(&settings, zone).unwrap()
    }

    /// An environment whose name is in this zone, changed through `key`. `dns`: lines of `[switch.dns]`.
    pub fn inventory(&self, folder: &Path, key: &str, dns: &str) -> Inventory {
        std::fs::write(folder.join("compose.yml"), "services:\n  web: {image: a}\n").unwrap();
        let text = format!(
            "[app]\nname = \"shop\"\npath = \"/srv/shop\"\ncompose = \"compose.yml\"\nidentity = {{ path = \"/version\" }}\n\
             [pools.blue]\nhosts = [\"127.0.0.1\"]\n[pools.green]\nhosts = [\"127.0.0.2\"]\n\
             [[checks]]\nname = \"web\"\nport = 80\npath = \"/up\"\n[switch]\nconnector = \"rfc2136\"\n\
             url = \"http://shop.z.example:1\"\n[switch.dns]\nzone = \"{ZONE}\"\nttl = \"5s\"\n\
             nameservers = [\"127.0.0.1:{port}\"]\n{dns}\
             [switch.rfc2136]\nserver = \"127.0.0.1:{port}\"\nkey = \"{key}\"\nsecret = \"{}\"\n",
            secret_of(key),
            port = self.port
        );
        let file = folder.join("production.toml");
        std::fs::write(&file, &text).unwrap();
        let file = Utf8PathBuf::try_from(file).unwrap();
        Inventory::load(&file, &|_| None).unwrap_or_else(|errors| panic!("{}", errors.render(false)))
    }

    fn configure_bind(&self) {
        self.write("z.zone", &zone_file());
        let dir = self.folder.path().display();
        let keys: String = [WRITER, WRITER_512, READER].map(bind_key).concat();
        // Under `update-policy`, as the guide has it, not `allow-update`: a key for some names only.
        let config = format!(
            r#"options {{
  directory "{dir}"; pid-file "{dir}/pid"; session-keyfile "{dir}/session.key"; lock-file none;
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; allow-transfer {{ any; }};
}};
controls {{ }};
{keys}
zone "{ZONE}" {{
  type primary; file "{dir}/z.zone";
  update-policy {{ grant {WRITER} zonesub ANY; grant {WRITER_512} zonesub ANY; }};
}};
"#,
            port = self.port
        );
        self.write("named.conf", &config);
    }

    fn configure_knot(&self) {
        self.write("z.zone", &zone_file());
        let dir = self.folder.path().display();
        let keys: String = [WRITER, WRITER_512, READER]
            .map(|key| {
                format!(
                    "  - id: {key}\n    algorithm: {}\n    secret: {}\n",
                    hmac_of(key).1,
                    secret_of(key)
                )
            })
            .concat();
        let config = format!(
            "server:\n  rundir: {dir}\n  listen: 127.0.0.1@{port}\n\
             database:\n  storage: {dir}\n\
             log:\n  - target: stderr\n    any: info\n\
             key:\n{keys}\
             acl:\n  - id: update\n    key: [{WRITER}, {WRITER_512}]\n    action: update\n\
             template:\n  - id: default\n    storage: {dir}\n\
             zone:\n  - domain: {ZONE}\n    file: z.zone\n    acl: update\n",
            port = self.port
        );
        self.write("knot.conf", &config);
    }

    /// PowerDNS with these further lines of configuration.
    pub async fn powerdns_with(extra: &str) -> Server {
        let mut server = Server::start(Program::PowerDns).await;
        server.kill();
        let config = server.powerdns_config(&server.path("zones.sqlite"));
        server.write("pdns.conf", &(config + extra));
        server.run().await;
        server
    }

    /// Two of them over one database.
    pub async fn two_powerdns(extra: &str) -> (Server, Server) {
        let first = Server::powerdns_with(extra).await;
        let mut second = Server {
            program: first.program,
            port: free_port(),
            folder: tempfile::tempdir().unwrap(),
            process: None,
        };
        second.write(
            "pdns.conf",
            &(second.powerdns_config(&first.path("zones.sqlite")) + extra),
        );
        second.run().await;
        (first, second)
    }

    fn powerdns_config(&self, database: &Path) -> String {
        format!(
            "launch=gsqlite3\ngsqlite3-database={database}\ngsqlite3-dnssec=yes\n\
             dnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\n\
             local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={dir}\n\
             daemon=no\nguardian=no\nwrite-pid=no\nsecurity-poll-suffix=\n",
            database = database.display(),
            dir = self.folder.path().display(),
            port = self.port
        )
    }

    fn configure_powerdns(&self) {
        self.write("pdns.conf", &self.powerdns_config(&self.path("zones.sqlite")));
        self.write("z.zone", &zone_file());
        let schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";
        must(
            Command::new("sqlite3")
                .arg(self.path("zones.sqlite"))
                .arg(format!(".read {schema}")),
        );
        self.pdnsutil(&["load-zone", ZONE, &self.path("z.zone").display().to_string()]);
        for key in [WRITER, WRITER_512, READER] {
            self.pdnsutil(&["import-tsig-key", key, hmac_of(key).1, &secret_of(key)]);
        }
        self.pdnsutil(&["set-meta", ZONE, "TSIG-ALLOW-DNSUPDATE", WRITER, WRITER_512]);
    }

    fn pdnsutil(&self, args: &[&str]) {
        let mut command = Command::new("pdnsutil");
        command.arg(format!("--config-dir={}", self.folder.path().display()));
        must(command.args(args));
    }
}

/// BIND in the foreground, on one thread.
pub fn named(config: &Path) -> Command {
    let mut command = Command::new("/usr/sbin/named");
    command.args(["-g", "-n", "1", "-c"]).arg(config);
    command
}

pub fn bind_key(key: &str) -> String {
    format!(
        "key \"{key}\" {{ algorithm {}; secret \"{}\"; }};\n",
        hmac_of(key).1,
        secret_of(key)
    )
}

/// What the zone has to begin with.
pub fn zone_file() -> String {
    format!(
        "$ORIGIN {ZONE}.\n$TTL 300\n\
         @ SOA ns1 hostmaster 1 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\n\
         blue A 192.0.2.1\ngreen A 192.0.2.2\nmx MX 10 blue\nptr PTR blue\n\
         loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m\n*.wild A 192.0.2.7\n\
         cut TXT \"one \" \"record \" \"in three\"\n"
    )
}
