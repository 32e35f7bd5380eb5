//! What the lab's tests share: the lab itself, the program under test, and the load.
#![allow(dead_code, clippy::unwrap_used)]

pub mod kills;
pub mod load;
pub mod outside;
pub mod running;
pub mod sampler;
pub mod scene;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

pub use running::Running;

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

    /// Its local state is gone.
    pub fn forget(&self) {
        std::fs::remove_dir_all(self.state.path()).unwrap();
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_in(self.state.path(), args, &[])
    }

    /// The same, with these variables in its environment.
    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        self.run_in(self.state.path(), args, variables)
    }

    fn run_in(&self, state: &Path, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .arg("-i")
            .arg(&self.inventory)
            .args(args)
            .env("POINTSMAN_STATE_DIR", state)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Ran {
            args: args.join(" "),
            output,
        }
    }

    /// As [`Pointsman::expect`], with its state in this folder.
    pub fn expect_in(&self, state: &str, args: &[&str], code: i32) -> Ran {
        let ran = self.run_in(Path::new(state), args, &[]);
        assert_eq!(ran.code(), code, "pointsman {}\n{}", ran.args, ran.text());
        ran
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
