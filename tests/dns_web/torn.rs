//! A proxy that lets changes through and tears their answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is left of an answer.
#[derive(Debug, Clone, Copy)]
pub enum Tear {
    /// Nothing.
    Nothing,
    /// Half of it.
    Half,
}

/// Dropped, it is gone.
pub struct Proxy {
    port: u16,
    armed: Arc<Mutex<Option<Tear>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub async fn to(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let armed = Arc::new(Mutex::new(None));
        let for_task = Arc::clone(&armed);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let armed = Arc::clone(&for_task);
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        carry(client, server, &armed).await;
                    }
                });
            }
        });
        Proxy { port, armed, task }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The answer to the next change is torn.
    pub fn arm(&self, tear: Tear) {
        *self.armed.lock().unwrap() = Some(tear);
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, armed: &Mutex<Option<Tear>>) {
    let (mut from_client, mut from_server) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut tear = None;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let is_change = [&b"PATCH "[..], b"PUT ", b"POST ", b"DELETE "]
                    .iter()
                    .any(|method| from_client.starts_with(method));
                if is_change {
                    tear = armed.lock().unwrap().take();
                }
                if server.write_all(&from_client[..count]).await.is_err() { return }
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                match tear {
                    Some(Tear::Nothing) => return,
                    Some(Tear::Half) => {
                        let _ = client.write_all(&from_server[..count / 2]).await;
                        return;
                    }
                    None => if client.write_all(&from_server[..count]).await.is_err() { return },
                }
            }
        }
    }
}
