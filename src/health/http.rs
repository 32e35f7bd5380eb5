//! One HTTP request over a connection, with exact words for each way in which it can fail.
//!
//! Every request has a connection of its own: a kept one would go on talking to a process that a
//! replaced container or a reload has left behind, and would not notice that nobody accepts any more.

use std::pin::pin;
use std::time::Duration;

use http::header::{CONNECTION, HOST, LOCATION, USER_AGENT};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::fault::{Fault, Place};
use super::reach::{Connection, Reach};
use super::tcp;
use super::text::tidy;

/// What checks call themselves, so that an app's access log can leave them out.
pub(crate) const AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"));

/// More of a body than this is not read: a check wants a word, and the path may be a download.
pub(crate) const MOST_OF_BODY: usize = 64 * 1024;

/// Longest that opening a way to the port may take; SSH's own bounds are below it, and a wedged SSH
/// master has none.
const OPEN_DEADLINE: Duration = Duration::from_secs(15);

/// Where a request goes, and what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Get<'a> {
    /// Address as the server sees it.
    pub(crate) address: &'a str,
    /// The same place in words, for faults.
    pub(crate) place: &'a Place,
    /// Path and query.
    pub(crate) path: &'a str,
    /// `Host:` header; `None`: `localhost`, which every framework's host check lets through or none.
    pub(crate) host_header: Option<&'a str>,
    /// Deadline of the request and its answer.
    pub(crate) timeout: Duration,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// Where a redirect leads; redirects are not followed: a check asks this host and no other.
    pub(crate) location: Option<String>,
    /// The body, lossily decoded, cut after [`MOST_OF_BODY`].
    pub(crate) body: String,
}

/// Asks once.
pub(crate) async fn get(reach: &dyn Reach, get: Get<'_>) -> Result<Reply, Fault> {
    let place = || get.place.clone();
    let unreachable = |problem: String| Fault::Unreachable {
        place: place(),
        problem,
    };
    let open = reach.connect(get.address, get.place.port);
    let connection = match tokio::time::timeout(OPEN_DEADLINE, open).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("the SSH connection hangs".to_owned())),
    };
    match tokio::time::timeout(get.timeout, exchange(connection, get)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(Broken::Closed)) => match tcp::look(reach, get.address, get.place.port).await {
            // Through a tunnel nobody at home looks like somebody who hangs up; only a connection
            // on which nothing is said tells the two apart.
            Ok(tcp::Port::Refused) => Err(Fault::Refused { place: place() }),
            Ok(tcp::Port::Open) => Err(Fault::Closed { place: place() }),
            Err(error) => Err(unreachable(error.to_string())),
        },
        Ok(Err(Broken::Garbled(problem))) => Err(Fault::Garbled {
            place: place(),
            problem,
        }),
        Err(_) => Err(Fault::Silent {
            place: place(),
            after: get.timeout,
        }),
    }
}

/// How an exchange failed.
enum Broken {
    /// Closed before the first line of an answer.
    Closed,
    /// Something else came than an answer.
    Garbled(String),
}

async fn exchange(connection: Connection, get: Get<'_>) -> Result<Reply, Broken> {
    let request = http::Request::get(get.path)
        .header(HOST, get.host_header.unwrap_or("localhost"))
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Broken::Garbled(format!("the check's path or host header: {error}")))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(broken)?;
    let talk = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION);
        let location = location.map(|value| tidy(&String::from_utf8_lossy(value.as_bytes())));
        let body = read(response.into_body()).await.map_err(|error| {
            Broken::Garbled(format!("status {status}, then the answer broke off ({error})"))
        })?;
        Ok(Reply {
            status,
            location,
            body,
        })
    };
    let (mut talk, connection) = (pin!(talk), pin!(connection));
    // The connection's future moves the bytes; when it ends, what `talk` waits for has arrived.
    tokio::select! {
        biased;
        reply = &mut talk => reply,
        _ = connection => talk.await,
    }
}

async fn read(mut body: Incoming) -> Result<String, hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() >= MOST_OF_BODY {
            bytes.truncate(MOST_OF_BODY);
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn broken(error: hyper::Error) -> Broken {
    if error.is_parse() {
        return Broken::Garbled(error.to_string());
    }
    // All else before an answer is the connection's end: EOF, reset, a broken pipe.
    Broken::Closed
}
