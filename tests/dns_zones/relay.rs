//! A TCP relay before a name server, that does something to its answers.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to the answer; the question always arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It comes through.
    None,
    /// It never comes, and the connection stays.
    Silence,
    /// It never comes, and the connection is gone.
    Cut,
    /// One bit of the signature is another.
    Tampered,
    /// In its place comes one with this code and without a signature.
    Forged(u8),
    /// It belongs to another question.
    OtherId,
}

/// Dropped, it is gone.
pub struct Relay {
    pub port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    pub async fn to(target: SocketAddr, fault: Fault) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target, fault));
            }
        });
        Relay { port, task }
    }
}

async fn carry(mut client: TcpStream, target: SocketAddr, fault: Fault) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    loop {
        let question = message(&mut client).await?;
        put(&mut server, &question).await?;
        let mut answer = message(&mut server).await?;
        match fault {
            Fault::None => {}
            Fault::Silence => std::future::pending().await,
            Fault::Cut => return Ok(()),
            Fault::Tampered => {
                // Last come the original id, the error, and the length of what follows; before them the signature.
                let place = answer.len() - 7;
                answer[place] ^= 1;
            }
            Fault::Forged(code) => {
                answer = question[..2].to_vec();
                answer.extend([0xa8, code, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
            Fault::OtherId => answer[0] ^= 1,
        }
        put(&mut client, &answer).await?;
    }
}

async fn message(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = from.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    from.read_exact(&mut message).await?;
    Ok(message)
}

async fn put(to: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    to.write_all(&[&length, message].concat()).await
}
