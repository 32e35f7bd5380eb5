//! One TCP connection to a name server, with the two bytes of length before each message (RFC 1035, 4.2.2).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Longest that a connection may take, for each address of the server: a name server is near, or down. A lost SYN is sent
/// again after 1 s and after 3 s, so two may be lost.
pub(in crate::switch::dns) const CONNECT: Duration = Duration::from_secs(5);

/// The connection. Dropped, it is closed.
pub(in crate::switch::dns) struct Link {
    stream: TcpStream,
}

impl Link {
    /// Connects to `host:port`, to the first of its addresses that takes it.
    pub(in crate::switch::dns) async fn open(server: &str) -> Result<Link, String> {
        let addresses: Vec<SocketAddr> = match timeout(CONNECT, lookup_host(server)).await {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => return Err(format!("its address is not known: {error}")),
            Err(_) => {
                return Err(format!(
                    "its address was not found within {} s",
                    CONNECT.as_secs()
                ));
            }
        };
        let mut problem = "it has no address".to_owned();
        for address in addresses {
            match Link::to(address, CONNECT).await {
                Ok(link) => return Ok(link),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    /// Connects to one address.
    pub(in crate::switch::dns) async fn to(address: SocketAddr, deadline: Duration) -> Result<Link, String> {
        match timeout(deadline, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Delays a little without, and is no reason to fail.
                let _ = stream.set_nodelay(true);
                Ok(Link { stream })
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no connection within {} s", deadline.as_secs())),
        }
    }

    /// Sends messages. After an error the last of them did not leave this machine as a whole: no server acts on a part.
    pub(in crate::switch::dns) async fn send(&mut self, messages: &[&[u8]]) -> Result<(), String> {
        let mut bytes = Vec::new();
        for message in messages {
            let length = u16::try_from(message.len())
                .map_err(|_| format!("{} bytes are too many for one message", message.len()))?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(message);
        }
        self.stream
            .write_all(&bytes)
            .await
            .map_err(|error| error.to_string())
    }

    /// The next message that comes.
    pub(in crate::switch::dns) async fn receive(&mut self) -> Result<Vec<u8>, String> {
        let ended = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
            _ => error.to_string(),
        };
        let length = self.stream.read_u16().await.map_err(ended)?;
        let mut message = vec![0; usize::from(length)];
        self.stream.read_exact(&mut message).await.map_err(ended)?;
        Ok(message)
    }
}
