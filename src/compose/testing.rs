//! Runs rendered scripts for real, in a shell of this machine, with a pretended docker in the path.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::inventory::Pool;
use crate::remote::{Output, Script};

use super::project::Project;

/// A project whose state lies in a folder of this machine.
pub fn project(state: &Path) -> Project {
    Project::new("shop", "production", Pool::Blue, state.to_str().unwrap())
}

/// Runs a script as a host would: `sh -s` with the text on standard input.
pub fn run(script: &Script) -> Output {
    run_text(script.render().unwrap().as_bytes())
}

/// The same with a text, which need not be whole.
pub fn run_text(text: &[u8]) -> Output {
    let mut child = Command::new("sh")
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    let ended = child.wait_with_output().unwrap();
    Output {
        code: ended.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

/// Puts a program with this sh body into `bin`.
pub fn program(bin: &Path, name: &str, body: &str) {
    std::fs::create_dir_all(bin).unwrap();
    let path = bin.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// The script with `bin` before everything else in its path.
pub fn with_path(script: Script, bin: &Path) -> Script {
    script.export("PATH", format!("{}:/usr/bin:/bin", bin.display()))
}

/// Permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
