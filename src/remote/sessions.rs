//! One SSH master per server and run, opened on first use, closed when the run ends.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssh::{ControlPersist, KnownHosts, SessionBuilder};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::error::RemoteError;
use super::server::Server;
use super::session::Session;
use crate::inventory::Ssh;

/// A master that nobody uses ends by itself after this long, also when this process was killed.
const PERSIST: NonZeroUsize = NonZeroUsize::new(60).unwrap();
/// With [`ALIVE_COUNT_MAX`] a partition is found in about 5 s (MEASURED: 2 x 2 gives 5.4 s).
const ALIVE_INTERVAL: Duration = Duration::from_secs(2);
const ALIVE_COUNT_MAX: u32 = 2;
/// A connect is tried once more: a lost packet is no dead host, and a dead one is to be known soon (FAULTS.md 1).
const CONNECT_TRIES: u32 = 2;
/// A full sshd (MaxStartups) drops newcomers at random before it says its name: that passes (FAULTS.md 6).
const BUSY_TRIES: u32 = 6;
/// Pause after the first of them; doubles each time, with jitter, so that all our connects do not come back in step.
const BUSY_PAUSE: Duration = Duration::from_millis(250);

/// All sessions of one run: at most one master a server.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Shared>);

/// What the sessions of one run share.
#[derive(Debug)]
pub(super) struct Shared {
    ssh: Ssh,
    connects: Semaphore,
    open: Mutex<HashMap<Server, Session>>,
    /// Private folder (0700) of the control sockets, tunnels and the generated configuration. Its
    /// path is short, because a unix socket's may have 108 bytes at most.
    pub(super) dir: TempDir,
}

impl Sessions {
    /// Prepares to connect; nothing is opened yet.
    ///
    /// # Errors
    /// When no private folder can be made under the temporary directory.
    pub fn new(ssh: &Ssh) -> std::io::Result<Sessions> {
        let dir = tempfile::Builder::new()
            .prefix("pm")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()?;
        std::fs::write(dir.path().join("config"), ssh_config(ssh))?;
        Ok(Sessions(Arc::new(Shared {
            connects: Semaphore::new(ssh.max_connects.max(1)),
            ssh: ssh.clone(),
            open: Mutex::new(HashMap::new()),
            dir,
        })))
    }

    /// The session of this server; the connection is made on its first use.
    pub fn session(&self, server: &Server) -> Session {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.entry(server.clone())
            .or_insert_with(|| Session::new(server.clone(), Arc::downgrade(&self.0)))
            .clone()
    }

    /// The session of this server, connected.
    ///
    /// # Errors
    /// [`RemoteError::Connect`] with what SSH said.
    pub async fn connect(&self, server: &Server) -> Result<Session, RemoteError> {
        let session = self.session(server);
        session.link().await?;
        Ok(session)
    }
}

impl Shared {
    /// Opens a master, bounded in number and time.
    pub(super) async fn open(&self, server: &Server) -> Result<openssh::Session, RemoteError> {
        let _permit = self.connects.acquire().await;
        let mut done = 0;
        loop {
            let error = match self.open_once(server).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            done += 1;
            let busy = is_busy(&error);
            let tries = if busy { BUSY_TRIES } else { CONNECT_TRIES };
            if is_final(&error) || done >= tries {
                return Err(self.explain(server, &error).await);
            }
            if busy {
                let pause = BUSY_PAUSE * (1 << (done - 1));
                tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            }
        }
    }

    /// One try; the error is what `ssh` said.
    async fn open_once(&self, server: &Server) -> Result<openssh::Session, String> {
        let mut builder = SessionBuilder::default();
        builder
            .known_hosts_check(KnownHosts::Strict)
            .control_persist(ControlPersist::IdleFor(PERSIST))
            .connect_timeout(self.ssh.connect_timeout)
            .server_alive_interval(ALIVE_INTERVAL)
            .control_directory(self.dir.path())
            .config_file(self.dir.path().join("config"));
        if let Some(user) = server.user.as_ref().or(self.ssh.user.as_ref()) {
            builder.user(user.clone());
        }
        if let Some(port) = server.port.or(self.ssh.port) {
            builder.port(port);
        }
        if let Some(identity) = &self.ssh.identity {
            builder.keyfile(identity);
        }
        if let Some(known_hosts) = &self.ssh.known_hosts {
            builder.user_known_hosts_file(known_hosts);
        }
        if let Some(jump) = &self.ssh.jump {
            builder.jump_hosts([jump]);
        }
        // `ssh` bounds each of its stages by ConnectTimeout; this bounds the whole.
        let bound = self.ssh.connect_timeout * 2;
        match tokio::time::timeout(bound, builder.connect_mux(&server.address)).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(openssh::Error::Connect(error))) => Err(error.to_string()),
            Ok(Err(error)) => Err(with_sources(&error)),
            Err(_) => Err(format!("no session within {bound:?}")),
        }
    }

    /// What `ssh` said, with what to do about it.
    async fn explain(&self, server: &Server, said: &str) -> RemoteError {
        let address = &server.address;
        let port = server.port.or(self.ssh.port);
        let to = port.map_or_else(|| address.clone(), |port| format!("{address} port {port}"));
        let by_hand = [
            self.ssh.jump.as_ref().map(|jump| format!("-J {jump}")),
            port.map(|port| format!("-p {port}")),
        ];
        let by_hand = by_hand
            .into_iter()
            .flatten()
            .fold("ssh".to_owned(), |words, word| format!("{words} {word}"))
            + &format!(" {address} true");
        // Behind a jump host the last line is only that its pipe was closed.
        let first = said
            .lines()
            .rfind(|line| !line.trim().is_empty() && !line.contains("UNKNOWN port"))
            .unwrap_or("no answer")
            .trim();
        let to = match &self.ssh.jump {
            Some(jump) => format!("{to} through the jump host {jump}"),
            None => to,
        };
        let (problem, hint) = if is_host_key(said) {
            let keys = super::hostkey::fingerprints(server, &self.ssh).await;
            (
                format!("the host key of {to} is not the one that is known\n{keys}"),
                format!(
                    "if the server was reinstalled, check the fingerprint on its console, then \
                     `ssh-keygen -R {address}` and `ssh-keyscan {address} >> ~/.ssh/known_hosts`"
                ),
            )
        } else if said.contains("Permission denied") {
            (
                format!("{to} refused the login: {first}"),
                format!("try `{by_hand}`; check [ssh] user and identity, and that the agent holds the key"),
            )
        } else if said.contains("Could not resolve") {
            (
                format!("the name {address} is unknown: {first}"),
                "check the address in the inventory, or ~/.ssh/config".to_owned(),
            )
        } else if is_busy(said) {
            (
                format!(
                    "{to} accepts connections and closes them before it says its name, {BUSY_TRIES} times: {first}"
                ),
                "sshd there is full (MaxStartups), shuts down, or bans this address".to_owned(),
            )
        } else {
            (
                format!("cannot connect to {to}: {first}"),
                format!("try `{by_hand}`; is the server up and its SSH port open from here?"),
            )
        };
        RemoteError::Connect {
            server: server.name.clone(),
            problem,
            hint,
        }
    }
}

/// The configuration that every `ssh` of this run reads: ours first, then the user's, because the
/// first value of an option wins. What the library gives on the command line does not reach the `ssh`
/// that it starts for a jump host, so it stands here as well: that one must not prompt, learn keys, wait
/// for ever or use somebody else's master either.
fn ssh_config(ssh: &Ssh) -> String {
    let mut out = format!(
        "BatchMode yes\nStrictHostKeyChecking yes\nControlMaster no\nControlPath none\nConnectTimeout {}\n\
         ServerAliveInterval {}\nServerAliveCountMax {ALIVE_COUNT_MAX}\n",
        ssh.connect_timeout.as_secs().max(1),
        ALIVE_INTERVAL.as_secs(),
    );
    let files = [
        ("UserKnownHostsFile", &ssh.known_hosts),
        ("IdentityFile", &ssh.identity),
    ];
    for (option, file) in files {
        if let Some(file) = file {
            // A percent sign begins a token there.
            let _ = writeln!(out, "{option} \"{}\"", file.as_str().replace('%', "%%"));
        }
    }
    let user = match &ssh.config {
        Some(path) => Some(path.to_string()),
        None => std::env::var("HOME")
            .ok()
            .map(|home| format!("{home}/.ssh/config")),
    };
    if let Some(user) = user {
        let _ = writeln!(out, "Match all\nInclude \"{user}\"");
    }
    out.push_str("Match all\nInclude /etc/ssh/ssh_config\n");
    out
}

/// Whether trying again cannot help, and may lock an account.
fn is_final(said: &str) -> bool {
    is_host_key(said) || said.contains("Permission denied") || said.contains("Could not resolve")
}

/// Whether sshd hung up before the key exchange, as a full one does.
fn is_busy(said: &str) -> bool {
    said.contains("kex_exchange_identification") || said.contains("Exceeded MaxStartups")
}

fn is_host_key(said: &str) -> bool {
    said.contains("Host key verification failed") || said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED")
}

/// An error and its causes in one line.
pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(out, ": {inner}");
        cause = inner.source();
    }
    out
}
