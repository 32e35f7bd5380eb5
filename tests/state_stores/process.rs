//! Real servers as processes of the test: started, killed, and ended with it.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest that a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A folder of the test's own, readable for the user who runs the servers.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.give_away(folder.path());
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file of the servers' user, which only that user can read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self.give_away(&path);
        path
    }

    pub fn give_away(&self, path: &Path) {
        if let Some((uid, gid)) = other_user() {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
        }
    }
}

/// PostgreSQL refuses to run as root, so root runs the servers as Debian's `postgres`.
fn other_user() -> Option<(u32, u32)> {
    let id = |args: &[&str]| {
        let output = Command::new("id").args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?))
}

/// A command as the servers' user.
pub fn as_server(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = other_user() {
        command.uid(uid).gid(gid);
    }
    command.stdin(Stdio::null()).current_dir("/");
    command
}

/// Runs a command that must succeed.
pub fn must(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A server that runs; killed when dropped, its children with it.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn start(command: &mut Command, log: &Path) -> Process {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = command
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process {
            child,
            log: log.to_owned(),
        }
    }

    /// Asks until it answers.
    pub async fn until<F: Future<Output = bool>>(&mut self, mut ready: impl FnMut() -> F) {
        let since = Instant::now();
        while !ready().await {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && since.elapsed() < START,
                "the server did not start ({ended:?}): {}",
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGKILL, to it and to what it started, and waits until all are gone.
    pub fn kill(&mut self) {
        let children = children_of(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in &children {
            // It may have gone by itself.
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).output();
        }
        let since = Instant::now();
        while children.iter().any(|pid| is_alive(*pid)) {
            assert!(since.elapsed() < START, "{children:?} outlived SIGKILL");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z")
}

/// State and parent, from `/proc/PID/stat`; what comes before may hold anything, also `)`.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = text.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

/// A CA and certificates that it signed, made with openssl.
pub fn certificates(folder: &Folder, names: &[(&str, &str)]) {
    let openssl = |args: &[&str]| {
        must(Command::new("openssl").args(args).current_dir(folder.path()));
    };
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    for ca in ["ca", "other-ca"] {
        let (key, pem, subject) = (format!("{ca}.key"), format!("{ca}.pem"), format!("/CN={ca}"));
        let mut args = vec![
            "req", "-x509", "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &pem,
        ];
        args.extend(curve);
        openssl(&args);
    }
    for (name, alternative) in names {
        let (key, csr, pem) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.pem"),
        );
        let subject = format!("/CN={name}");
        let mut args = vec!["req", "-subj", &subject, "-keyout", &key, "-out", &csr];
        args.extend(curve);
        openssl(&args);
        folder.write(&format!("{name}.ext"), &format!("subjectAltName={alternative}\n"));
        openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &csr,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            &format!("{name}.ext"),
            "-out",
            &pem,
        ]);
        folder.give_away(&folder.path().join(&key));
        folder.give_away(&folder.path().join(&pem));
    }
}
