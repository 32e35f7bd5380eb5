//! A question over DNS, and its answer (RFC 1035): just enough to see what a server gives out.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub rcode: u8,
    /// Addresses of type A, sorted.
    pub addresses: Vec<Ipv4Addr>,
    /// How many other records there were.
    pub others: usize,
}

/// Asks for the addresses of a name; `None` when nothing came within 2 s.
pub async fn addresses(server: SocketAddr, name: &str) -> Option<Answer> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    let mut question = vec![7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    socket.send(&question).await.ok()?;
    let mut bytes = [0; 1500];
    let received = tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut bytes)).await;
    let count = received.ok()?.ok()?;
    Some(read(&bytes[..count], question.len()))
}

fn read(bytes: &[u8], mut at: usize) -> Answer {
    let number = |at: usize| usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1]);
    let mut answer = Answer {
        rcode: bytes[3] & 15,
        addresses: Vec::new(),
        others: 0,
    };
    for _ in 0..number(6) {
        // A name: labels up to a zero, or up to a pointer of two bytes.
        while bytes[at] != 0 && bytes[at] < 0xc0 {
            at += 1 + usize::from(bytes[at]);
        }
        at += if bytes[at] == 0 { 1 } else { 2 };
        let (kind, length) = (number(at), number(at + 8));
        at += 10;
        if kind == 1 {
            let ip = <[u8; 4]>::try_from(&bytes[at..at + 4]).unwrap();
            answer.addresses.push(Ipv4Addr::from(ip));
        } else {
            answer.others += 1;
        }
        at += length;
    }
    answer.addresses.sort();
    answer
}
