//! What the servers themselves say, read past the program under test: it is judged by this, never by its own word.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::lab;

/// A root shell on a server that stays open, so that a look, or a fault, costs a millisecond and not the start of
/// several programs.
pub struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// What no command prints.
const END: &str = "@@lab:end";

impl Shell {
    /// In the server.
    pub fn on(host: &str) -> Shell {
        Shell::by(&["root", host, "sh"])
    }

    /// In the server's network alone, with this machine's programs: a router has no packet filter of its own.
    pub fn in_network(host: &str) -> Shell {
        Shell::by(&["net", host, "sh"])
    }

    fn by(args: &[&str]) -> Shell {
        let mut child = Command::new(super::root().join("tests/lab/lab"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let stdout = BufReader::new(stdout);
        let mut shell = Shell { child, stdin, stdout };
        assert_eq!(shell.ask("echo here").trim(), "here", "a shell by {args:?}");
        shell
    }

    /// What a command prints on standard output.
    pub fn ask(&mut self, command: &str) -> String {
        writeln!(self.stdin, "{{ {command}\n}} </dev/null; printf '\\n{END}\\n'").unwrap();
        let mut text = String::new();
        loop {
            let from = text.len();
            let read = self.stdout.read_line(&mut text).unwrap();
            assert!(read > 0, "the shell ended while it ran {command}");
            if text[from..].trim_end() == END {
                text.truncate(from);
                return text.trim_end().to_owned();
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one router does and keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterSeen {
    /// Its name.
    pub name: &'static str,
    /// The pool in HAProxy's memory, and in its file.
    pub live: String,
    pub file: String,
    /// What a request through it is answered: a release.
    pub answers: String,
    /// The run that holds the lock; empty where nobody does.
    pub holder: String,
    pub epoch: u64,
    /// Claims, as `POOL RUN`.
    pub claims: String,
    /// Releases that are recorded as proven, as `POOL ID`.
    pub proven: String,
}

/// The environment `two-pools`, from outside.
pub struct Outside {
    shells: Vec<(&'static str, RefCell<Shell>)>,
}

/// Where pointsman keeps its records on every server.
pub const STATE: &str = "/home/deploy/shop/.pointsman/shop/two-pools";

/// Hosts of each pool.
const POOLS: [(&str, [&str; 2]); 2] = [("blue", ["web1", "web2"]), ("green", ["web3", "web4"])];

impl Outside {
    pub fn new() -> Outside {
        let hosts = ["lb1", "lb2", "web1", "web2", "web3", "web4"];
        Outside {
            shells: hosts.map(|host| (host, RefCell::new(Shell::on(host)))).into(),
        }
    }

    /// What a command prints on a server.
    pub fn ask(&self, host: &str, command: &str) -> String {
        let (_, shell) = self.shells.iter().find(|(name, _)| *name == host).unwrap();
        shell.borrow_mut().ask(command)
    }

    /// One router.
    pub fn router(&self, name: &'static str) -> RouterSeen {
        let text = self.ask(
            name,
            &format!(
                "lab-ask show map /etc/haproxy/pointsman/pools.map | awk '$2 == \"shop\" {{ print $3 }}'
                 awk '$1 == \"shop\" {{ print $2 }}' /etc/haproxy/pointsman/pools.map
                 cd {STATE} 2>/dev/null || cd /var/empty
                 echo \"h $(cat holder 2>/dev/null)\"; echo \"e $(cat epoch 2>/dev/null || echo 0)\"
                 echo \"c $(for c in claims/*; do [ ! -f $c ] || echo \"${{c#*/}} $(cat $c)\"; done)\"
                 echo \"p $(for p in proven/*.json; do [ ! -f $p ] || echo \"${{p#*/}} $(sha256sum <$p)\"; done)\""
            ),
        );
        let mut lines = text.lines();
        let mut pool = || {
            lines
                .next()
                .and_then(|line| line.split(':').next())
                .unwrap_or_default()
                .to_owned()
        };
        let (live, file) = (pool(), pool());
        let rest: Vec<&str> = lines.collect();
        let after = |mark: &str, until: &str| {
            let from = rest.iter().position(|line| line.starts_with(mark)).unwrap();
            let to = rest[from..]
                .iter()
                .position(|line| !until.is_empty() && line.starts_with(until));
            let lines = &rest[from..to.map_or(rest.len(), |to| from + to)];
            lines.join("; ").trim_start_matches(mark).trim().to_owned()
        };
        RouterSeen {
            name,
            live,
            file,
            answers: get(&lab()[&name.to_uppercase()], "/version"),
            holder: after("h ", "e "),
            epoch: after("e ", "c ").parse().unwrap(),
            claims: after("c ", "p "),
            proven: after("p ", ""),
        }
    }

    /// Both routers.
    pub fn routers(&self) -> [RouterSeen; 2] {
        ["lb1", "lb2"].map(|name| self.router(name))
    }

    /// The pool that both routers use, in memory, in their files and by what they answer.
    ///
    /// # Errors
    /// What is not alike, in words.
    pub fn hot(&self) -> Result<String, String> {
        let seen = self.routers();
        let pool = seen[0].live.clone();
        let alike = seen
            .iter()
            .all(|router| router.live == pool && router.file == pool);
        let Some((_, hosts)) = POOLS.iter().find(|(name, _)| *name == pool).filter(|_| alike) else {
            return Err(format!("not all of one pool: {seen:?}"));
        };
        let direct = hosts.map(|host| get(&lab()[&host.to_uppercase()], "/version"));
        let same = |tag: &String| !tag.is_empty() && *tag == direct[0];
        if direct.iter().all(same) && seen.iter().all(|router| same(&router.answers)) {
            Ok(pool)
        } else {
            Err(format!("not all of one release: {direct:?} on {pool}, {seen:?}"))
        }
    }

    /// Who holds the lock on any router; empty where nobody does.
    pub fn holder(&self) -> String {
        let holders = self.routers().map(|router| router.holder);
        holders
            .into_iter()
            .find(|holder| !holder.is_empty())
            .unwrap_or_default()
    }

    /// Runs with a journal line on a server.
    pub fn runs(&self, host: &str) -> Vec<String> {
        let text = self.ask(
            host,
            &format!(
                "cd {STATE}/runs 2>/dev/null || true; for d in */; do [ ! -d $d ] || echo ${{d%/}}; done"
            ),
        );
        text.lines().map(str::to_owned).collect()
    }

    /// Containers on a host of the app, in any state.
    pub fn containers(&self, host: &str) -> usize {
        self.ask(host, "docker ps -aq --filter label=pointsman.env=two-pools")
            .lines()
            .count()
    }

    /// Hosts of a pool.
    pub fn hosts(pool: &str) -> [&'static str; 2] {
        POOLS.iter().find(|(name, _)| *name == pool).unwrap().1
    }
}

/// The body of one answer, from port 80; empty where there is none.
pub fn get(address: &str, path: &str) -> String {
    let mut answer = String::new();
    let _ = TcpStream::connect((address, 80)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
        )?;
        stream.read_to_string(&mut answer)
    });
    if !answer.starts_with("HTTP/1.1 200") {
        return String::new();
    }
    answer
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Numbers that look random; the seed is printed, so that a failure can be played again.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    /// 0 up to, not including, `below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
