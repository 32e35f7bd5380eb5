//! What the lab's tests share: the lab itself, the program under test, and the load.
#![allow(dead_code, clippy::unwrap_used)]

pub mod load;
pub mod sampler;
pub mod scene;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The lab's names and addresses, from `tests/lab/lab env`.
pub fn lab() -> &'static HashMap<String, String> {
    static LAB: OnceLock<HashMap<String, String>> = OnceLock::new();
    LAB.get_or_init(|| {
        let text = lab_command(&["env"]);
        text.lines()
            .filter_map(|line| {
                let (key, value) = line.split_once('=')?;
                Some((key.to_owned(), value.trim_matches('"').to_owned()))
            })
            .collect()
    })
}

/// Runs `tests/lab/lab ...`, which must succeed.
pub fn lab_command(args: &[&str]) -> String {
    let output = Command::new(root().join("tests/lab/lab"))
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "lab {args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Back to how `lab up` left it.
pub fn reset(env: &str) {
    lab_command(&["reset", env]);
}

/// A fault that is switched off again whatever happens.
pub struct Fault(&'static str, &'static str);

impl Fault {
    pub fn on(name: &'static str, host: &'static str) -> Fault {
        lab_command(&["fault", name, host, "on"]);
        Fault(name, host)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        lab_command(&["fault", self.0, self.1, "off"]);
    }
}

/// The routers as `host:port`.
pub fn routers(key: &str) -> Vec<String> {
    lab()[key]
        .split_whitespace()
        .map(|url| format!("{}:80", url.trim_start_matches("http://")))
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The program under test in one environment of the lab.
pub struct Pointsman {
    inventory: PathBuf,
    state: tempfile::TempDir,
}

impl Pointsman {
    pub fn new(env: &str) -> Pointsman {
        let inventory = Path::new(&lab()["INVENTORY_DIR"]).join(format!("{env}.toml"));
        Pointsman {
            inventory,
            state: tempfile::tempdir().unwrap(),
        }
    }

    /// With an inventory of the test's own.
    pub fn with(inventory: PathBuf) -> Pointsman {
        Pointsman {
            inventory,
            state: tempfile::tempdir().unwrap(),
        }
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    /// The same, with these variables in its environment.
    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .arg("-i")
            .arg(&self.inventory)
            .args(args)
            .env("POINTSMAN_STATE_DIR", self.state.path())
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Ran {
            args: args.join(" "),
            output,
        }
    }

    /// Where it keeps its state on this machine.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Runs it and asserts its exit code.
    pub fn expect(&self, args: &[&str], code: i32) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code(), code, "pointsman {}\n{}", ran.args, ran.text());
        ran
    }
}

/// A run of the program that has ended.
pub struct Ran {
    args: String,
    output: Output,
}

impl Ran {
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// All that it printed.
    pub fn text(&self) -> String {
        format!(
            "{}{}",
            self.stdout(),
            String::from_utf8_lossy(&self.output.stderr)
        )
    }

    /// Asserts that it said all of these.
    pub fn says(&self, words: &[&str]) -> &Ran {
        for word in words {
            assert!(
                self.text().contains(word),
                "expected {word:?} of pointsman {}:\n{}",
                self.args,
                self.text()
            );
        }
        self
    }
}

/// How many of these requests failed, with the first few in words.
pub fn lost(shots: &[load::Shot]) -> Vec<String> {
    shots
        .iter()
        .filter_map(|shot| {
            shot.answer
                .as_ref()
                .err()
                .map(|why| format!("{}: {why}", shot.router))
        })
        .collect()
}

/// A run of the program that is under way, in a directory of its own.
pub struct Running {
    child: std::cell::RefCell<Option<std::process::Child>>,
    pid: u32,
    state: tempfile::TempDir,
}

impl Running {
    pub fn start(env: &str, args: &[&str]) -> Running {
        Running::with(
            &Path::new(&lab()["INVENTORY_DIR"]).join(format!("{env}.toml")),
            args,
        )
    }

    /// With the inventory of this one.
    pub fn of(pointsman: &Pointsman, args: &[&str]) -> Running {
        Running::with(&pointsman.inventory, args)
    }

    fn with(inventory: &Path, args: &[&str]) -> Running {
        let state = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .arg("-i")
            .arg(inventory)
            .args(args)
            .env("POINTSMAN_STATE_DIR", state.path())
            // So that its connections can be told from those of other runs.
            .env("TMPDIR", state.path())
            .current_dir(state.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        Running {
            pid: child.id(),
            child: std::cell::RefCell::new(Some(child)),
            state,
        }
    }

    /// The run's journal on this machine, as far as it is written.
    fn journal(&self) -> String {
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
        let mut lines = 1;
        loop {
            let Some(journal) = self.wait_for_lines(lines) else {
                panic!("the run ended before it began to {step}: {:?}", self.wait());
            };
            if journal.contains(&words) {
                return;
            }
            lines = journal.lines().count() + 1;
        }
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
        loop {
            let journal = self.journal();
            if journal.lines().count() >= lines {
                return Some(journal);
            }
            if self.child.borrow_mut().as_mut()?.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(std::time::Duration::from_micros(500)); // the file cannot tell
        }
    }

    /// `kill -9` as soon as the journal has so many lines; the journal as it was left.
    pub fn kill_after_lines(&self, lines: usize) -> Option<String> {
        self.wait_for_lines(lines)?;
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
