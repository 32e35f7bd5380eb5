//! Whether a TCP port accepts connections, as a server sees it.
//!
//! A tunnel always connects at home; what the far end does shows afterwards. A refused port closes
//! the tunnel at once, an open one stays. A port whose packets are dropped also stays, so a service
//! that can be made to say something is asked to.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::reach::Reach;
use super::text::human;
use crate::remote::RemoteError;

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

/// What is expected behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// Answers an SSLRequest.
    Postgres,
    /// Greets first.
    Mysql,
    /// Unknown: a connection that stays open is proof enough.
    Anything,
}

impl Speaks {
    /// By the scheme of a database URL: `postgres`, `postgresql`, `postgis`, `mysql`, `mysql2`,
    /// `mariadb`, `trilogy`.
    pub fn of_scheme(scheme: &str) -> Speaks {
        match scheme {
            "postgres" | "postgresql" | "postgis" => Speaks::Postgres,
            "mysql" | "mysql2" | "mariadb" | "trilogy" => Speaks::Mysql,
            _ => Speaks::Anything,
        }
    }

    /// Its port when a URL says none.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Speaks::Postgres => Some(5432),
            Speaks::Mysql => Some(3306),
            Speaks::Anything => None,
        }
    }
}

/// Why a port was not seen to accept connections.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WaitError {
    /// Nobody listens.
    #[error(
        "{server}: {address} still refuses connections after {} ({attempts} attempts)\n\
         hint: start it, or correct its address; the name must be known on {server} itself",
        human(*.waited)
    )]
    Refused {
        /// The server that the connections were made from.
        server: String,
        /// `host:port`, as given.
        address: String,
        /// How long was waited.
        waited: Duration,
        /// How often it was tried.
        attempts: u32,
    },
    /// Connections are neither refused nor answered: a firewall drops them, or the service hangs.
    #[error(
        "{server}: {address} takes no connection and refuses none after {} ({attempts} attempts)\n\
         hint: look for a firewall between {server} and {address}, or a service that hangs",
        human(*.waited)
    )]
    Silent {
        /// The server that the connections were made from.
        server: String,
        /// `host:port`, as given.
        address: String,
        /// How long was waited.
        waited: Duration,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server itself could not be reached.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// Waits until `host:port`, as the server sees it, accepts connections; returns how long that took.
///
/// # Errors
/// [`WaitError::Refused`] or [`WaitError::Silent`] once `deadline` has passed, by the last attempt;
/// [`WaitError::Remote`] at once when the server itself cannot be reached.
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
        let state = ask(reach, host, port, speaks).await?;
        let waited = began.elapsed();
        if state == Answer::Open {
            return Ok(waited);
        }
        if waited + pause > deadline {
            let (server, address) = (reach.name().to_owned(), format!("{host}:{port}"));
            return Err(match state {
                Answer::Silent => WaitError::Silent {
                    server,
                    address,
                    waited,
                    attempts,
                },
                _ => WaitError::Refused {
                    server,
                    address,
                    waited,
                    attempts,
                },
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
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
    Ok(match ask(reach, host, port, Speaks::Anything).await? {
        Answer::Refused => Port::Refused,
        Answer::Open | Answer::Silent => Port::Open,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Open,
    Refused,
    Silent,
}

async fn ask(reach: &dyn Reach, host: &str, port: u16, speaks: Speaks) -> Result<Answer, RemoteError> {
    let mut connection = reach.connect(host, port).await?;
    if speaks == Speaks::Postgres && connection.write_all(&SSL_REQUEST).await.is_err() {
        return Ok(Answer::Refused);
    }
    let (patience, silence) = match speaks {
        Speaks::Postgres | Speaks::Mysql => (FIRST_BYTE, Answer::Silent),
        Speaks::Anything => (LISTEN, Answer::Open),
    };
    Ok(match tokio::time::timeout(patience, connection.read_u8()).await {
        Ok(Ok(_)) => Answer::Open,
        Ok(Err(_)) => Answer::Refused,
        Err(_) => silence,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::health::testing::{Ports, Server};

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
        let error = wait_open(&Ports, "127.0.0.1", server.port(), Speaks::Postgres, SOON)
            .await
            .unwrap_err();
        assert!(
            matches!(error, WaitError::Refused { attempts: 2.., .. }),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("web1: 127.0.0.1:{} still refuses", server.port())),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_database_must_say_something() {
        let database = Server::postgres().await;
        wait_open(&Ports, "127.0.0.1", database.port(), Speaks::Postgres, SOON)
            .await
            .expect("it answered");
        let silent = Server::reserved().await.listen_silently().await;
        let error = wait_open(&Ports, "127.0.0.1", silent.port(), Speaks::Mysql, SOON)
            .await
            .unwrap_err();
        assert!(
            matches!(error, WaitError::Silent { attempts: 1, .. }),
            "{error:?}"
        );
        wait_open(&Ports, "127.0.0.1", silent.port(), Speaks::Anything, SOON)
            .await
            .expect("it stays open");
    }
}
