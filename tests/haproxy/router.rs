//! A real HAProxy in master-worker mode, in a folder of its own, and what this router's shell does with our scripts.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pointsman::inventory::balancer::Haproxy as Settings;
use pointsman::switch::haproxy::Haproxy;
use tempfile::TempDir;

use super::shell::{self, free_port};

/// Longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub const BEFORE: &str =
    "# pools of this router\nother green:green:0\n\tshop   blue:blue:0\n  # the end\nlast blue:blue:0\n";

/// Both pools answer with their names; a backup, a server that is down and one without checks beside them.
pub const SMALL: &str = "\
global
    stats socket @DIR@/admin.sock mode 600 level admin expose-fd listeners
    stats socket @DIR@/user.sock mode 600 level user
    stats timeout 1h
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
frontend web
    bind 127.0.0.1:@PORT@
    option idle-close-on-response
    http-request set-var(txn.bg) str(shop),map(@DIR@/map/pools.map,blue:blue:0)
    http-request set-var(txn.pool) var(txn.bg),field(1,:)
    use_backend shop_%[var(txn.pool)]
backend shop_blue
    http-request return status 200 content-type text/plain string blue
    server web1 127.0.0.1:@PORT@ check inter 100ms fall 1 rise 1
    server spare 127.0.0.1:@PORT@ check backup
backend shop_green
    http-request return status 200 content-type text/plain string green
    server web2 127.0.0.1:1 check inter 100ms fall 1 rise 1
    server web3 127.0.0.1:@PORT@
";

/// A router; ends with this value.
pub struct Router {
    dir: TempDir,
    master: Child,
    pub port: u16,
}

impl Router {
    /// With the map [`BEFORE`].
    pub fn start() -> Router {
        Router::start_with(BEFORE)
    }

    pub fn start_with(map: &str) -> Router {
        Router::launch(map, |at, port| {
            SMALL.replace("@DIR@", at).replace("@PORT@", &port.to_string())
        })
    }

    /// With a configuration that is made for a folder and a port.
    pub fn launch(map: &str, config: impl FnOnce(&str, u16) -> String) -> Router {
        let dir = TempDir::new().expect("a folder");
        let port = free_port();
        fs::create_dir(dir.path().join("map")).expect("made");
        fs::write(dir.path().join("map/pools.map"), map).expect("written");
        let config = config(&dir.path().display().to_string(), port);
        fs::write(dir.path().join("haproxy.cfg"), config).expect("written");
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let master = Command::new("haproxy")
            .args(["-W", "-S"])
            .arg(dir.path().join("master.sock"))
            .arg("-f")
            .arg(dir.path().join("haproxy.cfg"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("haproxy is installed (tests/run.sh does it)");
        let router = Router { dir, master, port };
        router.wait("HAProxy to answer", || {
            router.workers().is_some_and(|w| w.0.len() == 1)
        });
        router
    }

    /// See [`shell::only`].
    pub fn only(&self, helper: &str) -> Option<PathBuf> {
        shell::only(self.dir.path(), helper)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The connector for this router.
    pub fn haproxy(&self) -> Haproxy {
        self.haproxy_by("admin.sock")
    }

    /// The connector, through another socket.
    pub fn haproxy_by(&self, socket: &str) -> Haproxy {
        self.haproxy_with(socket, "master.sock")
    }

    /// The connector, through other sockets.
    pub fn haproxy_with(&self, socket: &str, master: &str) -> Haproxy {
        let text = |name: &str| self.path(name).display().to_string();
        Haproxy::new(Settings {
            socket: text(socket),
            master_socket: Some(text(master)),
            map: text("map/pools.map"),
            key: "shop".into(),
            backend: "shop_{pool}".into(),
            min_up: None,
        })
    }

    pub fn map(&self) -> String {
        fs::read_to_string(self.path("map/pools.map")).expect("the map")
    }

    /// What HAProxy said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Files beside the map, and the state file that belongs there.
    pub fn left_behind(&self) -> usize {
        let names = fs::read_dir(self.path("map")).expect("the folder");
        let names = names.map(|entry| entry.expect("a name").file_name());
        names
            .filter(|name| name != "pools.map" && name != "shop_blue.state")
            .count()
    }

    /// One command to one of its sockets.
    pub fn ask(&self, socket: &str, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.path(socket)).ok()?;
        writeln!(stream, "{command}").ok()?;
        // The master ends its answer only then.
        stream.shutdown(Shutdown::Write).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Process ids of the current and of the old workers.
    pub fn workers(&self) -> Option<(Vec<String>, Vec<String>)> {
        let answer = self.ask("master.sock", "show proc")?;
        let (current, old) = answer.split_once("# old workers").unwrap_or((&answer, ""));
        let pids = |text: &str| {
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_once(' '))
                .filter(|(_, rest)| rest.trim_start().starts_with("worker"))
                .map(|(pid, _)| pid.to_owned())
                .collect::<Vec<_>>()
        };
        // The admin socket, too: it answers a little later than the master.
        self.ask("admin.sock", "show version")?;
        Some((pids(current), pids(old)))
    }

    /// Reloads, and waits until another worker has taken over.
    pub fn reload(&self) {
        let before = self.workers().expect("workers").0;
        self.signal("-USR2");
        self.wait("a new worker", || {
            self.workers()
                .is_some_and(|(current, _)| current.len() == 1 && current != before)
        });
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.master.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill");
        assert!(sent.success());
    }

    /// A connection with half a request on it: the worker that has it stays until it is answered.
    pub fn half_a_request(&self) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_nodelay(true).expect("set");
        write!(stream, "GET / HTTP/1.1\r\nHost: shop\r\n").expect("sent");
        stream
    }

    /// Which pool answers the rest of such a request.
    pub fn other_half(mut stream: TcpStream) -> String {
        write!(stream, "Connection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.rsplit("\r\n").next().unwrap_or_default().to_owned()
    }

    /// Which pool answers a whole request.
    pub fn get(&self) -> String {
        Router::other_half(self.half_a_request())
    }

    pub fn wait(&self, what: &str, mut until: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !until() {
            let log = || fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(Instant::now() < end, "waited in vain for {what}:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // The workers, even those that are stopped or have connections, end with what made them.
        let (current, old) = self.workers().unwrap_or_default();
        let _ = self.master.kill();
        let _ = self.master.wait();
        for pid in current.iter().chain(&old) {
            let _ = Command::new("kill")
                .args(["-KILL", pid])
                .stderr(Stdio::null())
                .status();
        }
    }
}
