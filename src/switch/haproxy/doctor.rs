//! What `doctor` says of an HAProxy router.

use super::{DOCTOR, Haproxy, READ, read};
use crate::inventory::{Pool, Router};
use crate::remote::Session;
use crate::switch::{Finding, Route};

const SEE: &str = "`pointsman switch config` prints the lines that it needs";

pub(super) async fn look(haproxy: &Haproxy, session: &Session, router: &Router) -> Vec<Finding> {
    let name = router.name.as_str();
    let settings = &haproxy.settings;
    let output = match session.read(&haproxy.script(DOCTOR), READ).await {
        Ok(output) if output.section("end").is_some() => output,
        Ok(output) => {
            return vec![Finding::bad(
                name,
                format!("cannot be looked at: {}", output.complaint()),
                SEE,
            )];
        }
        Err(error) => return vec![Finding::bad(name, error.to_string(), "see the error")],
    };
    let text = |section: &str| output.section(section).unwrap_or_default().trim();
    let mut findings = Vec::new();
    let mut look = |ok: bool, what: String, hint: &str| {
        findings.push(if ok {
            Finding::good(name, what)
        } else {
            Finding::bad(name, what, hint)
        });
    };
    look(
        !text("helper").is_empty(),
        match text("helper") {
            "" => "expected socat, perl, python3 or nc -U to speak to HAProxy, found none".to_owned(),
            helper => format!("speaks to HAProxy by {helper}"),
        },
        "install one of them, e.g. `apt-get install socat`",
    );
    let missing = missing_tools(text("tools"));
    look(
        missing.is_empty(),
        tools_in_words(&missing),
        "install util-linux, coreutils and awk",
    );
    if !text("socket").contains("there") {
        look(
            false,
            format!(
                "expected HAProxy's admin socket at {}, found none",
                settings.socket
            ),
            "is HAProxy running? check [switch.haproxy] socket",
        );
        return findings;
    }
    look(
        text("socket").contains("writable"),
        format!("the admin socket {} can be used", settings.socket),
        "let the deploy user use it: `stats socket ... mode 660 group haproxy`, and put the user into that group",
    );
    let version = text("info")
        .lines()
        .find_map(|l| l.strip_prefix("Version:"))
        .map(str::trim)
        .unwrap_or("unknown");
    look(
        !text("info").is_empty(),
        format!("HAProxy {version} answers on {}", settings.socket),
        "is HAProxy running? is the socket its own?",
    );
    look(
        text("level") == "admin",
        format!(
            "expected level admin of {}, found {:?}",
            settings.socket,
            text("level")
        ),
        "`stats socket ... level admin` is what HAProxy documents for changing a map",
    );
    if settings.master_socket.is_some() {
        look(
            text("master") == "writable",
            format!(
                "the master socket {} can be used",
                settings.master_socket.as_deref().unwrap_or_default()
            ),
            "start HAProxy with `-W -S /run/haproxy/master.sock,mode,660,group,haproxy`: workers that a reload left behind are reached by it",
        );
    }
    let map = text("map");
    let known = !map.to_lowercase().contains("unknown map");
    look(
        known,
        format!(
            "HAProxy {} the map {}",
            if known { "knows" } else { "does not know" },
            settings.map
        ),
        SEE,
    );
    if known {
        let value = map.lines().find_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            (words.next() == Some(settings.key.as_str())).then(|| words.next().unwrap_or_default().to_owned())
        });
        let route = value.as_deref().map(str::parse::<Route>);
        let words = match &route {
            Some(Ok(route)) => format!("the map sends {} to {route}", settings.key),
            Some(Err(problem)) => problem.clone(),
            None => format!("expected the key {} in the map, found none", settings.key),
        };
        look(
            matches!(route, Some(Ok(_))),
            words,
            &format!(
                "add the line `{} blue:blue:0` to {} and reload",
                settings.key, settings.map
            ),
        );
        let file = text("file-value");
        look(
            value.as_deref() == Some(file),
            format!(
                "the map file says {file:?}, HAProxy serves {:?}: both alike, so a reload keeps the pool",
                value.unwrap_or_default()
            ),
            "`pointsman flip --to POOL` writes both",
        );
    }
    let file = text("file");
    look(
        file.contains("there") && !file.contains("link") && file.contains("folder-writable"),
        format!(
            "the map file {} is a plain file in a folder that the deploy user may write",
            settings.map
        ),
        "the flip renames a new file into place: the folder must belong to the deploy user",
    );
    let servers = read::servers(text("stat")).unwrap_or_default();
    for pool in Pool::ALL {
        let backend = haproxy.backend(pool);
        let there = text("backends").lines().any(|line| line.trim() == backend);
        let words = match servers.get(&backend) {
            Some(servers) => {
                let list = servers
                    .iter()
                    .map(|s| format!("{} {}", s.name, s.status))
                    .collect::<Vec<_>>()
                    .join(", ");
                format!("backend {backend}: {list}")
            }
            None if there => format!("expected servers in backend {backend}, found none"),
            None => format!("expected a backend {backend}, found none"),
        };
        look(servers.contains_key(&backend), words, SEE);
    }
    findings
}

fn missing_tools(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn tools_in_words(missing: &[String]) -> String {
    if missing.is_empty() {
        "has the tools that the guard needs".to_owned()
    } else {
        format!("expected {} on it, found none", missing.join(", "))
    }
}
