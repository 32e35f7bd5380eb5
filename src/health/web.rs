//! Requests to routers, over the network and with TLS where the URL says so.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::OnceLock;

use reqwest::{Client, ClientBuilder, Url};

use super::http::{AGENT, MOST_OF_BODY};
use super::identity::IdentityError;
use super::text::tidy;

/// Status and body (cut after [`MOST_OF_BODY`]) of one request over a connection of its own.
pub(super) async fn fetch(url: Url, host_header: Option<&str>) -> Result<(u16, String), IdentityError> {
    let shown = url.to_string();
    let failed = |error: reqwest::Error| {
        let problem = deepest(&error);
        if error.is_connect() {
            IdentityError::Connect {
                url: shown.clone(),
                problem,
            }
        } else {
            IdentityError::Broken {
                url: shown.clone(),
                problem,
            }
        }
    };
    let request = match host_header {
        Some(host) if url.scheme() == "https" => {
            let (client, url) = pinned(&url, host).await?;
            client.get(url)
        }
        Some(host) => shared()
            .map_err(&failed)?
            .get(url)
            .header(reqwest::header::HOST, host),
        None => shared().map_err(&failed)?.get(url),
    };
    let mut response = request.send().await.map_err(&failed)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while body.len() < MOST_OF_BODY {
        match response.chunk().await.map_err(&failed)? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// A client that speaks to `host` at the address of `url`'s host, so that TLS is the header's, too.
async fn pinned(url: &Url, host: &str) -> Result<(Client, Url), IdentityError> {
    let wrong = |problem: String| IdentityError::Connect {
        url: url.to_string(),
        problem,
    };
    let port = url.port_or_known_default().unwrap_or(443);
    let authority = url
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((authority, port))
        .await
        .map_err(|error| wrong(error.to_string()))?
        .collect();
    let mut asked = url.clone();
    asked
        .set_host(Some(host))
        .map_err(|error| wrong(format!("host header {host:?}: {error}")))?;
    let client = builder()
        .resolve_to_addrs(host, &addresses)
        .build()
        .map_err(|error| wrong(deepest(&error)))?;
    Ok((client, asked))
}

/// Makes the shared client, if there is none yet. Reading the system's certificates takes longer than
/// an answer, so this is done before a clock starts; what goes wrong is told by the request itself.
pub(super) fn warm() {
    let _ = shared();
}

fn shared() -> Result<&'static Client, reqwest::Error> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let client = builder().build()?;
    Ok(CLIENT.get_or_init(|| client))
}

pub(super) fn builder() -> ClientBuilder {
    // Refused when another part of the program has chosen one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(AGENT)
        .redirect(reqwest::redirect::Policy::none())
        // A proxy of this machine's environment would answer in the router's place.
        .no_proxy()
        .pool_max_idle_per_host(0)
        .http1_only()
}

/// The innermost cause: "Connection refused" rather than "error sending request".
pub(super) fn deepest(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    tidy(&text)
}
