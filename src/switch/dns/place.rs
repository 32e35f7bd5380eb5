//! Where DNS servers are: `host` or `host:port`, as inventories give them.

use std::net::{IpAddr, SocketAddr};

/// The port of DNS where nothing else is said.
const PORT: u16 = 53;

/// The address of one server.
///
/// # Errors
/// In words, when its name leads nowhere.
pub async fn one(server: &str) -> Result<SocketAddr, String> {
    let bare = server.trim_matches(['[', ']']).parse::<IpAddr>();
    if let Ok(address) = bare {
        return Ok(SocketAddr::new(address, PORT));
    }
    let place = match server.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => server.to_owned(),
        _ => format!("{server}:{PORT}"),
    };
    let found = tokio::net::lookup_host(&place)
        .await
        .map_err(|error| format!("{server}: {error}"))?
        .next();
    found.ok_or_else(|| format!("{server} has no address"))
}

/// The addresses of all of them, in their order.
///
/// # Errors
/// As [`one`].
pub async fn all(servers: &[String]) -> Result<Vec<SocketAddr>, String> {
    futures::future::try_join_all(servers.iter().map(|server| one(server))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_may_be_given() {
        for (text, place) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("[::1]:5353", "[::1]:5353"),
            ("[::1]", "[::1]:53"),
        ] {
            assert_eq!(
                one(text).await.map(|place| place.to_string()),
                Ok(place.to_owned())
            );
        }
    }
}
