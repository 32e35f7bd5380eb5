//! One connection to PostgreSQL, and how it is made.

use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode as Tls, TargetSessionAttrs};
use tokio_postgres::tls::NoTls;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::problem::Fault;
use super::{sql, tls};
use crate::inventory::state::{PostgresState, SslMode};
use crate::state::{CALL, CONNECT, Site, StoreError};

/// A connection. Dropped, it is gone at once, whatever it waits for.
pub(super) struct Link {
    pub(super) client: Client,
    /// Whether tables and row are known to be there.
    prepared: bool,
    driver: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Begins a transaction, after the tables were created where there were none.
    pub(super) async fn begin(&mut self, site: &Site) -> Result<(), Fault> {
        if !self.prepared {
            sql::prepare(&self.client, site).await?;
            self.prepared = true;
        }
        Ok(self.client.batch_execute(sql::BEGIN).await?)
    }
}

/// How connections are made.
pub(super) struct Dial {
    /// Where, for messages: `PostgreSQL at db:5432`.
    pub(super) at: String,
    url: SecretString,
    /// `None`: without TLS.
    tls: Option<MakeRustlsConnect>,
    mode: Tls,
}

impl Dial {
    pub(super) fn new(settings: &PostgresState) -> Result<Dial, StoreError> {
        let mode = match settings.ssl_mode {
            SslMode::Disable => Tls::Disable,
            SslMode::Prefer => Tls::Prefer,
            SslMode::Require | SslMode::VerifyFull => Tls::Require,
        };
        let dial = Dial {
            at: String::new(),
            url: settings.url.clone(),
            tls: tls::connector(settings)?,
            mode,
        };
        let at = match dial.config() {
            Ok(config) => format!("PostgreSQL at {}", places(&config)),
            Err(_) => "PostgreSQL".to_owned(),
        };
        Ok(Dial { at, ..dial })
    }

    fn config(&self) -> Result<Config, Fault> {
        let mut config: Config = self.url.expose_secret().parse()?;
        config
            .ssl_mode(self.mode)
            .application_name("pointsman")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(CALL)
            // A standby answers with what was; of several servers the one that takes writes is asked.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(config)
    }

    pub(super) async fn connect(&self) -> Result<Link, Fault> {
        let config = self.config()?;
        let (client, driver) = match &self.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                (client, tokio::spawn(async { drop(connection.await) }))
            }
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                (client, tokio::spawn(async { drop(connection.await) }))
            }
        };
        Ok(Link {
            client,
            prepared: false,
            driver,
        })
    }
}

/// `db1:5432, db2:5432`.
fn places(config: &Config) -> String {
    let ports = config.get_ports();
    let place = |(number, host): (usize, &Host)| {
        let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(folder) => format!("{}/.s.PGSQL.{port}", folder.display()),
        }
    };
    let places: Vec<String> = config.get_hosts().iter().enumerate().map(place).collect();
    places.join(", ")
}
