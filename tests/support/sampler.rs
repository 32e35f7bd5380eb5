//! What stands in the command lines of every process of this machine, and so of every host of the lab, whose processes
//! are this machine's as well; looked at without a pause, because a command may live for milliseconds.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What was seen so far.
#[derive(Default)]
pub struct Seen {
    /// Looks at all processes.
    pub samples: u64,
    /// Processes, each once for each command line that it had.
    pub processes: HashSet<(u32, u64)>,
    /// Names of programs that were among them.
    pub programs: BTreeSet<String>,
    /// What was looked for and found: the needle's number, and the command line.
    pub found: Vec<(usize, String)>,
}

/// Looks until it is stopped.
pub struct Sampler {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    pub fn start(needles: Vec<String>) -> Sampler {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (into, until) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut looks = HashMap::new();
            while !until.load(Ordering::Relaxed) {
                look(&needles, &mut looks, &into);
                // Other work of the machine must go on beside this; what lives shorter is not seen.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        Sampler {
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// Looks at what was seen so far.
    pub fn so_far<T>(&self, read: impl FnOnce(&Seen) -> T) -> T {
        read(&self.seen.lock().unwrap())
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How often a process that is new is looked at: a shell becomes another program soon, or never.
const NEW: u32 = 20;
/// Each so many looks all are looked at again, whenever they began.
const ALL: u64 = 100;

fn look(needles: &[String], looks: &mut HashMap<u32, u32>, into: &Mutex<Seen>) {
    let all = into.lock().unwrap().samples.is_multiple_of(ALL);
    let mut lines = Vec::new();
    let mut alive = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let looked = looks.get(&pid).copied().unwrap_or_default();
        alive.insert(pid, looked + 1);
        // A process that has ended meanwhile has none.
        if (all || looked < NEW)
            && let Ok(line) = std::fs::read(entry.path().join("cmdline"))
            && !line.is_empty()
        {
            lines.push((pid, line));
        }
    }
    *looks = alive;
    let mut seen = into.lock().unwrap();
    seen.samples += 1;
    for (pid, line) in lines {
        // Other arguments under the same number are another process, or another program in it.
        if !seen.processes.insert((pid, hash(&line))) {
            continue;
        }
        let text = String::from_utf8_lossy(&line).replace('\0', " ");
        let program = text.split(' ').next().unwrap_or_default();
        seen.programs
            .insert(program.rsplit('/').next().unwrap_or_default().to_owned());
        for (number, needle) in needles.iter().enumerate() {
            if text.contains(needle.as_str()) {
                seen.found.push((number, text.clone()));
            }
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{Hash as _, Hasher as _};
    let mut hasher = std::hash::DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
