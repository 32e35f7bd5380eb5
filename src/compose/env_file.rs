//! What may be known of an env file: which names have a value, and where the database listens.
//! Values stay inside this file's functions; none of them is ever printed.

use std::collections::BTreeSet;

/// The names that have a value that is not blank, sorted. Meant for comparing two env files: a name
/// that was there before and is now gone or blank is a lost setting (FAULTS.md 27).
pub fn keys_with_value(text: &str) -> Vec<String> {
    // The last line of a name decides, as in Compose.
    let mut keys = BTreeSet::new();
    for (name, value) in lines(text) {
        if value.trim().is_empty() {
            keys.remove(name);
        } else {
            keys.insert(name);
        }
    }
    keys.into_iter().map(str::to_owned).collect()
}

/// Where the URL in variable `key` leads: host and port, with the usual port of its scheme when it
/// names none. `None` when the variable is absent, is no URL with a host, or its scheme is unknown:
/// then there is nothing that could be waited for.
pub fn database_address(text: &str, key: &str) -> Option<(String, u16)> {
    let (_, url) = lines(text).filter(|(name, _)| *name == key).last()?;
    address(url)
}

fn address(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let default = match scheme.to_ascii_lowercase().as_str() {
        "postgres" | "postgresql" | "postgis" => 5432,
        "mysql" | "mysql2" | "trilogy" | "mariadb" => 3306,
        "redis" | "rediss" => 6379,
        "sqlserver" | "mssql" => 1433,
        "mongodb" => 27017,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    // A password may contain `@` where its owner forgot to encode it; a host never does.
    let host_port = authority.rsplit('@').next()?;
    // A cluster names several; any of them that accepts will do, so the first is asked.
    let first = host_port.split(',').next()?;
    let (host, port) = if let Some(v6) = first.strip_prefix('[') {
        let (host, after) = v6.split_once(']')?;
        (host, after.strip_prefix(':'))
    } else {
        match first.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (first, None),
        }
    };
    if host.is_empty() {
        // A unix socket: there is no port to wait for.
        return None;
    }
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => default,
    };
    Some((host.to_owned(), port))
}

/// `NAME=value` lines, without comments, `export ` and one pair of quotes around the value.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        if line.starts_with('#') {
            return None;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then(|| (name, unquoted(value.trim())))
    })
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_database() {
        for (url, expected) in [
            (
                "postgres://shop:secret@10.0.0.9:6432/shop",
                Some(("10.0.0.9", 6432)),
            ),
            (
                "postgresql://db.example.com/shop?sslmode=require",
                Some(("db.example.com", 5432)),
            ),
            ("mysql2://root:p@ss@db/shop", Some(("db", 3306))),
            ("rediss://:x@cache", Some(("cache", 6379))),
            ("postgres://u:p@[fd00::1]:5433/x", Some(("fd00::1", 5433))),
            ("postgres://u:p@[fd00::1]/x", Some(("fd00::1", 5432))),
            ("postgres://a:1,b:2/x", Some(("a", 1))),
            ("postgres:///x?host=/run/postgresql", None),
            ("sqlite3:db/x.sqlite3", None),
            ("http://example.com", None),
            ("postgres://db:notaport/x", None),
        ] {
            let text = format!("# DATABASE_URL=postgres://old/\nOTHER=1\nexport DATABASE_URL=\"{url}\"\n");
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(database_address(&text, "DATABASE_URL"), expected, "{url}");
        }
        assert_eq!(database_address("OTHER=postgres://db/x", "DATABASE_URL"), None);
    }

    #[test]
    fn a_blank_value_is_no_value_and_the_last_line_wins() {
        let text = "A=1\nB=\nC=''\nD=\"x\"\n#E=1\nF=1\nF=\n G = 2\nnot a line\n";
        assert_eq!(keys_with_value(text), ["A", "D", "G"]);
    }

    proptest! {
        #[test]
        fn no_env_file_makes_it_fall_over(text in "(?s).{0,200}") {
            let _ = keys_with_value(&text);
            let _ = database_address(&text, "DATABASE_URL");
        }
    }
}
