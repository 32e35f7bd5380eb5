//! Readers of what HAProxy and our scripts print.

use std::collections::BTreeMap;

use crate::remote::Output;
use crate::switch::{BackendServer, RouterView, Worker};

/// The routes in what `print_routes` of talk.sh printed.
pub(super) fn routes(stdout: &str) -> Result<RouterView, String> {
    let output = Output {
        stdout: stdout.to_owned(),
        ..Output::default()
    };
    if output.section("end").is_none() {
        return Err("the answer was cut".to_owned());
    }
    let text = |name: &str| output.section(name).unwrap_or_default().trim();
    if text("live").is_empty() {
        return Err("expected a value in the map, found none".to_owned());
    }
    let live = text("live").parse()?;
    let persisted = match text("file") {
        "" => None,
        value => Some(value.parse()?),
    };
    let mut workers = Vec::new();
    for line in text("workers").lines() {
        // A worker that ended while it was asked has no value, and serves nobody.
        if let Some((pid, value)) = line.split_once(' ')
            && !value.trim().is_empty()
        {
            workers.push(Worker {
                pid: pid.to_owned(),
                route: value.parse()?,
            });
        }
    }
    Ok(RouterView {
        live,
        persisted,
        workers,
        backends: BTreeMap::new(),
    })
}

/// The servers of each backend, from `show stat` (CSV with its header line).
pub(super) fn servers(csv: &str) -> Result<BTreeMap<String, Vec<BackendServer>>, String> {
    let mut lines = csv.lines().filter(|line| !line.trim().is_empty());
    let header = lines
        .next()
        .and_then(|line| line.strip_prefix("# "))
        .ok_or("expected the header of `show stat`")?;
    let columns: Vec<&str> = header.split(',').collect();
    let column = |name: &str| {
        columns
            .iter()
            .position(|c| *c == name)
            .ok_or_else(|| format!("`show stat` has no column {name}"))
    };
    let (proxy, server, status) = (column("pxname")?, column("svname")?, column("status")?);
    let (active, sessions, queued) = (column("act")?, column("scur")?, column("qcur")?);
    let mut servers = BTreeMap::<String, Vec<BackendServer>>::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        if ["FRONTEND", "BACKEND"].contains(&field(server)) {
            continue;
        }
        // "UP", "UP 1/2" (going down) and "no check" get requests; a backup only when all others are
        // gone, so it counts for nothing (nbsrv() would count it: MEASURED).
        let up = (field(status).starts_with("UP") || field(status) == "no check") && field(active) == "1";
        servers
            .entry(field(proxy).to_owned())
            .or_default()
            .push(BackendServer {
                name: field(server).to_owned(),
                status: field(status).to_owned(),
                up,
                sessions: field(sessions).parse().unwrap_or(0),
                queued: field(queued).parse().unwrap_or(0),
            });
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Pool;

    #[test]
    fn reads_routes_of_all_workers() {
        let text = "\n@@pm:live\ngreen:green:0\n\n@@pm:file\ngreen:green:0\n\n@@pm:workers\n812 blue:blue:0\n813 \n\n@@pm:end\n";
        let view = routes(text).unwrap();
        assert_eq!(view.live.settled(), Some(Pool::Green));
        assert_eq!(view.workers.len(), 1);
        assert!(!view.is_all(Pool::Green), "the old worker still serves blue");
        assert!(routes(&text.replace("@@pm:end", "")).unwrap_err().contains("cut"));
        assert!(
            routes(&text.replace("live\ngreen:green:0", "live\n"))
                .unwrap_err()
                .contains("found none")
        );
    }

    #[test]
    fn counts_only_active_servers_that_are_up() {
        let csv = "# pxname,svname,qcur,qmax,scur,smax,status,weight,act,bck\n\
                   shop_blue,web1,0,0,3,9,UP,1,1,0\nshop_blue,web2,0,0,0,9,DOWN,1,1,0\n\
                   shop_blue,spare,0,0,0,9,UP,1,0,1\nshop_blue,web5,0,0,0,9,UP 1/2,1,1,0\n\
                   shop_blue,web6,0,0,0,9,no check,1,1,0\nshop_blue,web7,0,0,0,9,MAINT,1,1,0\n";
        let servers = servers(csv).unwrap();
        let up: Vec<&str> = servers["shop_blue"]
            .iter()
            .filter(|s| s.up)
            .map(|s| s.name.as_str())
            .collect();
        assert_eq!(up, ["web1", "web5", "web6"]);
        assert_eq!(servers["shop_blue"][0].sessions, 3);
        assert!(super::servers("no header").is_err());
    }
}
