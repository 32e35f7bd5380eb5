//! Stands between HAProxy's socket and whoever talks to it, and does as asked with commands that change a map.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    /// Answered with a refusal, never passed on.
    Refuse,
    /// Neither passed on nor answered.
    Hang,
    /// Passed on, and the answer never comes.
    Lose,
    /// Passed on, and the connection ends without one.
    Cut,
}

/// How many commands met the fault: a test proves with it that its fault fired.
pub struct Between(Arc<AtomicUsize>);

impl Between {
    /// Listens at `socket`, in front of `real`, for as long as the test runs.
    pub fn start(socket: &Path, real: &Path, fault: Fault) -> Between {
        let fired = Arc::new(AtomicUsize::new(0));
        let listener = UnixListener::bind(socket).expect("a socket");
        let (real, count) = (real.to_owned(), fired.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (real, count) = (real.clone(), count.clone());
                std::thread::spawn(move || pass(client, &real, fault, &count));
            }
        });
        Between(fired)
    }

    /// Listens in front of a master, and refuses connections for a moment after each list of workers.
    pub fn away(socket: &Path, real: &Path) -> Between {
        let fired = Arc::new(AtomicUsize::new(0));
        let (socket, real, count) = (socket.to_owned(), real.to_owned(), fired.clone());
        let mut listener = UnixListener::bind(&socket).expect("a socket");
        std::thread::spawn(move || {
            loop {
                let (mut client, _) = listener.accept().expect("a client");
                let mut text = String::new();
                let mut server = UnixStream::connect(&real).expect("the master");
                if client.read_to_string(&mut text).is_err() {
                    continue;
                }
                let mut answer = Vec::new();
                let lists = text.contains("show proc");
                let asked = server
                    .write_all(text.as_bytes())
                    .and_then(|()| server.shutdown(Shutdown::Write));
                asked
                    .and_then(|()| server.read_to_end(&mut answer))
                    .expect("an answer");
                if !lists {
                    let _ = client.write_all(&answer);
                    continue;
                }
                // Refused from before the answer is there.
                drop(listener);
                count.fetch_add(1, Ordering::SeqCst);
                let _ = client.write_all(&answer);
                drop(client);
                std::thread::sleep(std::time::Duration::from_millis(300)); // as long as a reload takes
                std::fs::remove_file(&socket).expect("removed");
                listener = UnixListener::bind(&socket).expect("a socket");
            }
        });
        Between(fired)
    }

    pub fn fired(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn pass(mut client: UnixStream, real: &Path, fault: Fault, fired: &AtomicUsize) -> Option<()> {
    let mut line = Vec::new();
    let mut byte = [0];
    while client.read(&mut byte).ok()? == 1 {
        line.push(byte[0]);
        if byte[0] == b'\n' {
            break;
        }
    }
    let text = String::from_utf8_lossy(&line);
    let changes = text.contains("set map") || text.contains("add map");
    if changes {
        fired.fetch_add(1, Ordering::SeqCst);
    }
    match fault {
        Fault::Refuse if changes => return client.write_all(b"Permission denied.\n\n").ok(),
        Fault::Hang if changes => return wait_for_end(&mut client),
        _ => {}
    }
    let mut server = UnixStream::connect(real).ok()?;
    server.write_all(&line).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    match fault {
        Fault::Lose if changes => {
            // Its sending half is closed already: hold on until nobody can be waiting.
            std::thread::sleep(std::time::Duration::from_secs(60));
            Some(())
        }
        Fault::Cut if changes => Some(()),
        _ => client.write_all(&answer).ok(),
    }
}

fn wait_for_end(_client: &mut UnixStream) -> Option<()> {
    std::thread::sleep(std::time::Duration::from_secs(60));
    Some(())
}
