//! Reads what our scripts print.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Target;
use crate::inventory::Pool;
use crate::remote::Output;
use crate::switch::{BackendServer, Route, RouterView};

/// The routes that `print_routes` of fetch.sh printed, without servers.
pub(super) fn routes(output: &Output) -> Result<RouterView, String> {
    if output.section("end").is_none() {
        return Err("the answer was cut".to_owned());
    }
    let pool = |name: &str| {
        let word = output.section(name).unwrap_or_default().trim();
        match Pool::ALL.into_iter().find(|pool| pool.as_str() == word) {
            Some(pool) => Ok(Some(pool)),
            None if word.is_empty() => Ok(None),
            None => Err(format!("expected blue or green as {name}, found {word:?}")),
        }
    };
    let live = pool("live")?.ok_or("expected the program to say which pool it uses, found nothing")?;
    Ok(RouterView {
        live: Route::all(live),
        persisted: pool("flag")?.map(Route::all),
        workers: Vec::new(),
        problems: Vec::new(),
        backends: BTreeMap::new(),
        left_out: BTreeMap::new(),
        caches: None,
    })
}

/// The servers of both pools: how each answered this router, and how many connections it has to each.
pub(in crate::switch) fn servers(targets: &[Target], output: &Output) -> BTreeMap<Pool, Vec<BackendServer>> {
    let lines = |name: &str| output.section(name).unwrap_or_default().lines();
    let found: BTreeMap<(&str, &str), &str> = lines("servers").filter_map(three).collect();
    let open: BTreeMap<SocketAddr, u64> = lines("sockets")
        .filter_map(|line| {
            let (to, count) = line.split_once(' ')?;
            Some((endpoint(to)?, count.trim().parse().ok()?))
        })
        .fold(BTreeMap::new(), |mut sum, (to, count): (SocketAddr, u64)| {
            *sum.entry(to).or_default() += count;
            sum
        });
    let mut addresses = BTreeMap::<(&str, &str), Vec<SocketAddr>>::new();
    for ((pool, name), rest) in lines("addresses").filter_map(three) {
        let Some((address, port)) = rest.split_once(' ') else {
            continue;
        };
        if let (Ok(address), Ok(port)) = (address.parse::<IpAddr>(), port.parse()) {
            addresses
                .entry((pool, name))
                .or_default()
                .push(SocketAddr::new(address, port));
        }
    }
    let mut backends: BTreeMap<Pool, Vec<BackendServer>> =
        Pool::ALL.into_iter().map(|pool| (pool, Vec::new())).collect();
    for target in targets {
        let key = (target.pool.as_str(), target.name.as_str());
        let status = found.get(&key).copied().unwrap_or("DOWN (not asked)");
        let to = addresses.get(&key).map_or(&[][..], Vec::as_slice);
        backends.entry(target.pool).or_default().push(BackendServer {
            name: target.name.clone(),
            status: status.trim().to_owned(),
            up: status.trim() == "UP",
            active: true,
            sessions: to.iter().filter_map(|to| open.get(to)).sum(),
            queued: 0,
        });
    }
    backends
}

/// `POOL NAME REST`.
fn three(line: &str) -> Option<((&str, &str), &str)> {
    let (pool, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once(' ')?;
    Some(((pool, name), rest))
}

/// `ADDRESS:PORT` of `/proc/net/tcp` and `tcp6`: hexadecimal, each 32 bits of the address as this machine's kind of
/// processor (little endian) holds them. IPv4 within IPv6 is IPv4.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_le_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: &str = "\n@@pm:live\ngreen\n\n@@pm:flag\ngreen\n\n@@pm:servers\nblue web1 UP \ngreen web2 DOWN (status 500) \n\n@@pm:sockets\n0100007F:0050 3\n0000000000000000FFFF00000100007F:0050 1\n00000000000000000000000001000000:0051 2\n\n@@pm:addresses\nblue web1 127.0.0.1 80\ngreen web2 ::1 81\n\n@@pm:end\n";

    fn printed(stdout: &str) -> Output {
        Output {
            stdout: stdout.to_owned(),
            ..Output::default()
        }
    }

    fn target(pool: Pool, name: &str) -> Target {
        Target {
            pool,
            name: name.to_owned(),
            address: String::new(),
            port: 80,
        }
    }

    #[test]
    fn reads_routes_and_servers() {
        let output = printed(SEEN);
        assert!(routes(&output).expect("routes").is_all(Pool::Green));
        let of = [
            target(Pool::Blue, "web1"),
            target(Pool::Green, "web2"),
            target(Pool::Green, "web3"),
        ];
        let servers = servers(&of, &output);
        let blue = &servers[&Pool::Blue][0];
        assert_eq!((blue.up, blue.sessions), (true, 4));
        let words: Vec<_> = servers[&Pool::Green]
            .iter()
            .map(|server| (server.status.as_str(), server.up, server.sessions))
            .collect();
        assert_eq!(
            words,
            [("DOWN (status 500)", false, 2), ("DOWN (not asked)", false, 0)]
        );
    }

    #[test]
    fn nothing_is_guessed() {
        let wrong = |from: &str, to: &str| routes(&printed(&SEEN.replace(from, to))).expect_err("no routes");
        insta::assert_snapshot!(wrong("@@pm:end\n", ""), @"the answer was cut");
        insta::assert_snapshot!(wrong("live\ngreen", "live\n"), @"expected the program to say which pool it uses, found nothing");
        insta::assert_snapshot!(wrong("live\ngreen", "live\nred"), @r#"expected blue or green as live, found "red""#);
        let unknown = routes(&printed(&SEEN.replace("flag\ngreen", "flag\n"))).expect("routes");
        assert!(
            !unknown.is_all(Pool::Green),
            "a flag that cannot be read agrees with nothing"
        );
    }
}
