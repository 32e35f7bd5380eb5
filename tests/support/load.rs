//! An independent load generator: threads and plain sockets, nothing shared with the program under
//! test. It sends at a constant rate through every router, half of it over kept connections and half
//! over fresh ones, and remembers every answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One request and its end.
#[derive(Debug, Clone)]
pub struct Shot {
    /// When it was sent.
    pub sent: Instant,
    /// Through which router (`host:port`).
    pub router: String,
    /// The body that was answered with status 200, or what went wrong.
    pub answer: Result<String, String>,
}

/// Where the next request goes, as `host:port`; an error is a request that is lost.
pub type Lead = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// Requests under way until [`Load::stop`].
pub struct Load {
    stop: Arc<AtomicBool>,
    shots: Arc<Mutex<Vec<Shot>>>,
    threads: Vec<JoinHandle<()>>,
}

/// Each router gets this many threads; half of them keep their connection.
const THREADS: u32 = 8;
/// A request that takes longer is lost.
const DEADLINE: Duration = Duration::from_secs(10);

impl Load {
    /// Begins to send `rate` requests a second in all to `path` through the routers.
    pub fn start(routers: &[String], path: &str, rate: u32) -> Load {
        Load::begin(routers, None, path, rate)
    }

    /// Begins to send `rate` requests a second to `path`, each to where `lead` leads it.
    pub fn led(lead: Lead, path: &str, rate: u32) -> Load {
        Load::begin(&["nowhere yet".to_owned()], Some(lead), path, rate)
    }

    fn begin(routers: &[String], lead: Option<Lead>, path: &str, rate: u32) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let shots = Arc::new(Mutex::new(Vec::new()));
        let threads_in_all = THREADS * u32::try_from(routers.len()).unwrap();
        let pause = Duration::from_secs(1) * threads_in_all / rate;
        let mut threads = Vec::new();
        for router in routers {
            for number in 0..THREADS {
                let (stop, shots) = (stop.clone(), shots.clone());
                let client = Client {
                    router: router.clone(),
                    lead: lead.clone(),
                    path: path.to_owned(),
                    keep: number % 2 == 0,
                    open: None,
                };
                threads.push(std::thread::spawn(move || {
                    client.run(pause, number, &stop, &shots)
                }));
            }
        }
        Load { stop, shots, threads }
    }

    /// How many requests have ended so far.
    pub fn count(&self) -> usize {
        self.shots.lock().unwrap().len()
    }

    /// Stops sending and returns every request, in order of being sent.
    pub fn stop(self) -> Vec<Shot> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let mut shots = std::mem::take(&mut *self.shots.lock().unwrap());
        shots.sort_by_key(|shot| shot.sent);
        shots
    }
}

struct Client {
    router: String,
    lead: Option<Lead>,
    path: String,
    keep: bool,
    open: Option<TcpStream>,
}

impl Client {
    fn run(mut self, pause: Duration, number: u32, stop: &AtomicBool, shots: &Mutex<Vec<Shot>>) {
        // Threads begin one after the other, so that requests are spread evenly.
        let mut due = Instant::now() + pause * number / THREADS;
        let mut random = number;
        while !stop.load(Ordering::Relaxed) {
            // In step with the program's own prober, round robin would send all of one to one server and all of the
            // other to its neighbour. Knuth's generator: the same sequence in every run.
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let later = pause.mul_f64(f64::from(random) / f64::from(u32::MAX));
            std::thread::sleep((due + later).saturating_duration_since(Instant::now()));
            due = (due + pause).max(Instant::now());
            let sent = Instant::now();
            let answer = self.ask();
            shots.lock().unwrap().push(Shot {
                sent,
                router: self.router.clone(),
                answer,
            });
        }
    }

    fn ask(&mut self) -> Result<String, String> {
        if let Some(lead) = &self.lead {
            let router = lead()?;
            if router != self.router {
                self.open = None;
                self.router = router;
            }
        }
        let reused = self.open.is_some();
        match self.exchange() {
            // A server may close a kept connection between two requests; a client then asks anew.
            Err(error) if reused && error.idle_close => self.exchange().map_err(|error| error.words),
            other => other.map_err(|error| error.words),
        }
    }

    fn exchange(&mut self) -> Result<String, Failure> {
        let mut stream = match self.open.take() {
            Some(stream) => stream,
            None => {
                let stream =
                    TcpStream::connect(&self.router).map_err(|e| Failure::new(format!("connect: {e}")))?;
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.set_nodelay(true).unwrap();
                stream
            }
        };
        let connection = if self.keep { "keep-alive" } else { "close" };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: {connection}\r\n\r\n",
            self.path, self.router
        );
        stream.write_all(request.as_bytes()).map_err(|e| Failure {
            words: format!("send: {e}"),
            idle_close: true,
        })?;
        let (head, body, keeps) = read_answer(&mut stream)?;
        if self.keep && keeps {
            self.open = Some(stream);
        }
        if head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.0 200") {
            Ok(body.trim().to_owned())
        } else {
            Err(Failure::new(head.lines().next().unwrap_or_default().to_owned()))
        }
    }
}

struct Failure {
    words: String,
    /// Nothing was answered on a connection that had been idle.
    idle_close: bool,
}

impl Failure {
    fn new(words: String) -> Failure {
        Failure {
            words,
            idle_close: false,
        }
    }
}

/// Head, body, and whether the connection may be used again.
fn read_answer(stream: &mut TcpStream) -> Result<(String, String, bool), Failure> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read(&mut chunk) {
            Ok(0) => {
                return Err(Failure {
                    words: "closed without an answer".into(),
                    idle_close: bytes.is_empty(),
                });
            }
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(e) => {
                return Err(Failure {
                    words: format!("read: {e}"),
                    idle_close: bytes.is_empty() && e.kind() == std::io::ErrorKind::ConnectionReset,
                });
            }
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let chunked = head.contains("transfer-encoding: chunked");
    loop {
        let done = match length {
            Some(length) => bytes.len() >= head_end + length,
            None => chunked && bytes.ends_with(b"0\r\n\r\n"),
        };
        if done {
            break;
        }
        match stream.read(&mut chunk) {
            Ok(0) if length.is_none() && !chunked => break,
            Ok(0) => return Err(Failure::new("the answer was cut".into())),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(e) => return Err(Failure::new(format!("read: {e}"))),
        }
    }
    let keeps = (length.is_some() || chunked) && !head.contains("connection: close");
    let head_text = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut body = String::from_utf8_lossy(&bytes[head_end..]).into_owned();
    if chunked {
        body = body.split("\r\n").skip(1).step_by(2).collect();
    }
    Ok((head_text, body, keeps))
}
