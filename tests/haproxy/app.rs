//! A server of a pool: answers every request with its pool's name.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

pub struct App {
    pub port: u16,
    name: &'static str,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl App {
    /// Serves on a port of its own, until it dies or the test ends.
    pub fn serve(name: &'static str) -> App {
        let mut app = App {
            port: 0,
            name,
            ended: Arc::new(AtomicBool::new(false)),
            thread: None,
        };
        app.live();
        app
    }

    /// Serves, at its old port where it had one.
    pub fn live(&mut self) {
        let listener = TcpListener::bind(("0.0.0.0", self.port)).expect("a port");
        self.port = listener.local_addr().expect("its number").port();
        self.ended.store(false, Ordering::SeqCst);
        let (end, name) = (self.ended.clone(), self.name);
        self.thread = Some(std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::spawn(move || answer(client, name));
            }
        }));
    }

    /// From now on its port refuses connections.
    pub fn die(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("ended");
        }
    }
}

fn answer(client: TcpStream, name: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut client = client;
    let length = name.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{name}"
    )
}
