//! How a server's TCP ports are reached: through tunnels, opened on first use and kept.

use std::collections::HashMap;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use crate::remote::{RemoteError, Session, Tunnel};

/// What can be read and written: a connection whatever carries it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection to a port.
pub type Connection = Box<dyn Stream>;

/// A server whose TCP ports can be connected to.
#[async_trait]
pub trait Reach: Send + Sync {
    /// The server's short name, for messages.
    fn name(&self) -> &str;

    /// Connects to `host:port` as the server sees it. As with `ssh -L`, a port that nobody listens on
    /// need not fail here: it may show as a connection that is closed at once.
    ///
    /// # Errors
    /// [`RemoteError::Connect`] when the server itself cannot be reached.
    async fn connect(&self, host: &str, port: u16) -> Result<Connection, RemoteError>;
}

/// A session's tunnels, one for each `host:port`, closed when this is dropped.
#[derive(Debug)]
pub struct Tunnels {
    session: Session,
    open: Mutex<HashMap<(String, u16), Tunnel>>,
}

impl Tunnels {
    /// Opens nothing yet.
    pub fn new(session: Session) -> Tunnels {
        Tunnels {
            session,
            open: Mutex::default(),
        }
    }
}

#[async_trait]
impl Reach for Tunnels {
    fn name(&self) -> &str {
        self.session.name()
    }

    async fn connect(&self, host: &str, port: u16) -> Result<Connection, RemoteError> {
        let key = (host.to_owned(), port);
        let mut open = self.open.lock().await;
        if let Some(tunnel) = open.get(&key) {
            match UnixStream::connect(&tunnel.path).await {
                Ok(stream) => return Ok(Box::new(stream)),
                // The connection that carried it has died; a new one may be had.
                Err(_) => drop(open.remove(&key)),
            }
        }
        let tunnel = self.session.tunnel(host, port).await?;
        let stream = UnixStream::connect(&tunnel.path)
            .await
            .map_err(|error| RemoteError::Connect {
                server: self.name().to_owned(),
                problem: format!("the tunnel to {host}:{port} broke as it was opened: {error}"),
                hint: "run the command again".to_owned(),
            })?;
        open.insert(key, tunnel);
        Ok(Box::new(stream))
    }
}
