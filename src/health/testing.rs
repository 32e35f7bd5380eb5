//! Real sockets for tests: servers that boot late, refuse, hang, hang up, and answer as told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::task::JoinHandle;

use super::reach::{Connection, Reach};
use crate::inventory::Check;
use crate::remote::RemoteError;

/// Reaches local ports as `ssh -L` reaches remote ones: connecting always succeeds, and a refused
/// port shows as a connection that is closed at once.
pub(crate) struct Ports;

#[async_trait]
impl Reach for Ports {
    fn name(&self) -> &str {
        "web1"
    }

    async fn connect(&self, host: &str, port: u16) -> Result<Connection, RemoteError> {
        let (near, mut far) = UnixStream::pair().unwrap();
        let address = format!("{host}:{port}");
        tokio::spawn(async move {
            if let Ok(mut stream) = TcpStream::connect(address).await {
                let _ = tokio::io::copy_bidirectional(&mut far, &mut stream).await;
            }
        });
        Ok(Box::new(near))
    }
}

/// What a server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// Answers with a status and a body.
    Reply(u16, String),
    /// Keeps the connection and stays silent.
    Nothing,
    /// Closes the connection.
    HangUp,
    /// Sends these bytes and closes.
    Bytes(&'static str),
}

/// A local port, at first bound but refusing.
pub(crate) struct Server {
    port: u16,
    socket: Option<TcpSocket>,
    task: Option<JoinHandle<()>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// A port that nobody else can take and that refuses connections.
    pub(crate) async fn reserved() -> Server {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        Server {
            port,
            socket: Some(socket),
            task: None,
            connections: Arc::default(),
        }
    }

    /// A server that answers at once.
    pub(crate) async fn http(answer: impl Fn(&str) -> Say + Send + Sync + 'static) -> Server {
        Server::reserved().await.answer(answer)
    }

    /// A port that answers any 8 bytes with `N`, as PostgreSQL answers an SSLRequest.
    pub(crate) async fn postgres() -> Server {
        Server::reserved().await.listen(|mut stream| async move {
            let mut request = [0; 8];
            if stream.read_exact(&mut request).await.is_ok() {
                let _ = stream.write_all(b"N").await;
            }
        })
    }

    /// A port that says these bytes to whoever connects, and then waits.
    pub(crate) async fn greeting(bytes: &'static [u8]) -> Server {
        Server::reserved().await.listen(move |mut stream| async move {
            let _ = stream.write_all(bytes).await;
            std::future::pending::<()>().await;
        })
    }

    /// Accepts connections from now on, and never says a word.
    pub(crate) async fn listen_silently(self) -> Server {
        self.listen(|stream| async move {
            let _stream = stream;
            std::future::pending::<()>().await;
        })
    }

    /// Answers requests from now on.
    pub(crate) fn answer(self, answer: impl Fn(&str) -> Say + Send + Sync + 'static) -> Server {
        let answer = Arc::new(answer);
        self.listen(move |stream| converse(stream, answer.clone()))
    }

    /// Answers requests once `delay` has passed.
    pub(crate) fn answer_after(
        mut self,
        delay: Duration,
        answer: impl Fn(&str) -> Say + Send + Sync + 'static,
    ) -> Server {
        let socket = self.socket.take().unwrap();
        let answer = Arc::new(answer);
        let connections = self.connections.clone();
        self.task = Some(tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let listener = socket.listen(64).unwrap();
            accept(listener, connections, move |stream| {
                converse(stream, answer.clone())
            })
            .await;
        }));
        self
    }

    fn listen<F: Future<Output = ()> + Send + 'static>(
        mut self,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Server {
        let listener = self.socket.take().unwrap().listen(64).unwrap();
        self.task = Some(tokio::spawn(accept(listener, self.connections.clone(), serve)));
        self
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    connections: Arc<AtomicUsize>,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) {
    let mut open = futures::stream::FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.fetch_add(1, Ordering::SeqCst);
                open.push(serve(accepted.unwrap().0));
            }
            Some(()) = futures::StreamExt::next(&mut open), if !open.is_empty() => {}
        }
    }
}

async fn converse(mut stream: TcpStream, answer: Arc<impl Fn(&str) -> Say>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let bytes = match answer(&String::from_utf8_lossy(&request)) {
        Say::Reply(status, body) => {
            format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        Say::Nothing => std::future::pending().await,
        Say::HangUp => return,
        Say::Bytes(bytes) => bytes.to_owned(),
    };
    let _ = stream.write_all(bytes.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A check with the pace of tests: three successes in a row over 40 ms.
pub(crate) fn check(name: &str, service: &str, port: u16) -> Check {
    Check {
        name: name.to_owned(),
        service: Some(service.to_owned()),
        port,
        path: "/up".to_owned(),
        status: 200,
        contains: None,
        host_header: None,
        successes: 3,
        min_healthy: Duration::from_millis(40),
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(300),
    }
}
