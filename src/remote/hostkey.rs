//! Fingerprints for the message about a host key that is not the known one: both are shown, so
//! that a person can compare them with the server's console.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::server::Server;
use crate::inventory::Ssh;

/// Longest that looking for fingerprints may delay the error that they explain.
const LOOK: Duration = Duration::from_secs(5);

/// Two lines: the keys that are known for the server, and those that it shows now. What it shows
/// is not trusted for anything but this message.
pub(super) async fn fingerprints(server: &Server, ssh: &Ssh) -> String {
    let known = known(server, ssh).await;
    let shown = shown(server, ssh).await;
    format!(
        "expected: {}\nfound:    {}",
        or_none(&known, "no key of it in known_hosts"),
        or_none(&shown, "no key shown")
    )
}

fn or_none(lines: &[String], none: &str) -> String {
    if lines.is_empty() {
        none.to_owned()
    } else {
        lines.join(", ")
    }
}

async fn known(server: &Server, ssh: &Ssh) -> Vec<String> {
    let name = match server.port.or(ssh.port) {
        Some(port) if port != 22 => format!("[{}]:{port}", server.address),
        _ => server.address.clone(),
    };
    let mut command = Command::new("ssh-keygen");
    command.args(["-l", "-F", &name]);
    if let Some(file) = &ssh.known_hosts {
        command.arg("-f").arg(file);
    }
    // Each line is `NAME TYPE FINGERPRINT`, after a comment line.
    lines(command, None)
        .await
        .iter()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| fingerprint(l))
        .collect()
}

async fn shown(server: &Server, ssh: &Ssh) -> Vec<String> {
    let mut scan = Command::new("ssh-keyscan");
    scan.args(["-T", "3"]);
    if let Some(port) = server.port.or(ssh.port) {
        scan.args(["-p", &port.to_string()]);
    }
    scan.args(["--", &server.address]);
    let keys = lines(scan, None).await.join("\n");
    let mut show = Command::new("ssh-keygen");
    show.args(["-l", "-f", "-"]);
    lines(show, Some(keys))
        .await
        .iter()
        .filter_map(|l| fingerprint(l))
        .collect()
}

/// `SHA256:...` with the key's type, from a line of `ssh-keygen -l`.
fn fingerprint(line: &str) -> Option<String> {
    let hash = line.split_whitespace().find(|word| word.starts_with("SHA256:"))?;
    let kind = line
        .split_whitespace()
        .map(|word| word.trim_matches(['(', ')']))
        .find(|word| ["ED25519", "ECDSA", "RSA"].contains(word))
        .unwrap_or("key");
    Some(format!("{kind} {hash}"))
}

async fn lines(mut command: Command, input: Option<String>) -> Vec<String> {
    use tokio::io::AsyncWriteExt as _;
    let run = async {
        let mut child = command
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(text.as_bytes()).await.ok()?;
        }
        child.wait_with_output().await.ok()
    };
    match tokio::time::timeout(LOOK, run).await {
        Ok(Some(output)) => String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn reads_both_forms_of_keygen() {
        assert_eq!(
            fingerprint("10.0.0.1 ED25519 SHA256:abc"),
            Some("ED25519 SHA256:abc".to_owned())
        );
        assert_eq!(
            fingerprint("256 SHA256:xyz 10.0.0.1 (ECDSA)"),
            Some("ECDSA SHA256:xyz".to_owned())
        );
        assert_eq!(fingerprint("# Host 10.0.0.1 found: line 3"), None);
    }
}
