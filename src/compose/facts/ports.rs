//! Who listens on a port: what the kernel tells, and what the engine publishes.

use super::Found;

/// Somebody on a port that the pool wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// The program, where this user may know it.
    pub process: Option<String>,
    /// The container that publishes it.
    pub container: Option<String>,
    /// That container's Compose project.
    pub project: Option<String>,
}

/// The listeners on `ports`, in that order. A published port counts even where the kernel shows
/// no listener: an engine may publish by packet filter alone.
pub(super) fn listeners(
    kernel: &str,
    containers: &[(Found, String, String)],
    ports: &[u16],
) -> Vec<Listener> {
    let (kind, rows) = kernel.split_once('\n').unwrap_or((kernel, ""));
    let heard: Vec<(u16, Option<String>)> = match kind.trim() {
        "ss" => rows.lines().filter_map(ss_row).collect(),
        _ => rows
            .lines()
            .filter_map(proc_row)
            .map(|port| (port, None))
            .collect(),
    };
    ports
        .iter()
        .filter_map(|&port| {
            let by_kernel: Vec<_> = heard.iter().filter(|(p, _)| *p == port).collect();
            let by_engine = containers.iter().find(|(c, _, _)| c.published.contains(&port));
            if by_kernel.is_empty() && by_engine.is_none() {
                return None;
            }
            Some(Listener {
                port,
                process: by_kernel.iter().find_map(|(_, process)| process.clone()),
                container: by_engine.map(|(c, _, _)| c.name.clone()),
                project: by_engine
                    .map(|(c, _, _)| c.project.clone())
                    .filter(|p| !p.is_empty()),
            })
        })
        .collect()
}

/// `LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=7,fd=6))`.
fn ss_row(row: &str) -> Option<(u16, Option<String>)> {
    let mut words = row.split_whitespace();
    if words.next()? != "LISTEN" {
        return None;
    }
    let port = words.nth(2)?.rsplit(':').next()?.parse().ok()?;
    let process = row
        .split_once("users:((\"")
        .and_then(|(_, rest)| rest.split('"').next())
        .map(str::to_owned);
    Some((port, process))
}

/// `  0: 00000000:0050 00000000:0000 0A ...`, after a file name and a colon when grep read two.
fn proc_row(row: &str) -> Option<u16> {
    let mut words = row
        .split_whitespace()
        .skip_while(|word| !word.contains(':') || word.ends_with(':'));
    let local = words.next()?;
    let state = words.nth(1)?;
    if state != "0A" {
        return None;
    }
    u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
}

/// `0.0.0.0:80->80/tcp, :::80->80/tcp, 8080/tcp, 0.0.0.0:3000-3001->3000-3001/tcp`, without UDP.
pub(super) fn published(text: &str) -> Vec<u16> {
    let mut ports: Vec<u16> = text
        .split(',')
        .filter(|part| part.trim().ends_with("/tcp"))
        .filter_map(|part| part.split_once("->"))
        .filter_map(|(host, _)| {
            let range = host.rsplit(':').next()?;
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
        })
        .flatten()
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, project: &str, ports: &str) -> (Found, String, String) {
        let found = Found {
            id: "1".into(),
            name: name.into(),
            state: "running".into(),
            project: project.into(),
            service: "web".into(),
            ours: false,
            release: None,
            published: published(ports),
        };
        (found, String::new(), String::new())
    }

    #[test]
    fn reads_what_the_engine_publishes() {
        assert_eq!(published("0.0.0.0:80->80/tcp, :::80->80/tcp, 8080/tcp"), [80]);
        assert_eq!(
            published("127.0.0.1:3000-3002->3000-3002/tcp, 0.0.0.0:53->53/udp"),
            [3000, 3001, 3002]
        );
        assert_eq!(published(""), [0u16; 0]);
    }

    #[test]
    fn ss_names_the_program_where_it_may() {
        let kernel = "ss\nState Recv-Q Send-Q Local Address:Port Peer\nLISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:((\"nginx\",pid=7,fd=6))\nLISTEN 0 128 [::]:22 [::]:*\n";
        let found = listeners(kernel, &[], &[80, 22, 443]);
        assert_eq!(found.iter().map(|l| l.port).collect::<Vec<_>>(), [80, 22]);
        assert_eq!(found[0].process.as_deref(), Some("nginx"));
        assert_eq!(found[1].process, None);
    }

    #[test]
    fn the_kernel_s_own_table_will_do() {
        let kernel = "proc\n/proc/net/tcp:   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n/proc/net/tcp6:   1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n/proc/net/tcp:   2: 0100007F:0051 00000000:0000 01 0 0A 0\n";
        let found = listeners(kernel, &[], &[80, 81, 8080]);
        assert_eq!(found.iter().map(|l| l.port).collect::<Vec<_>>(), [80, 8080]);
    }

    #[test]
    fn a_container_is_named_with_its_project() {
        let all = [container("old-web-1", "old", "0.0.0.0:80->80/tcp")];
        assert_eq!(
            listeners("ss\n", &all, &[80]),
            [Listener {
                port: 80,
                process: None,
                container: Some("old-web-1".into()),
                project: Some("old".into()),
            }]
        );
    }
}
