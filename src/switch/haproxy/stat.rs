//! Reads `show stat`: the servers of each backend.

use std::collections::BTreeMap;

use crate::switch::BackendServer;

/// The servers of each backend, from the CSV of `show stat`, which begins with its header line. Columns
/// are found by name: every version of HAProxy adds some.
pub(super) fn servers(csv: &str) -> Result<BTreeMap<String, Vec<BackendServer>>, String> {
    let mut lines = csv.lines().skip_while(|line| !line.starts_with("# "));
    let header = lines
        .next()
        .and_then(|line| line.strip_prefix("# "))
        .ok_or("expected the header of `show stat`, found none")?;
    let columns: Vec<&str> = header.split(',').collect();
    let column = |name: &str| {
        columns
            .iter()
            .position(|c| *c == name)
            .ok_or_else(|| format!("expected a column {name} in `show stat`, found none"))
    };
    let (proxy, server, status) = (column("pxname")?, column("svname")?, column("status")?);
    let (active, sessions, queued) = (column("act")?, column("scur")?, column("qcur")?);
    let mut servers = BTreeMap::<String, Vec<BackendServer>>::new();
    for line in lines.take_while(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        if ["FRONTEND", "BACKEND"].contains(&field(server)) {
            continue;
        }
        let number = |at: usize| {
            field(at)
                .parse::<u64>()
                .map_err(|_| format!("expected a number of requests in `show stat`, found {line:?}"))
        };
        servers
            .entry(field(proxy).to_owned())
            .or_default()
            .push(BackendServer {
                name: field(server).to_owned(),
                status: field(status).to_owned(),
                // `UP 1/2` is about to go down, and gets requests until it does.
                up: field(status).starts_with("UP"),
                active: field(active) == "1",
                sessions: number(sessions)?,
                queued: number(queued)?,
            });
    }
    Ok(servers)
}

/// Adds what is in progress with workers that a reload left behind; each begins with its header line. What else they
/// say of a server is old.
pub(super) fn add_older(servers: &mut BTreeMap<String, Vec<BackendServer>>, csv: &str) -> Result<(), String> {
    // A worker that has ended meanwhile has said nothing of the kind.
    let each = csv.split("# pxname").skip(1);
    for (backend, older) in each
        .map(|rest| self::servers(&format!("# pxname{rest}")))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
    {
        let current = servers.entry(backend).or_default();
        for old in older {
            match current.iter_mut().find(|server| server.name == old.name) {
                Some(server) => {
                    server.sessions += old.sessions;
                    server.queued += old.queued;
                }
                // The new configuration has no such server, so nobody is sent there any more.
                None => current.push(BackendServer {
                    up: false,
                    active: false,
                    ..old
                }),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // As HAProxy 2.6.12 prints it, with fewer columns.
    const CSV: &str = "\
type=str, case=sensitive, found=yes, idx=tree, key=\"shop\", value=\"blue:blue:0\", type=\"str\"

# pxname,svname,qcur,qmax,scur,smax,slim,status,weight,act,bck,-,
web,FRONTEND,,,1,2,3,OPEN,,,,-,
shop_blue,web1,2,0,3,9,,UP,1,1,0,-,
shop_blue,web2,0,0,0,9,,DOWN,1,1,0,-,
shop_blue,spare,0,0,0,9,,UP,1,0,1,-,
shop_blue,web5,0,0,0,9,,UP 1/2,1,1,0,-,
shop_blue,web6,0,0,0,9,,no check,1,1,0,-,
shop_blue,web7,0,0,0,9,,MAINT,1,1,0,-,
shop_blue,BACKEND,0,0,3,9,,UP,3,3,0,-,

";

    #[test]
    fn counts_only_active_servers_that_are_up() {
        let servers = servers(CSV).expect("servers");
        let blue = &servers["shop_blue"];
        let counted: Vec<&str> = blue
            .iter()
            .filter(|s| s.up && s.active)
            .map(|s| s.name.as_str())
            .collect();
        assert_eq!(counted, ["web1", "web5"]);
        assert_eq!(blue.len(), 6, "no FRONTEND, no BACKEND");
        assert_eq!((blue[0].sessions, blue[0].queued), (3, 2));
        assert_eq!(servers.len(), 1);
    }

    #[test]
    fn columns_are_found_by_name() {
        let swapped = "# status,pxname,act,svname,scur,qcur\nUP,shop_blue,1,web1,0,0\n";
        let servers = servers(swapped).expect("servers");
        assert!(servers["shop_blue"][0].up && servers["shop_blue"][0].active);
    }

    #[test]
    fn what_is_not_there_is_said() {
        insta::assert_snapshot!(servers("").expect_err("no header"), @"expected the header of `show stat`, found none");
        insta::assert_snapshot!(servers(&CSV.replace(",act", ",atc")).expect_err("no column"), @"expected a column act in `show stat`, found none");
        insta::assert_snapshot!(servers(&CSV.replace("web1,2,0,3", "web1,2,0,?")).expect_err("no number"), @r#"expected a number of requests in `show stat`, found "shop_blue,web1,2,0,?,9,,UP,1,1,0,-,""#);
    }
}
