//! A connection to one server: scripts and tunnels over it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use openssh::{ForwardType, Socket, Stdio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Mutex, Semaphore};

use super::error::RemoteError;
use super::link::Link;
use super::output::Output;
use super::script::Script;
use super::server::Server;
use super::sessions::{Shared, with_sources};

/// sshd's MaxSessions is 10 by default; two stay free for people who look.
const MAX_CHANNELS: usize = 8;

/// A master on this machine answers at once; one that does not is wedged.
const CHECK: Duration = Duration::from_secs(5);

/// How long a server that opens no more sessions is waited for: a person's, or one of ours, ends meanwhile.
const FULL: Duration = Duration::from_secs(8);
/// Pause after the first refusal; doubles each time.
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// The connection to one server: cheap to clone, connected on first use, and again after it broke.
#[derive(Debug, Clone)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: Server,
    shared: Weak<Shared>,
    link: Mutex<Option<Link>>,
    channels: Arc<Semaphore>,
    tunnels: AtomicU64,
}

/// An open channel with `sh -s` at its other end.
pub(super) struct Channel {
    pub(super) child: openssh::Child<Link>,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Session {
    pub(super) fn new(server: Server, shared: Weak<Shared>) -> Session {
        Session(Arc::new(Inner {
            server,
            shared,
            link: Mutex::new(None),
            channels: Arc::new(Semaphore::new(MAX_CHANNELS)),
            tunnels: AtomicU64::new(0),
        }))
    }

    /// The server's short name.
    pub fn name(&self) -> &str {
        &self.0.server.name
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.0.server
    }

    /// Runs a script that changes nothing.
    ///
    /// # Errors
    /// [`RemoteError::Connect`] when the server cannot be reached, [`RemoteError::InDoubt`] when
    /// the script's end is not known within `deadline`.
    pub async fn read(&self, script: &Script, deadline: Duration) -> Result<Output, RemoteError> {
        self.run(&script.render()?, "a look at its state", deadline).await
    }

    /// Opens a tunnel to `host:port` as the server reaches it. A port that nobody listens on shows
    /// only when the tunnel is used: the connection is closed at once.
    ///
    /// # Errors
    /// [`RemoteError::Connect`] when the server cannot be reached or forbids forwarding.
    pub async fn tunnel(&self, host: &str, port: u16) -> Result<Tunnel, RemoteError> {
        let link = self.live_link().await?;
        let shared = self.shared()?;
        let number = self.0.tunnels.fetch_add(1, Ordering::Relaxed);
        let path = shared
            .dir
            .path()
            .join(format!("t{}-{number}", Arc::as_ptr(&self.0) as usize));
        let to = Socket::TcpSocket {
            host: host.to_owned().into(),
            port,
        };
        let socket = Socket::UnixSocket {
            path: path.clone().into(),
        };
        let asked = link.request_port_forward(ForwardType::Local, socket, to);
        let problem = match tokio::time::timeout(CHECK, asked).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(with_sources(&error)),
            Err(_) => Some(format!("no answer within {CHECK:?}")),
        };
        problem.map_or(Ok(()), |problem| {
            Err(RemoteError::Connect {
                server: self.name().to_owned(),
                problem: format!("no tunnel to {host}:{port}: {problem}"),
                hint: "the server's sshd must allow TCP forwarding (AllowTcpForwarding)".to_owned(),
            })
        })?;
        Ok(Tunnel {
            path,
            host: host.to_owned(),
            port,
            link,
        })
    }

    /// The open master; opened now if there is none.
    pub(super) async fn link(&self) -> Result<Link, RemoteError> {
        let mut link = self.0.link.lock().await;
        if let Some(open) = &*link {
            return Ok(open.clone());
        }
        let open = Link::new(self.shared()?.open(&self.0.server).await?);
        *link = Some(open.clone());
        Ok(open)
    }

    /// The open master, known to be alive: one that was idle for long has ended by itself, and a
    /// broken one is found here, before anything is sent.
    pub(super) async fn live_link(&self) -> Result<Link, RemoteError> {
        let link = self.link().await?;
        // A master that is stopped accepts and never answers (FAULTS.md 4).
        if let Ok(Ok(())) = tokio::time::timeout(CHECK, link.check()).await {
            return Ok(link);
        }
        self.forget(&link).await;
        self.link().await
    }

    /// Forgets a master that turned out to be broken, so that the next use opens another.
    pub(super) async fn forget(&self, broken: &Link) {
        let mut link = self.0.link.lock().await;
        if link.as_ref().is_some_and(|open| open.is(broken)) {
            *link = None;
        }
    }

    /// Forgets the master, whichever it is, so that the next use opens another.
    pub(super) async fn forget_any(&self) {
        *self.0.link.lock().await = None;
    }

    fn shared(&self) -> Result<Arc<Shared>, RemoteError> {
        self.0.shared.upgrade().ok_or_else(|| RemoteError::Connect {
            server: self.name().to_owned(),
            problem: "the run has ended and closed its connections".to_owned(),
            hint: "this is a mistake in pointsman: please report it".to_owned(),
        })
    }

    /// Runs `text` in a POSIX shell and waits for its end.
    pub(super) async fn run(
        &self,
        text: &str,
        what: &str,
        deadline: Duration,
    ) -> Result<Output, RemoteError> {
        let link = self.live_link().await?;
        let in_doubt = || RemoteError::InDoubt {
            server: self.name().to_owned(),
            what: what.to_owned(),
            deadline,
        };
        let talk = async {
            let mut channel = self.channel(&link).await?;
            let mut stdin = channel.child.stdin().take();
            let mut stdout = channel.child.stdout().take();
            let mut stderr = channel.child.stderr().take();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            // All three at once: a script longer than the pipe must not wait for output unread.
            let send = async {
                if let Some(stdin) = &mut stdin {
                    // A shell that ended early closes its end; how it ended is read below.
                    let _ = stdin.write_all(text.as_bytes()).await;
                    let _ = stdin.shutdown().await;
                }
                drop(stdin.take());
            };
            let read_out = async {
                match &mut stdout {
                    Some(stdout) => stdout.read_to_end(&mut out).await.map(drop),
                    None => Ok(()),
                }
            };
            let read_err = async {
                match &mut stderr {
                    Some(stderr) => stderr.read_to_end(&mut err).await.map(drop),
                    None => Ok(()),
                }
            };
            let ((), read_out, read_err) = futures::future::join3(send, read_out, read_err).await;
            if read_out.is_err() || read_err.is_err() {
                return Err(in_doubt());
            }
            let code = match channel.child.wait().await {
                Ok(status) => status.code().unwrap_or(-1),
                // The library reports exit code 127 as an error of its own.
                Err(openssh::Error::Remote(_)) => 127,
                Err(_) => return Err(in_doubt()),
            };
            Ok(Output {
                code,
                stdout: String::from_utf8_lossy(&out).into_owned(),
                stderr: String::from_utf8_lossy(&err).into_owned(),
            })
        };
        let result = match tokio::time::timeout(deadline, talk).await {
            Ok(result) => result,
            Err(_) => Err(in_doubt()),
        };
        if result.as_ref().is_err_and(RemoteError::is_in_doubt) {
            self.forget(&link).await;
        }
        result
    }

    /// A channel with `sh -s` on it. Nothing has been sent when this fails.
    pub(super) async fn channel(&self, link: &Link) -> Result<Channel, RemoteError> {
        let refused = |problem: String| RemoteError::Connect {
            server: self.name().to_owned(),
            problem,
            hint: "run the command again".to_owned(),
        };
        let permit = self
            .0
            .channels
            .clone()
            .acquire_owned()
            .await
            .map_err(|error| refused(error.to_string()))?;
        let since = tokio::time::Instant::now();
        let mut pause = FULL_PAUSE;
        loop {
            let spawned = openssh::Session::to_raw_command(link.clone(), "exec sh -s")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .await;
            let said = match spawned {
                Ok(child) => {
                    return Ok(Channel {
                        child,
                        _permit: permit,
                    });
                }
                Err(error) => with_sources(&error),
            };
            // sshd's own words when MaxSessions are open: the connection is well, and so is what runs on it.
            if !said.contains("open refused by peer") {
                self.forget(link).await;
                return Err(refused(format!(
                    "the connection broke before anything was sent: {said}"
                )));
            }
            if since.elapsed() >= FULL {
                return Err(RemoteError::Connect {
                    server: self.name().to_owned(),
                    problem: format!("sshd there opens no more sessions: refused for {FULL:?} ({said})"),
                    hint: "raise MaxSessions in its sshd_config (10 is usual), or end what is open"
                        .to_owned(),
                });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

/// A local unix socket that leads to a TCP port as a server sees it; closed on drop.
#[derive(Debug)]
pub struct Tunnel {
    /// For `reqwest::ClientBuilder::unix_socket` or `UnixStream::connect`.
    pub path: PathBuf,
    host: String,
    port: u16,
    link: Link,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (path, host, port, link) = (
            std::mem::take(&mut self.path),
            std::mem::take(&mut self.host),
            self.port,
            self.link.clone(),
        );
        runtime.spawn(async move {
            let to = Socket::TcpSocket {
                host: host.into(),
                port,
            };
            // A master that is gone has closed it already.
            let _ = link
                .close_port_forward(
                    ForwardType::Local,
                    Socket::UnixSocket {
                        path: path.clone().into(),
                    },
                    to,
                )
                .await;
            let _ = std::fs::remove_file(&path);
        });
    }
}
