//! The structural check: every key is known, every value fits. All mistakes are found at once.

use camino::Utf8Path;

use super::diagnostic::{Diagnostic, Place};
use super::dom::{Node, Table, Value};
use super::rules;
use super::spec::{Key, Kind};

/// Collects mistakes.
pub(super) struct Checker<'a> {
    /// Files are looked for from here.
    pub(super) folder: &'a Utf8Path,
    pub(super) errors: Vec<Diagnostic>,
}

impl Checker<'_> {
    pub(super) fn error(&mut self, place: &Place, message: impl Into<String>, help: Option<String>) {
        self.errors.push(Diagnostic {
            place: place.clone(),
            message: message.into(),
            help,
        });
    }

    /// Checks a table against its keys. `name` is how it is written, such as `[app]`.
    pub(super) fn table(&mut self, name: &str, place: &Place, table: &Table, keys: &[Key]) {
        for (found, (at, node)) in table {
            match keys.iter().find(|key| key.name == found) {
                Some(key) => self.value(&format!("{name} {found}"), node, &key.kind),
                None => {
                    let nearest = keys
                        .iter()
                        .map(|key| (strsim::damerau_levenshtein(found, key.name), key.name))
                        .min()
                        .filter(|(distance, nearest)| *distance <= nearest.len().max(found.len()) / 2)
                        .map(|(_, nearest)| format!("did you mean {nearest:?}?"));
                    let known = keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ");
                    self.error(
                        at,
                        format!("unknown key {found:?} in {name}"),
                        Some(nearest.unwrap_or_else(|| format!("expected one of {known}"))),
                    );
                }
            }
        }
        for key in keys
            .iter()
            .filter(|key| key.required && !table.contains_key(key.name))
        {
            self.error(place, format!("{name} needs {:?}: {}", key.name, key.doc), None);
        }
    }

    fn value(&mut self, name: &str, node: &Node, kind: &Kind) {
        let place = &node.place;
        match (kind, &node.value) {
            (Kind::Text(rule), Value::Text(text)) => self.rule(name, place, text, *rule),
            (Kind::File, Value::Text(text)) => {
                let path = self.folder.join(text);
                if !path.is_file() {
                    self.error(
                        place,
                        format!("{name}: expected a file, found none at {path}"),
                        None,
                    );
                }
            }
            (Kind::Integer(least, most), Value::Integer(number)) => {
                if number < least || number > most {
                    self.error(
                        place,
                        format!("{name}: expected {least} to {most}, found {number}"),
                        None,
                    );
                }
            }
            (Kind::Duration, Value::Text(text)) => {
                if rules::duration(text).is_none() {
                    let help = "write \"30s\", \"500ms\", \"2m\" or \"1h30m\"".to_owned();
                    self.error(
                        place,
                        format!("{name}: expected a duration, found {text:?}"),
                        Some(help),
                    );
                }
            }
            (Kind::Size, Value::Text(text)) => {
                if rules::size(text).is_none() {
                    let help = "write \"1GiB\" or \"500MiB\"".to_owned();
                    self.error(
                        place,
                        format!("{name}: expected a size, found {text:?}"),
                        Some(help),
                    );
                }
            }
            (Kind::OneOf(words), Value::Text(text)) => {
                if !words.contains(&text.as_str()) {
                    self.error(
                        place,
                        format!("{name}: expected {}, found {text:?}", words.join(" or ")),
                        None,
                    );
                }
            }
            (Kind::Texts(rule), Value::Array(items)) => {
                self.not_empty(name, place, items);
                for item in items {
                    self.value(name, item, &Kind::Text(*rule));
                }
            }
            (Kind::Env, Value::Table(table)) => {
                for (key, (at, node)) in table {
                    if let Err(expected) = rules::env_name(key) {
                        self.error(
                            at,
                            format!(
                                "{name}: expected an environment variable's name ({expected}), found {key:?}"
                            ),
                            None,
                        );
                    }
                    self.value(&format!("{name}.{key}"), node, &Kind::Text(rules::text));
                }
            }
            (Kind::Table(keys), Value::Table(table)) => self.table(&bracketed(name), place, table, keys),
            (Kind::Tables(keys), Value::Array(items)) => {
                self.not_empty(name, place, items);
                for item in items {
                    self.value(name, item, &Kind::Table(keys));
                }
            }
            (Kind::Servers(keys), Value::Array(items)) => {
                self.not_empty(name, place, items);
                for item in items {
                    match &item.value {
                        Value::Text(text) => {
                            if server(text).is_none() {
                                let message = format!("{name}: expected [user@]host[:port], found {text:?}");
                                self.error(&item.place, message, None);
                            }
                        }
                        _ => self.value(name, item, &Kind::Table(keys)),
                    }
                }
            }
            (kind, found) => {
                self.error(
                    place,
                    format!("{name}: expected {}, found {}", expected(kind), found.kind()),
                    None,
                );
            }
        }
    }

    fn rule(&mut self, name: &str, place: &Place, text: &str, rule: rules::Rule) {
        if let Err(expected) = rule(text) {
            self.error(
                place,
                format!("{name}: expected {expected}, found {text:?}"),
                None,
            );
        }
    }

    fn not_empty(&mut self, name: &str, place: &Place, items: &[Node]) {
        if items.is_empty() {
            self.error(place, format!("{name}: expected at least one, found none"), None);
        }
    }
}

/// `[app] identity` becomes `[app.identity]`.
fn bracketed(name: &str) -> String {
    match name.split_once("] ") {
        Some((table, key)) => format!("{table}.{key}]"),
        None => format!("[{}]", name.trim_start_matches("the file ")),
    }
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text(_) | Kind::File | Kind::OneOf(_) => "a string",
        Kind::Integer(..) => "a number",
        Kind::Duration => "a duration such as \"30s\"",
        Kind::Size => "a size such as \"1GiB\"",
        Kind::Texts(_) => "an array of strings",
        Kind::Env | Kind::Table(_) => "a table",
        Kind::Tables(_) => "an array of tables ([[...]])",
        Kind::Servers(_) => "an array of servers",
    }
}

/// User, host and port of `[user@]host[:port]`; an IPv6 address with a port stands in brackets.
pub(super) fn server(text: &str) -> Option<(Option<&str>, &str, Option<u16>)> {
    let (user, rest) = text
        .split_once('@')
        .map_or((None, text), |(user, rest)| (Some(user), rest));
    let (host, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
        None if rest.matches(':').count() == 1 => {
            let (host, port) = rest.split_once(':')?;
            (host, Some(port))
        }
        None => (rest, None),
    };
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
        None => None,
    };
    let good = user.is_none_or(|user| rules::user(user).is_ok()) && rules::address(host).is_ok();
    good.then_some((user, host, port))
}
