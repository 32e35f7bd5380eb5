//! The inventory's text as a tree whose every value knows its place, with `extends` merged and
//! `${VAR}` filled in.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Place, Source};

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Bool,
    Array(Vec<Node>),
    Table(Table),
    /// A float or a date: no key takes one.
    Other(&'static str),
}

/// Keys in order of their names, each with its own place.
pub(super) type Table = BTreeMap<String, (Place, Node)>;

impl Value {
    /// The kind, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "a number",
            Value::Bool => "true or false",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }
}

/// Deepest chain of `extends`: more is a mistake.
const MAX_DEPTH: usize = 8;

/// Reads files into one tree.
pub(super) struct Reader<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) errors: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reads a file with all that it extends; `None` when there is nothing to go on with.
    pub(super) fn read(
        &mut self,
        path: &Utf8Path,
        chain: &[Utf8PathBuf],
        at: Option<&Place>,
    ) -> Option<Node> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let source = Arc::new(Source {
                    path: path.to_string(),
                    text: String::new(),
                });
                let place = at.cloned().unwrap_or(Place { source, span: 0..0 });
                self.error(place, format!("{path} cannot be read: {error}"), None);
                return None;
            }
        };
        let source = Arc::new(Source {
            path: path.to_string(),
            text: text.clone(),
        });
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            let place = Place {
                source: source.clone(),
                span: error.span().unwrap_or(0..0),
            };
            self.error(place, format!("this is not TOML: {}", error.message()), None);
        }
        if !errors.is_empty() {
            return None;
        }
        let span = table.span();
        let mut own = self.table(&source, table.into_inner());
        let place = Place { source, span };
        let Some((key, node)) = own.remove("extends") else {
            return Some(Node {
                place,
                value: Value::Table(own),
            });
        };
        let Value::Text(base) = &node.value else {
            self.error(
                node.place,
                format!("expected a file's name, found {}", node.value.kind()),
                None,
            );
            return Some(Node {
                place,
                value: Value::Table(own),
            });
        };
        let base = path.parent().unwrap_or(Utf8Path::new("")).join(base);
        let mut chain = chain.to_vec();
        chain.push(path.to_owned());
        if chain.contains(&base) || chain.len() > MAX_DEPTH {
            self.error(key, format!("{base} is extended in a circle"), None);
            return Some(Node {
                place,
                value: Value::Table(own),
            });
        }
        let below = self.read(&base, &chain, Some(&node.place))?;
        let Value::Table(mut merged) = below.value else {
            return None;
        };
        merge(&mut merged, own);
        Some(Node {
            place,
            value: Value::Table(merged),
        })
    }

    fn table(&mut self, source: &Arc<Source>, table: DeTable<'_>) -> Table {
        let place = |span| Place {
            source: source.clone(),
            span,
        };
        table
            .into_iter()
            .map(|(key, value)| {
                let at = place(key.span());
                (key.into_inner().into_owned(), (at, self.node(source, value)))
            })
            .collect()
    }

    fn node(&mut self, source: &Arc<Source>, value: Spanned<DeValue<'_>>) -> Node {
        let place = Place {
            source: source.clone(),
            span: value.span(),
        };
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(self.fill_in(&place, &text)),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Other("a number that is too large"),
            },
            DeValue::Boolean(_) => Value::Bool,
            DeValue::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.node(source, item)).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(source, table)),
            DeValue::Float(_) => Value::Other("a number with a fraction"),
            DeValue::Datetime(_) => Value::Other("a date"),
        };
        Node { place, value }
    }

    /// `${VAR}`, `${VAR:-default}` and `$$`; what is filled in is not looked at again.
    fn fill_in(&mut self, place: &Place, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$$") {
                out.push('$');
                rest = after;
            } else if let Some((inner, after)) = rest.strip_prefix("${").and_then(|r| r.split_once('}')) {
                let (name, default) = match inner.split_once(":-") {
                    Some((name, default)) => (name, Some(default)),
                    None => (inner, None),
                };
                let set = (self.env)(name).filter(|value| default.is_none() || !value.is_empty());
                match (set, default) {
                    (Some(value), _) => out.push_str(&value),
                    (None, Some(default)) => out.push_str(default),
                    (None, None) => self.error(
                        place.clone(),
                        format!("the environment variable {name} is not set"),
                        Some(format!("set it, or give a default: ${{{name}:-default}}")),
                    ),
                }
                rest = after;
            } else {
                out.push('$');
                rest = &rest[1..];
            }
        }
        out + rest
    }

    pub(super) fn error(&mut self, place: Place, message: String, help: Option<String>) {
        self.errors.push(Diagnostic { place, message, help });
    }
}

/// Tables are merged; anything else of `over` replaces what was there.
fn merge(under: &mut Table, over: Table) {
    for (key, (place, node)) in over {
        if let Value::Table(above) = node.value {
            if let Some((
                at,
                Node {
                    value: Value::Table(below),
                    ..
                },
            )) = under.get_mut(&key)
            {
                *at = place;
                merge(below, above);
                continue;
            }
            under.insert(
                key,
                (
                    place,
                    Node {
                        place: node.place,
                        value: Value::Table(above),
                    },
                ),
            );
        } else {
            under.insert(key, (place, node));
        }
    }
}
