//! A TCP relay between a client and a store, that cuts, swallows or holds what is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What happens to one chunk that a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives, and the connection is gone.
    CutBefore,
    /// It arrives, and the connection is gone at once.
    CutAfter,
    /// It arrives and is answered; the answer never comes, and the connection is gone.
    Swallow,
    /// It arrives only when the test says so, long after the client has gone.
    Hold,
}

#[derive(Default)]
struct Plan {
    /// The fault, and how many chunks pass before it.
    armed: Option<(Fault, usize)>,
    /// Whether the fault has happened.
    hit: bool,
}

#[derive(Default)]
struct Shared {
    plan: Mutex<Plan>,
    held: Notify,
    release: Notify,
    delivered: Notify,
}

/// Dropped, it is gone.
pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    pub async fn to(target: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let for_task = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&for_task);
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        carry(client, server, &shared).await;
                    }
                });
            }
        });
        Relay { port, shared, task }
    }

    /// The fault happens to the chunk after `pass` more ones, on whatever connection.
    pub fn arm(&self, fault: Fault, pass: usize) {
        *self.shared.plan.lock().unwrap() = Plan {
            armed: Some((fault, pass)),
            hit: false,
        };
    }

    /// No fault any more; says whether it happened.
    pub fn disarm(&self) -> bool {
        let mut plan = self.shared.plan.lock().unwrap();
        plan.armed = None;
        plan.hit
    }

    /// Waits until a chunk is held.
    pub async fn held(&self) {
        self.shared.held.notified().await;
    }

    /// Lets the held chunk go, and waits until the server has answered it, or has hung up.
    pub async fn deliver(&self) {
        self.shared.release.notify_one();
        let answered = tokio::time::timeout(Duration::from_secs(30), self.shared.delivered.notified());
        answered.await.expect("the late chunk was delivered");
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, shared: &Shared) {
    let (mut from_client, mut from_server) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let chunk = &from_client[..count];
                match next(shared) {
                    None => if server.write_all(chunk).await.is_err() { return },
                    Some(Fault::CutBefore) => return,
                    Some(Fault::CutAfter) => {
                        let _ = server.write_all(chunk).await;
                        return;
                    }
                    Some(Fault::Swallow) => {
                        let _ = server.write_all(chunk).await;
                        let _ = tokio::time::timeout(Duration::from_secs(5), server.read(&mut from_server)).await;
                        return;
                    }
                    Some(Fault::Hold) => {
                        shared.held.notify_one();
                        shared.release.notified().await;
                        let _ = server.write_all(chunk).await;
                        let _ = tokio::time::timeout(Duration::from_secs(5), server.read(&mut from_server)).await;
                        shared.delivered.notify_one();
                        return;
                    }
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&from_server[..count]).await.is_err() { return }
            }
        }
    }
}

/// What happens to this chunk.
fn next(shared: &Shared) -> Option<Fault> {
    let mut plan = shared.plan.lock().unwrap();
    let (fault, pass) = plan.armed?;
    if pass > 0 {
        plan.armed = Some((fault, pass - 1));
        return None;
    }
    plan.armed = None;
    plan.hit = true;
    Some(fault)
}
