//! The document after parsing: every value with its place, whichever file it came from.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::Place;

/// One value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
    /// Holds what must not be shown: it came from an environment variable that sounds secret.
    pub(super) secret: bool,
}

/// A value of TOML.
#[derive(Debug, Clone)]
pub(super) enum Value {
    String(String),
    /// Wider than any key takes, so that what is out of range is said to be.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
    /// A mistake was already said about it; nothing more is to be.
    Bad,
}

/// Keys, with their own places, and values.
pub(super) type Table = BTreeMap<String, Entry>;

/// One `key = value`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Place,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn new(value: Value, place: Place) -> Node {
        Node {
            value,
            place,
            secret: false,
        }
    }

    /// What the TOML parser made of file `file`.
    pub(super) fn from_toml(file: usize, table: Spanned<DeTable<'_>>) -> Node {
        let place = Place::new(file, table.span());
        Node::new(Value::Table(from_table(file, table.into_inner())), place)
    }

    /// A default, standing where the table that lacks it does.
    pub(super) fn from_json(json: &serde_json::Value, place: &Place) -> Node {
        let value = match json {
            serde_json::Value::String(text) => Value::String(text.clone()),
            serde_json::Value::Number(number) => Value::Integer(number.as_i64().unwrap_or_default().into()),
            serde_json::Value::Bool(bool) => Value::Boolean(*bool),
            serde_json::Value::Object(_) => Value::Table(Table::new()),
            serde_json::Value::Array(items) => {
                Value::Array(items.iter().map(|item| Node::from_json(item, place)).collect())
            }
            serde_json::Value::Null => Value::Bad,
        };
        Node::new(value, place.clone())
    }

    /// The value at a path of keys.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Node> {
        path.iter()
            .try_fold(self, |node, key| Some(&node.table()?.get(*key)?.node))
    }

    /// The value at a path of keys, to be changed.
    pub(super) fn get_mut(&mut self, path: &[&str]) -> Option<&mut Node> {
        path.iter().try_fold(self, |node, key| match &mut node.value {
            Value::Table(table) => Some(&mut table.get_mut(*key)?.node),
            _ => None,
        })
    }

    /// The text at a path of keys.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        match &self.get(path)?.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number at a path of keys.
    pub(super) fn integer(&self, path: &[&str]) -> Option<i128> {
        match self.get(path)?.value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The elements of the array at a path of keys; none when there is no such array.
    pub(super) fn items(&self, path: &[&str]) -> &[Node] {
        match self.get(path).map(|node| &node.value) {
            Some(Value::Array(items)) => items,
            _ => &[],
        }
    }

    /// The elements of the array at a path of keys, to be changed.
    pub(super) fn items_mut(&mut self, path: &[&str]) -> &mut [Node] {
        match self.get_mut(path).map(|node| &mut node.value) {
            Some(Value::Array(items)) => items,
            _ => &mut [],
        }
    }

    /// Its keys, when it is a table.
    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Gives a key of this table a value, unless it has one.
    pub(super) fn complete(&mut self, key: &str, value: Value) {
        let place = self.place.clone();
        if let Value::Table(table) = &mut self.value {
            table.entry(key.to_owned()).or_insert_with(|| Entry {
                key: place.clone(),
                node: Node::new(value, place),
            });
        }
    }

    /// Lays another document over this one: its tables merge, its other values win.
    pub(super) fn overlay(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Table(base), Value::Table(table)) => {
                for (key, entry) in table {
                    match base.get_mut(&key) {
                        Some(under) => {
                            under.key = entry.key;
                            under.node.overlay(entry.node);
                        }
                        None => {
                            base.insert(key, entry);
                        }
                    }
                }
            }
            (value, over_value) => {
                *value = over_value;
                self.secret = over.secret;
            }
        }
        self.place = over.place;
    }

    /// The type in words, with its article.
    pub(super) fn type_name(&self) -> &'static str {
        match self.value {
            Value::String(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Boolean(_) => "a boolean",
            Value::Datetime => "a date",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
            Value::Bad => "nothing usable",
        }
    }

    /// As serde reads it.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::String(text) => text.as_str().into(),
            Value::Integer(number) => i64::try_from(*number).map_or(serde_json::Value::Null, Into::into),
            Value::Float(number) => (*number).into(),
            Value::Boolean(bool) => (*bool).into(),
            Value::Array(items) => items.iter().map(Node::to_json).collect(),
            Value::Table(table) => {
                serde_json::Value::Object(table.iter().map(|(k, e)| (k.clone(), e.node.to_json())).collect())
            }
            Value::Datetime | Value::Bad => serde_json::Value::Null,
        }
    }
}

fn from_table(file: usize, table: DeTable<'_>) -> Table {
    table
        .into_iter()
        .map(|(key, value)| {
            let place = Place::new(file, key.span());
            (
                key.into_inner().into_owned(),
                Entry {
                    key: place,
                    node: from_value(file, value),
                },
            )
        })
        .collect()
}

fn from_value(file: usize, value: Spanned<DeValue<'_>>) -> Node {
    let place = Place::new(file, value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(number) => {
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(bool) => Value::Boolean(bool),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => Value::Array(items.into_iter().map(|item| from_value(file, item)).collect()),
        DeValue::Table(table) => Value::Table(from_table(file, table)),
    };
    Node::new(value, place)
}
