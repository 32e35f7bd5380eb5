//! A run of the program that is under way: watched by its journal, killed, stopped and interrupted.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Pointsman;

/// A run of the program that is under way, in a directory of its own.
pub struct Running {
    child: RefCell<Option<Child>>,
    pid: u32,
    state: tempfile::TempDir,
}

impl Running {
    pub fn start(env: &str, args: &[&str]) -> Running {
        Running::of(&Pointsman::new(env), args)
    }

    /// With the inventory of this one, and a state directory of its own.
    pub fn of(pointsman: &Pointsman, args: &[&str]) -> Running {
        Running::by(Command::new(env!("CARGO_BIN_EXE_pointsman")), pointsman, args)
    }

    /// One that is told of a limit on files as of any failed write, as it would be of a full disk.
    pub fn deaf_to_limits(env: &str, args: &[&str]) -> Running {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "trap '' XFSZ; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_pointsman"),
        ]);
        Running::by(shell, &Pointsman::new(env), args)
    }

    fn by(mut command: Command, pointsman: &Pointsman, args: &[&str]) -> Running {
        let state = tempfile::tempdir().unwrap();
        let child = command
            .arg("-i")
            .arg(&pointsman.inventory)
            .args(args)
            .env("POINTSMAN_STATE_DIR", state.path())
            // What a killed run leaves of its connections goes with its state.
            .env("TMPDIR", state.path())
            .current_dir(state.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running {
            pid: child.id(),
            child: RefCell::new(Some(child)),
            state,
        }
    }

    /// From here on no file of it grows beyond what its journal has now; how many lines that are.
    pub fn limit_files(&self) -> usize {
        let size = self.journal().len();
        let limited = Command::new("prlimit")
            .args(["--pid", &self.pid.to_string(), &format!("--fsize={size}")])
            .status()
            .unwrap();
        assert!(limited.success(), "no limit on files could be set");
        self.journal().lines().count()
    }

    /// Stops it, kills all that it has started, then itself; how many processes these were.
    pub fn kill_tree(&self) -> usize {
        self.signal("STOP");
        // Its ssh processes belong to nobody, but name their folder.
        let listed = Command::new("pgrep")
            .args(["-f", &self.state.path().to_string_lossy()])
            .output()
            .unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let ours: Vec<&str> = listed
            .lines()
            .filter(|pid| **pid != self.pid.to_string())
            .collect();
        for pid in &ours {
            let _ = Command::new("kill").args(["-KILL", pid]).status();
        }
        self.signal("KILL");
        drop(self.wait());
        ours.len() + 1
    }

    /// The run's journal on this machine, as far as it is written.
    pub fn journal(&self) -> String {
        fn find(dir: &Path) -> Option<PathBuf> {
            std::fs::read_dir(dir).ok()?.flatten().find_map(|entry| {
                let path = entry.path();
                if path.is_dir() {
                    find(&path)
                } else {
                    path.extension().is_some_and(|ext| ext == "jsonl").then_some(path)
                }
            })
        }
        find(self.state.path())
            .and_then(|path| std::fs::read_to_string(path).ok())
            .unwrap_or_default()
    }

    /// The run's id, as its journal names it.
    pub fn run(&self, journal: &str) -> String {
        let first = journal.lines().next().unwrap();
        let line: serde_json::Value = serde_json::from_str(first).unwrap();
        line["run"].as_str().unwrap().to_owned()
    }

    /// Waits until the intent of this step is written.
    pub fn wait_for_step(&self, step: &str) {
        let words = format!("\"kind\":\"intent\",\"step\":\"{step}\"");
        let found = self.wait_for_line(&words);
        assert!(found.is_some(), "the run ended before it began to {step}");
    }

    /// The `ssh` that holds its connection to this address.
    pub fn master(&self, address: &str) -> u32 {
        let ours = self.state.path().to_string_lossy().into_owned();
        let found = std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let is =
                line.starts_with("ssh\0") && line.contains(&ours) && line.contains(&format!("\0{address}\0"));
            is.then(|| entry.file_name().to_str()?.parse().ok())?
        });
        found.unwrap()
    }

    /// Waits until the journal has so many lines; `None` when the run ended first.
    pub fn wait_for_lines(&self, lines: usize) -> Option<String> {
        self.wait_for(|journal| journal.lines().count() >= lines)
    }

    /// Waits until a line of the journal has these words; `None` when the run ended first.
    pub fn wait_for_line(&self, words: &str) -> Option<String> {
        self.wait_for(|journal| journal.contains(words))
    }

    fn wait_for(&self, there: impl Fn(&str) -> bool) -> Option<String> {
        loop {
            let journal = self.journal();
            if there(&journal) {
                return Some(journal);
            }
            if self.child.borrow_mut().as_mut()?.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_micros(500)); // the file cannot tell
        }
    }

    /// `kill -9` so long after the journal has so many lines; the journal as it was left.
    pub fn kill_after(&self, lines: usize, late: Duration) -> Option<String> {
        self.wait_for_lines(lines)?;
        std::thread::sleep(late); // the instant is what is chosen here
        let mut child = self.child.borrow_mut();
        let child = child.as_mut()?;
        let alive = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        alive.then(|| self.journal())
    }

    /// SIGSTOP as soon as the journal has so many lines.
    pub fn stop_after_lines(&self, lines: usize) -> Option<String> {
        self.wait_for_lines(lines)?;
        self.signal("STOP");
        Some(self.journal())
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid.to_string())
            .status()
            .unwrap();
        assert!(sent.success(), "SIG{name} could not be sent");
    }

    /// SIGCONT, and its end.
    pub fn go_on(&self) -> (i32, String) {
        self.signal("CONT");
        self.wait()
    }

    /// Its exit code and all that it printed.
    pub fn wait(&self) -> (i32, String) {
        let child = self.child.borrow_mut().take().unwrap();
        let output = child.wait_with_output().unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.code().unwrap_or(-1), text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
