//! Asks servers at the addresses that a DNS name leads to, as clients would: the name's URL, at an address of ours.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Url;

use super::web;
use crate::http;
use crate::inventory::{Inventory, Router};

/// Longest that one answer may take: a client would not wait longer for a page.
const ANSWER: Duration = Duration::from_secs(2);
/// Header of a request that is not to be handed on to another pool: it was already, or is asked of this very one.
pub const STAYS: &str = "X-Pointsman-Forwarded";
/// Answers in a row that show that an address serves one release.
const IN_A_ROW: u32 = 3;
/// Pause before an address that gave another answer is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Whose answer a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The pool's that it is sent to, also while that hands its requests on.
    Itself,
    /// Whoever answers a client's.
    ForClients,
}

/// Status and body of one request for `path` to the router's URL, sent to `record`: an address, or a name that leads to one.
///
/// # Errors
/// In words, when no answer came in time.
pub async fn ask(router: &Router, path: &str, record: &str, asked: Asked) -> Result<(u16, String), String> {
    let url = format!("{}{path}", router.url.trim_end_matches('/'));
    let mut url: Url = url.parse().map_err(|error| format!("{url}: {error}"))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let addresses: Vec<SocketAddr> = match record.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((record, port))
            .await
            .map_err(|error| format!("{record} leads nowhere: {error}"))?
            .collect(),
    };
    if let Some(host) = &router.host_header {
        url.set_host(Some(host))
            .map_err(|error| format!("{host}: {error}"))?;
    }
    let name = url.host_str().unwrap_or_default().to_owned();
    let client = web::builder()
        .timeout(ANSWER)
        .resolve_to_addrs(&name, &addresses)
        .build();
    let client = client.map_err(|error| web::deepest(&error))?;
    let answer = async {
        let mut request = client.get(url);
        if asked == Asked::Itself {
            request = request.header(STAYS, "1");
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, response.text().await?))
    };
    answer.await.map_err(|error: reqwest::Error| {
        if error.is_timeout() {
            format!("no answer within {ANSWER:?}")
        } else {
            web::deepest(&error)
        }
    })
}

/// Those of these addresses that hand a client's request on: its answer is another release than their own.
pub async fn handing_on(inventory: &Inventory, records: &[String]) -> Vec<String> {
    let (Some(router), identity) = (inventory.switch.routers.first(), &inventory.app.identity) else {
        return Vec::new();
    };
    let asked = records.iter().map(|record| async move {
        let ask = |asked| ask(router, &identity.path, record, asked);
        let (own, clients) = futures::future::join(ask(Asked::Itself), ask(Asked::ForClients)).await;
        // Who does not answer serves nobody.
        (own.is_ok() && clients.is_ok() && own != clients).then(|| record.clone())
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Waits until each of these addresses answers clients as `tag`, several times in a row: one that hands requests on does
/// not. Where `need` of them do, the others may be silent.
///
/// # Errors
/// The ones that did not in time, with what they last said.
pub async fn answers(
    inventory: &Inventory,
    records: &[String],
    need: usize,
    tag: &str,
    within: Duration,
) -> Result<(), Vec<String>> {
    let (Some(router), identity) = (inventory.switch.routers.first(), &inventory.app.identity) else {
        return Ok(());
    };
    let until = Instant::now() + within;
    let asked = records.iter().map(|record| async move {
        let (mut streak, mut silent) = (0, 0);
        loop {
            let answer = ask(router, &identity.path, record, Asked::ForClients).await;
            silent = if answer.is_err() { silent + 1 } else { 0 };
            let said = match answer {
                Ok((200..=299, body)) => http::identity(&body, identity.json.as_deref())
                    .unwrap_or_else(|| "an answer without a release".to_owned()),
                Ok((status, _)) => format!("status {status}"),
                Err(problem) => problem,
            };
            streak = if said == tag { streak + 1 } else { 0 };
            if streak >= IN_A_ROW {
                return None;
            }
            let given_up = silent >= IN_A_ROW && need < records.len();
            if given_up || Instant::now() >= until {
                return Some((format!("{record} ({said})"), silent > 0));
            }
            if streak == 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
    let missing: Vec<(String, bool)> = join_all(asked).await.into_iter().flatten().collect();
    let all_silent = missing.iter().all(|(_, silent)| *silent);
    if missing.is_empty() || (all_silent && records.len() - missing.len() >= need) {
        return Ok(());
    }
    Err(missing.into_iter().map(|(words, _)| words).collect())
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::header_exists;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn inventory(folder: &std::path::Path, port: u16) -> Inventory {
        std::fs::write(folder.join("compose.yml"), "services:\n  web: {image: a}\n").expect("written");
        let text = format!(
            "[app]\nname = \"shop\"\npath = \"/srv/shop\"\ncompose = \"compose.yml\"\nidentity = {{ path = \"/version\" }}\n\
             [pools.blue]\nhosts = [\"127.0.0.1\"]\n[pools.green]\nhosts = [\"127.0.0.2\"]\n\
             [[checks]]\nname = \"web\"\nport = 80\npath = \"/up\"\n[switch]\nconnector = \"rfc2136\"\n\
             url = \"http://shop.example.com:{port}\"\n[switch.dns]\nname = \"shop.example.com\"\n\
             [switch.rfc2136]\nserver = \"ns1\"\nkey = \"k\"\nsecret = \"eA==\"\n"
        );
        let file = folder.join("production.toml");
        std::fs::write(&file, text).expect("written");
        let file = camino::Utf8PathBuf::try_from(file).expect("UTF-8");
        Inventory::load(&file, &|_| None).unwrap_or_else(|errors| panic!("{}", errors.render(false)))
    }

    /// The pool's own release is v2; what clients get is seen by asking as they do, and by nothing else.
    #[tokio::test]
    async fn who_hands_requests_on_is_seen() {
        let server = MockServer::start().await;
        let own = Mock::given(header_exists(STAYS))
            .respond_with(ResponseTemplate::new(200).set_body_string("v2\n"));
        own.with_priority(1).mount(&server).await;
        let clients = Mock::given(wiremock::matchers::any());
        let handed_on = clients.respond_with(ResponseTemplate::new(200).set_body_string("v1\n"));
        let handed_on = handed_on.with_priority(2).mount_as_scoped(&server).await;
        let folder = tempfile::tempdir().expect("a folder");
        let inventory = inventory(folder.path(), server.address().port());
        // Nobody listens at the second one.
        let records = ["127.0.0.1".to_owned(), "127.0.0.2".to_owned()];
        assert_eq!(handing_on(&inventory, &records).await, ["127.0.0.1"]);
        let within = Duration::from_millis(300);
        let missing = answers(&inventory, &records, 1, "v2", within).await;
        assert_eq!(missing.expect_err("clients get v1")[0], "127.0.0.1 (v1)");
        drop(handed_on);
        Mock::given(wiremock::matchers::any())
            .respond_with(ResponseTemplate::new(200).set_body_string("v2\n"))
            .with_priority(2)
            .mount(&server)
            .await;
        assert_eq!(handing_on(&inventory, &records).await, [""; 0]);
        assert_eq!(answers(&inventory, &records, 1, "v2", within).await, Ok(()));
        // The second one may be silent only where one is enough.
        assert!(answers(&inventory, &records, 2, "v2", within).await.is_err());
    }
}
