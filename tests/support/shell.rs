//! A shell as on a router: what it does with our scripts.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use pointsman::remote::{Output, Script};

/// Programs that the scripts use, besides the one that speaks to a socket.
const TOOLS: [&str; 18] = [
    "sh", "awk", "base64", "cat", "cmp", "cp", "flock", "grep", "head", "id", "mkfifo", "mktemp", "mv", "rm",
    "sleep", "sync", "timeout", "tr",
];

/// A folder to be the PATH of a router where only this program speaks to sockets; `None` where this machine does
/// not have it.
pub fn only(dir: &Path, helper: &str) -> Option<PathBuf> {
    let bin = dir.join(format!("bin-{helper}"));
    fs::create_dir_all(&bin).expect("made");
    for tool in TOOLS.iter().chain([&helper]) {
        let Some(real) = which(tool) else {
            assert_eq!(*tool, helper, "{tool} is not installed");
            return None;
        };
        let _ = symlink(real, bin.join(tool));
    }
    Some(bin)
}

/// Runs a script that changes nothing.
pub fn read(script: &Script) -> Output {
    finish(
        shell(&format!("{}\n", script.render().expect("a script")), None),
        String::new(),
    )
}

/// Prepares a flip as the guard does, up to the word. The error is what `prepare` complained of.
pub fn arm(script: &Script, path: Option<&Path>) -> Result<Armed, String> {
    // `render` defines both functions; what follows is what guard.sh does with them.
    let text = format!(
        "{}\n{}",
        script.render().expect("a script"),
        "prepare </dev/null || exit $?\necho armed\nread -r word || :\n[ \"$word\" = commit ] || exit 11\n\
         trap '' TERM HUP PIPE\ncommit </dev/null\n"
    );
    let mut child = shell(&text, path);
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut said = String::new();
    while !said.ends_with("armed\n") {
        if stdout.read_line(&mut said).expect("text") == 0 {
            return Err(finish(child, said).complaint().to_owned());
        }
    }
    Ok(Armed { child, stdout })
}

/// A prepared flip.
pub struct Armed {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Armed {
    /// The word.
    pub fn commit(mut self) -> Output {
        let mut stdin = self.child.stdin.take().expect("piped");
        stdin.write_all(b"commit\n").expect("sent");
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).expect("text");
        finish(self.child, said)
    }

    /// The connection breaks before the word.
    pub fn cut(mut self) -> Output {
        drop(self.child.stdin.take());
        finish(self.child, String::new())
    }

    /// Process id of its shell.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Killed as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

/// `sh` with a script as its argument, so that its standard input is the channel.
fn shell(text: &str, path: Option<&Path>) -> Child {
    let mut command = Command::new(std::env::var("POINTSMAN_TEST_SH").unwrap_or_else(|_| "sh".into()));
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command
        .args(["-c", text])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell")
}

fn finish(child: Child, said: String) -> Output {
    let output = child.wait_with_output().expect("ended");
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: said + &String::from_utf8_lossy(&output.stdout),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

fn which(tool: &str) -> Option<PathBuf> {
    if tool == "python3" {
        // Where a version manager stands in front of it, the real one.
        let output = Command::new(tool)
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .ok()?;
        return Some(String::from_utf8(output.stdout).ok()?.trim().into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(tool))
        .find(|file| file.is_file())
}
