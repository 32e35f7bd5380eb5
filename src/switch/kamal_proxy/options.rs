//! What the user's options of `kamal-proxy deploy` come to, as its list would show it.

/// The options that the list shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Host names with commas, `*` for all.
    pub(super) hosts: String,
    /// Path prefixes with commas.
    pub(super) paths: String,
    /// Whether it serves TLS.
    pub(super) tls: bool,
    /// An option that names targets.
    pub(super) targets: Option<String>,
}

impl Options {
    pub(super) fn of(words: &[String]) -> Options {
        let (mut hosts, mut paths, mut tls, mut targets) = (Vec::new(), Vec::new(), false, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, own) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let mut value = || {
                own.or_else(|| words.next().map(String::as_str))
                    .unwrap_or_default()
            };
            match name {
                "--host" => hosts.extend(value().split(',').map(str::to_owned)),
                "--path-prefix" => {
                    let prefixes = value().split(',');
                    paths.extend(prefixes.map(|prefix| format!("/{}", prefix.trim_matches('/'))));
                }
                // A flag that is on or off has its value behind `=` only.
                "--tls" => {
                    tls = own.is_none_or(|on| matches!(on, "1" | "t" | "T" | "true" | "TRUE" | "True"))
                }
                "--target" | "--read-target" => targets = Some(word.clone()),
                _ => {}
            }
        }
        let or = |list: Vec<String>, none: &str| match list.join(",") {
            list if list.is_empty() => none.to_owned(),
            list => list,
        };
        Options {
            hosts: or(hosts, "*"),
            paths: or(paths, "/"),
            tls,
            targets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Options {
        Options::of(&words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn as_the_list_shows_them() {
        let plain = Options {
            hosts: "*".to_owned(),
            paths: "/".to_owned(),
            tls: false,
            targets: None,
        };
        assert_eq!(Options::of(&[]), plain);
        assert_eq!(of("--buffer-requests --tls=false"), plain);
        assert_eq!(
            of("--host a.example.com,b.example.com --host=c.example.com --tls --path-prefix=api/ --target x"),
            Options {
                hosts: "a.example.com,b.example.com,c.example.com".to_owned(),
                paths: "/api".to_owned(),
                tls: true,
                targets: Some("--target".to_owned()),
            }
        );
    }
}
