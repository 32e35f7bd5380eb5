//! Plain DNS questions, as anybody may ask them: to watch what the servers of a zone, and resolvers, give out for a name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::Kind;
use super::rfc2136::link::Link;
use super::rfc2136::{problem, records};

/// Most bytes that an answer over UDP may have: what passes everywhere in one piece (DNS flag day 2020).
const DATAGRAM: u16 = 1232;
/// Longest that one question of [`nameservers`] may take, with each resolver: that of most stub resolvers.
const PATIENCE: Duration = Duration::from_secs(5);
/// The port of DNS.
const PORT: u16 = 53;

/// What a server says of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The values, as [`super::RecordSet`] has them: sorted, each once.
    pub values: Vec<String>,
    /// Their type: the one that was asked for, or CNAME where one stands there instead.
    pub kind: Kind,
    /// Seconds for which it may be kept from now on.
    pub ttl: u32,
    /// Whether the server answers for the zone, and not from a cache.
    pub authoritative: bool,
}

/// Asks one server, over UDP, and over TCP where the answer does not fit. `recurse`: it may ask others. `None`: nothing of
/// the type stands there. What is lost is asked once more; all of it within `deadline`.
///
/// # Errors
/// In words: no answer, or one that says nothing about the name.
pub async fn ask(
    server: SocketAddr,
    name: &str,
    kind: Kind,
    recurse: bool,
    deadline: Duration,
) -> Result<Option<Answer>, String> {
    let at = records::name(name)?;
    let message = exchange(server, &at, records::record_type(kind), recurse, deadline).await?;
    for kind in [kind, Kind::Cname] {
        if let Some(set) =
            records::set(&message, &at, kind).map_err(|problem| format!("{server}: {problem}"))?
        {
            return Ok(Some(Answer {
                values: set.values,
                kind,
                ttl: set.ttl,
                authoritative: message.authoritative,
            }));
        }
    }
    Ok(None)
}

/// The name servers of a zone, each with each of its addresses, as the first of these resolvers that answers has them.
/// Without resolvers, those of `/etc/resolv.conf` are asked.
///
/// # Errors
/// In words: nobody answers, there is no such zone, or a name server has no address.
pub async fn nameservers(zone: &str, resolvers: &[SocketAddr]) -> Result<Vec<(String, SocketAddr)>, String> {
    let at = records::name(zone)?;
    let resolvers = match resolvers {
        [] => system_resolvers().await?,
        given => given.to_vec(),
    };
    let mut problems = Vec::new();
    for resolver in resolvers {
        match nameservers_by(resolver, &at).await {
            Ok(servers) => return Ok(servers),
            Err(problem) => problems.push(problem),
        }
    }
    Err(problems.join("; "))
}

async fn nameservers_by(resolver: SocketAddr, zone: &Name) -> Result<Vec<(String, SocketAddr)>, String> {
    let answer = exchange(resolver, zone, RecordType::NS, true, PATIENCE).await?;
    let servers = answer.answers.iter().filter_map(|record| match &record.data {
        RData::NS(server) if record.name == *zone => Some(server.0.clone()),
        _ => None,
    });
    let mut servers: Vec<Name> = servers.collect();
    servers.sort();
    if servers.is_empty() {
        return Err(format!(
            "{resolver}: expected the name servers of `{}`, found none",
            records::text(zone)
        ));
    }
    let mut found = Vec::new();
    for server in servers {
        let before = found.len();
        for kind in [RecordType::A, RecordType::AAAA] {
            let answer = exchange(resolver, &server, kind, true, PATIENCE).await?;
            let addresses = answer.answers.iter().filter_map(|record| match &record.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            });
            found.extend(addresses.map(|address| (records::text(&server), SocketAddr::new(address, PORT))));
        }
        if found.len() == before {
            return Err(format!(
                "{resolver}: the name server `{}` has no address",
                records::text(&server)
            ));
        }
    }
    Ok(found)
}

/// The serial of a zone, as one of its servers has it now.
///
/// # Errors
/// In words: no answer, or not one of an authority for the zone.
pub async fn serial(server: SocketAddr, zone: &str, deadline: Duration) -> Result<u32, String> {
    let at = records::name(zone)?;
    let answer = exchange(server, &at, RecordType::SOA, false, deadline).await?;
    if !answer.authoritative {
        return Err(format!("{server}: it does not answer for `{zone}`"));
    }
    let serial = answer.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) if record.name == at => Some(soa.serial),
        _ => None,
    });
    serial.ok_or_else(|| format!("{server}: expected the zone `{zone}`, found no SOA of that name"))
}

/// Whether serial `a` is `b` or newer. Serials go round (RFC 1982); two that are exactly half a round apart cannot be
/// compared, and are not said to be.
pub fn at_least(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 1 << 31
}

/// One question and its answer, which is NOERROR or NXDOMAIN.
async fn exchange(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    recurse: bool,
    deadline: Duration,
) -> Result<Message, String> {
    let whole = Instant::now() + deadline;
    let silent = || format!("{server}: no answer within {} ms", deadline.as_millis());
    let half = Instant::now() + deadline / 2;
    let mut answer = Err(silent());
    for until in [half, whole] {
        let mut question = question(name, kind, recurse);
        answer = match timeout_at(until, over_udp(server, &question)).await {
            Ok(Ok(answer)) if answer.truncation => {
                question = self::question(name, kind, recurse);
                match timeout_at(whole, over_tcp(server, &question, deadline)).await {
                    Ok(answer) => answer,
                    Err(_) => Err(silent()),
                }
            }
            Ok(answer) => answer,
            Err(_) => Err(silent()),
        };
        if answer.is_ok() {
            break;
        }
    }
    let answer = answer?;
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
        code => Err(format!(
            "{server}: the answer about `{}` {kind} is {}",
            records::text(name),
            problem::name(code)
        )),
    }
}

/// With an id of its own that nobody can guess.
fn question(name: &Name, kind: RecordType, recurse: bool) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = recurse;
    message.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(DATAGRAM);
    message.set_edns(edns);
    message
}

/// From a port of its own; what comes from elsewhere, or belongs to no question of ours, is passed over.
async fn over_udp(server: SocketAddr, question: &Message) -> Result<Message, String> {
    let says = |error: std::io::Error| format!("{server}: {error}");
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.map_err(says)?;
    socket.connect(server).await.map_err(says)?;
    let bytes = question.to_vec().map_err(|error| error.to_string())?;
    socket.send(&bytes).await.map_err(says)?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(says)?;
        match Message::from_vec(&buffer[..length]) {
            Ok(answer) if belongs(&answer, question) => return Ok(answer),
            _ => {}
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Message, deadline: Duration) -> Result<Message, String> {
    let says = |problem: String| format!("{server}: {problem}");
    let mut link = Link::to(server, deadline).await.map_err(says)?;
    let bytes = question.to_vec().map_err(|error| error.to_string())?;
    link.send(&[&bytes]).await.map_err(says)?;
    let answer = link.receive().await.map_err(says)?;
    match Message::from_vec(&answer) {
        Ok(answer) if belongs(&answer, question) => Ok(answer),
        Ok(_) => Err(says("the answer belongs to another question".to_owned())),
        Err(error) => Err(says(format!("the answer is no DNS message: {error}"))),
    }
}

/// Whether it answers this very question. A server that cannot read a question may leave it out of its error.
fn belongs(answer: &Message, question: &Message) -> bool {
    answer.id == question.id
        && answer.message_type == MessageType::Response
        && (answer.queries == question.queries
            || answer.queries.is_empty() && answer.response_code != ResponseCode::NoError)
}

/// The resolvers of this machine.
pub(super) async fn system_resolvers() -> Result<Vec<SocketAddr>, String> {
    const FILE: &str = "/etc/resolv.conf";
    let text = tokio::fs::read_to_string(FILE)
        .await
        .map_err(|error| format!("{FILE}: {error}"))?;
    let found = resolvers_in(&text);
    if found.is_empty() {
        return Err(format!("{FILE}: it names no resolver"));
    }
    Ok(found)
}

fn resolvers_in(text: &str) -> Vec<SocketAddr> {
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"));
    lines
        .filter_map(|rest| rest.trim().parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, PORT))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_go_round() {
        for (a, b) in [(7, 7), (8, 7), (0, u32::MAX), (5, u32::MAX - 5), (1 << 31, 1)] {
            assert!(at_least(a, b), "{a} {b}");
        }
        for (a, b) in [
            (7, 8),
            (u32::MAX, 0),
            (u32::MAX - 5, 5),
            (1, 1 << 31),
            (0, 1 << 31),
            (1 << 31, 0),
        ] {
            assert!(!at_least(a, b), "{a} {b}");
        }
    }

    #[test]
    fn only_the_answer_to_the_very_question_counts() {
        let asked = question(&records::name("a.example").unwrap(), RecordType::A, true);
        let mut answer = asked.clone();
        assert!(!belongs(&answer, &asked), "a question is no answer");
        answer.metadata.message_type = MessageType::Response;
        assert!(belongs(&answer, &asked));
        let mut other = answer.clone();
        other.metadata.id = asked.id.wrapping_add(1);
        assert!(!belongs(&other, &asked));
        let mut other = answer.clone();
        other.queries = vec![Query::query(records::name("b.example").unwrap(), RecordType::A)];
        assert!(!belongs(&other, &asked));
        answer.queries.clear();
        assert!(!belongs(&answer, &asked));
        answer.metadata.response_code = ResponseCode::FormErr;
        assert!(belongs(&answer, &asked));
    }

    #[test]
    fn the_machines_resolvers_are_read() {
        let text = "# nameserver 192.0.2.9\nsearch example.com\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\n\
                    nameserver fe80::1%eth0\n";
        assert_eq!(
            resolvers_in(text),
            [
                "192.0.2.1:53".parse().unwrap(),
                "[2001:db8::1]:53".parse::<SocketAddr>().unwrap()
            ]
        );
    }

    #[tokio::test]
    async fn nobody_there_is_said_within_the_deadline() {
        // Takes what is sent, and says nothing.
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let since = Instant::now();
        let deadline = Duration::from_millis(200);
        let problem = ask(
            silent.local_addr().unwrap(),
            "a.example",
            Kind::A,
            false,
            deadline,
        )
        .await
        .unwrap_err();
        assert!(problem.contains("no answer within 200 ms"), "{problem}");
        assert!(since.elapsed() < deadline * 10);
        let mut buffer = [0; 512];
        for asked in 1..=2 {
            assert!(silent.try_recv(&mut buffer).is_ok(), "asked {asked} of 2 times");
        }
        assert!(silent.try_recv(&mut buffer).is_err(), "no more often");
    }
}
