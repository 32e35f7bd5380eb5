//! One HTTP request to a port as a host sees it, through SSH.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::Client;

use crate::http;
use crate::remote::{Session, Tunnel};

/// Where a request goes, as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) address: String,
    pub(super) port: u16,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Tunnels to the places that are asked again and again.
#[derive(Debug, Default)]
pub(super) struct Probes {
    open: HashMap<Place, (Client, Tunnel)>,
}

/// Most of a body that is kept: enough to find a word, and for a message.
const BODY: usize = 64 * 1024;

impl Probes {
    /// Opens what is not open yet.
    pub(super) async fn open(&mut self, session: &Session, place: &Place) -> Result<(), String> {
        if !self.open.contains_key(place) {
            let tunnel = session
                .tunnel(&place.address, place.port)
                .await
                .map_err(|error| error.to_string())?;
            let client = http::builder(Duration::from_secs(60))
                .unix_socket(tunnel.path.clone())
                // Each request meets the server as a new client does.
                .pool_max_idle_per_host(0)
                .build()
                .map_err(|error| error.to_string())?;
            self.open.insert(place.clone(), (client, tunnel));
        }
        Ok(())
    }

    /// Asks an open place; the error is in words.
    pub(super) async fn get(
        &self,
        place: &Place,
        path: &str,
        host: &str,
        deadline: Duration,
    ) -> Result<Answer, String> {
        let Some((client, _)) = self.open.get(place) else {
            return Err("no tunnel".to_owned());
        };
        let request = client.get(format!("http://{host}{path}")).timeout(deadline);
        let response = request
            .send()
            .await
            .map_err(|error| in_words(&error, place, deadline))?;
        let status = response.status().as_u16();
        let body = response
            .text()
            .await
            .map_err(|error| in_words(&error, place, deadline))?;
        Ok(Answer {
            status,
            body: body.chars().take(BODY).collect(),
        })
    }
}

fn in_words(error: &reqwest::Error, place: &Place, deadline: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {deadline:?}");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let said = cause.to_string();
    // The tunnel itself always opens; a port behind it that nobody listens on closes it at once.
    let closed = [
        "connection closed before message completed",
        "Connection reset",
        "Broken pipe",
    ];
    if closed.iter().any(|words| said.contains(words)) {
        return format!("connection refused by port {}", place.port);
    }
    said
}
