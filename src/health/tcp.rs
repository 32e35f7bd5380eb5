//! Whether a TCP port accepts connections as a server sees it, through SSH.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

use crate::remote::Session;

/// A tunnel always opens; one to a port that refuses is closed at once. One that stays open, or says
/// something first, for this long is taken as accepted.
const SILENCE: Duration = Duration::from_millis(400);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until `host:port` accepts connections as the server sees it.
///
/// # Errors
/// Which address refused, and for how long, once the deadline has passed.
pub async fn wait_open(session: &Session, host: &str, port: u16, deadline: Duration) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        if accepts(session, host, port).await? {
            return Ok(());
        }
        if begun.elapsed() >= deadline {
            return Err(format!(
                "{host}:{port} refuses connections from {} for {:?}",
                session.name(),
                begun.elapsed()
            ));
        }
        // There is no way to be told when a port opens.
        tokio::time::sleep(PAUSE).await;
    }
}

async fn accepts(session: &Session, host: &str, port: u16) -> Result<bool, String> {
    let tunnel = session
        .tunnel(host, port)
        .await
        .map_err(|error| error.to_string())?;
    let mut stream = UnixStream::connect(&tunnel.path)
        .await
        .map_err(|error| error.to_string())?;
    let mut byte = [0; 1];
    match tokio::time::timeout(SILENCE, stream.read(&mut byte)).await {
        Err(_) => Ok(true),
        Ok(Ok(read)) => Ok(read > 0),
        Ok(Err(_)) => Ok(false),
    }
}
