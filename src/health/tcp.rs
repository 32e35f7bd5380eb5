//! Whether a TCP port accepts connections, as a server sees it.
//!
//! A tunnel always connects at home; what the far end does shows afterwards. A refused port closes
//! the tunnel at once, an open one stays. A port whose packets are dropped also stays, so a service
//! that can be made to say something is asked to.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::reach::{Connection, Reach};
use super::text::human;
use crate::remote::RemoteError;

pub use super::speaks::Speaks;

/// How long a connection is listened to before it counts as open: several round trips to a far
/// server, and short enough to be spent on every attempt.
const LISTEN: Duration = Duration::from_millis(300);

/// How long a service that speaks has to say its first byte; a busy database takes its time.
const FIRST_BYTE: Duration = Duration::from_secs(3);

/// First pause between two attempts; doubled until [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A database that starts is noticed within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// PostgreSQL's SSLRequest: answered by one byte, `S` or `N`, before anything is authenticated.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Why a port was not seen to accept connections.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WaitError {
    /// The deadline has passed.
    #[error("{server}: {address} {state} after {}, tried {}", human(*.waited), times(*.attempts))]
    Closed {
        /// The server that the connections were made from.
        server: String,
        /// `host:port`, as given.
        address: String,
        /// What the last attempt met.
        state: Closed,
        /// How long was waited.
        waited: Duration,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server itself could not be reached.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// What an attempt met that found no port to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// Nobody listens, or the name is unknown on the server.
    #[error("still refuses connections")]
    Refused,
    /// Connections are neither refused nor answered: a firewall drops them, or the service hangs.
    #[error("still does not answer")]
    Silent,
    /// Somebody answers, but not as the expected service does.
    #[error("is answered by something else than {0}")]
    Stranger(&'static str),
}

impl WaitError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            WaitError::Remote(RemoteError::Connect { hint, .. }) => hint.clone(),
            WaitError::Remote(_) => "run the command again".to_owned(),
            WaitError::Closed {
                server,
                address,
                state,
                ..
            } => match state {
                Closed::Refused => {
                    format!("start it, or correct its address; its name must be known on {server} itself")
                }
                Closed::Silent => {
                    format!("look for a firewall between {server} and {address}, or a service that hangs")
                }
                Closed::Stranger(_) => "correct host and port: another service listens there".to_owned(),
            },
        }
    }
}

/// Waits until `host:port`, as the server sees it, accepts connections; returns how long that took.
///
/// # Errors
/// [`WaitError::Closed`] once `deadline` has passed; [`WaitError::Remote`] at once when the server itself
/// cannot be reached.
pub async fn wait_open(
    reach: &dyn Reach,
    host: &str,
    port: u16,
    speaks: Speaks,
    deadline: Duration,
) -> Result<Duration, WaitError> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let left = deadline.saturating_sub(began.elapsed()).max(LISTEN);
        let answer = ask(reach, host, port, speaks, left).await?;
        let waited = began.elapsed();
        let Err(state) = answer else { return Ok(waited) };
        if waited + pause > deadline {
            let (server, address) = (reach.name().to_owned(), format!("{host}:{port}"));
            return Err(WaitError::Closed {
                server,
                address,
                state,
                waited,
                attempts,
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn times(count: u32) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}

/// Whether anybody takes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Open,
    Refused,
}

/// Looks once, saying nothing.
pub(crate) async fn look(reach: &dyn Reach, host: &str, port: u16) -> Result<Port, RemoteError> {
    let answer = ask(reach, host, port, Speaks::Anything, LISTEN).await?;
    Ok(if answer == Err(Closed::Refused) {
        Port::Refused
    } else {
        Port::Open
    })
}

async fn ask(
    reach: &dyn Reach,
    host: &str,
    port: u16,
    speaks: Speaks,
    left: Duration,
) -> Result<Result<(), Closed>, RemoteError> {
    let connection = reach.connect(host, port).await?;
    let (patience, silence) = match speaks {
        Speaks::Postgres | Speaks::Mysql => (FIRST_BYTE.min(left), Err(Closed::Silent)),
        Speaks::Anything => (LISTEN, Ok(())),
    };
    Ok(
        match tokio::time::timeout(patience, hear(connection, speaks)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Closed::Refused),
            Err(_) => silence,
        },
    )
}

/// What the other end says first. An error is the connection's end.
async fn hear(mut connection: Connection, speaks: Speaks) -> std::io::Result<Result<(), Closed>> {
    let known = match speaks {
        Speaks::Postgres => {
            connection.write_all(&SSL_REQUEST).await?;
            // Yes, no, or an error of a server too old to know.
            matches!(connection.read_u8().await?, b'S' | b'N' | b'E')
        }
        Speaks::Mysql => {
            let mut greeting = [0; 5];
            connection.read_exact(&mut greeting).await?;
            // After length and number of the packet: protocol 10, or an error such as "blocked".
            matches!(greeting[4], 0x0a | 0xff)
        }
        Speaks::Anything => connection.read_u8().await.map(|_| true)?,
    };
    Ok(if known {
        Ok(())
    } else {
        Err(Closed::Stranger(speaks.name()))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::health::testing::{Ports, Say, Server};

    const SOON: Duration = Duration::from_millis(500);

    #[tokio::test]
    async fn a_port_that_opens_late_is_waited_for() {
        let server = Server::reserved().await;
        let (reach, port) = (Ports, server.port());
        let opened = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            server.listen_silently().await
        };
        let wait = wait_open(
            &reach,
            "127.0.0.1",
            port,
            Speaks::Anything,
            Duration::from_secs(5),
        );
        let (waited, _server) = tokio::join!(wait, opened);
        let waited = waited.expect("it opened");
        assert!(
            waited >= Duration::from_millis(400) && waited < Duration::from_secs(3),
            "{waited:?}"
        );
    }

    #[tokio::test]
    async fn a_closed_port_is_named_with_the_server_that_cannot_reach_it() {
        let server = Server::reserved().await;
        let error = closed(server.port(), Speaks::Postgres).await;
        let text = error.to_string();
        assert!(
            text.starts_with(&format!(
                "web1: 127.0.0.1:{} still refuses connections after ",
                server.port()
            )),
            "{text}"
        );
        assert!(!text.ends_with("once"), "{text}");
        assert!(error.hint().ends_with("known on web1 itself"), "{}", error.hint());
    }

    async fn closed(port: u16, speaks: Speaks) -> WaitError {
        wait_open(&Ports, "127.0.0.1", port, speaks, SOON)
            .await
            .unwrap_err()
    }

    #[tokio::test]
    async fn a_database_must_answer_as_one() {
        let database = Server::postgres().await;
        wait_open(&Ports, "127.0.0.1", database.port(), Speaks::Postgres, SOON)
            .await
            .unwrap();
        let began = Instant::now();
        let silent = Server::reserved().await.listen_silently().await;
        let error = closed(silent.port(), Speaks::Mysql).await;
        assert!(
            matches!(
                error,
                WaitError::Closed {
                    state: Closed::Silent,
                    attempts: 1,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(
            began.elapsed() < FIRST_BYTE,
            "the deadline goes before the patience"
        );
        wait_open(&Ports, "127.0.0.1", silent.port(), Speaks::Anything, SOON)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn another_service_is_no_database() {
        let web = Server::http(|_: &str| Say::HangUp).await;
        // A web server waits for the end of the headers, and so stays silent.
        let error = closed(web.port(), Speaks::Postgres).await;
        assert!(
            matches!(
                error,
                WaitError::Closed {
                    state: Closed::Silent,
                    ..
                }
            ),
            "{error:?}"
        );
        for (greeting, speaks, good) in [
            (&b"SSH-2.0-OpenSSH"[..], Speaks::Mysql, false),
            (b"\x4a\0\0\0\x0a8.0.36\0", Speaks::Mysql, true),
            (b"\x47\0\0\0\xff\x6a\x04Host", Speaks::Mysql, true),
            (b"HTTP/1.1 400 Bad Request", Speaks::Postgres, false),
            (b"S", Speaks::Postgres, true),
        ] {
            let server = Server::greeting(greeting).await;
            let result = wait_open(&Ports, "127.0.0.1", server.port(), speaks, SOON).await;
            match result {
                Ok(_) => assert!(good, "{speaks:?} {greeting:?}"),
                Err(WaitError::Closed {
                    state: Closed::Stranger(_),
                    ..
                }) => assert!(!good, "{greeting:?}"),
                Err(other) => panic!("{speaks:?} {greeting:?}: {other}"),
            }
        }
    }
}
