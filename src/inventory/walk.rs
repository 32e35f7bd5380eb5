//! The walk over the document along the schema: every mistake of structure, with its place.
//!
//! On its way it fills in the defaults that the schema states and makes paths of files absolute, so
//! that what is left deserializes as it stands.

use std::fmt;

use camino::Utf8Path;
use serde::Deserialize as _;
use serde_json::Value as Json;

use super::Environment;
use super::diagnostic::{Mistake, Mistakes, shown};
use super::grammar::Grammar;
use super::node::{Entry, Node, Table, Value};
use super::source::{Place, Sources};

/// Where in the document: shown as `pools.blue.hosts[0].address`.
pub(super) enum Key<'a> {
    Root,
    Child(&'a Key<'a>, &'a str),
    Index(&'a Key<'a>, usize),
}

impl<'a> Key<'a> {
    pub(super) fn child(&'a self, name: &'a str) -> Key<'a> {
        Key::Child(self, name)
    }

    pub(super) fn index(&'a self, index: usize) -> Key<'a> {
        Key::Index(self, index)
    }

    /// The table in words.
    fn table(&self) -> String {
        match self {
            Key::Root => "the inventory".to_owned(),
            key => format!("`{key}`"),
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Root => Ok(()),
            Key::Child(Key::Root, name) => f.write_str(&plain(name)),
            Key::Child(parent, name) => write!(f, "{parent}.{}", plain(name)),
            Key::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl From<&Key<'_>> for String {
    fn from(key: &Key<'_>) -> String {
        key.to_string()
    }
}

/// A key as TOML writes it: bare, or quoted and escaped.
fn plain(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { shown(name) }
}

/// What the walk needs to know, and where it says what it finds.
pub(super) struct Walk<'a> {
    pub(super) sources: &'a Sources,
    pub(super) env: Environment<'a>,
    pub(super) mistakes: &'a mut Mistakes,
}

impl Walk<'_> {
    /// Looks at one value. A mistaken one is said once and made [`Value::Bad`].
    pub(super) fn value(&mut self, schema: &Json, node: &mut Node, key: &Key<'_>) {
        if let Some(branches) = schema.get("anyOf").and_then(Json::as_array) {
            match branches.iter().find(|branch| has_type(branch, node)) {
                Some(branch) => self.value(branch, node, key),
                None => self.wrong_type(&types_in_words(branches), node, key),
            }
            return;
        }
        if !has_type(schema, node) {
            return self.wrong_type(&types_in_words(std::slice::from_ref(schema)), node, key);
        }
        match &mut node.value {
            Value::Table(_) => self.table(schema, node, key),
            Value::Array(_) => self.array(schema, node, key),
            Value::String(_) => self.text(schema, node, key),
            Value::Integer(_) => self.integer(schema, node, key),
            _ => {}
        }
    }

    fn table(&mut self, schema: &Json, node: &mut Node, key: &Key<'_>) {
        let place = node.place.clone();
        let Value::Table(table) = &mut node.value else { return };
        let none = serde_json::Map::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&none);
        let rest = schema.get("additionalProperties").filter(|rest| rest.is_object());
        let names = schema.get("propertyNames").and_then(grammar_of);
        let unknown: Vec<String> = table.keys().filter(|name| !properties.contains_key(*name)).cloned().collect();
        for name in unknown {
            let Some(entry) = table.get_mut(&name) else { continue };
            match rest {
                Some(rest) => {
                    if let Some(grammar) = names.filter(|grammar| !grammar.accepts(&name)) {
                        self.mistakes.add(
                            Mistake::at(&entry.key, key.child(&name).to_string(), format!("{} is no key of {}", shown(&name), key.table()))
                                .expected(grammar.words())
                                .found(shown(&name)),
                        );
                    }
                    self.value(rest, &mut entry.node, &key.child(&name));
                }
                None => {
                    self.unknown_key(properties, &name, &entry.key, key);
                    table.remove(&name);
                }
            }
        }
        for (name, property) in properties {
            self.property(schema, name, property, table, &place, key);
        }
    }

    /// One key that the schema knows: its value is looked at, or its default filled in.
    fn property(&mut self, schema: &Json, name: &str, property: &Json, table: &mut Table, place: &Place, key: &Key<'_>) {
        if !table.contains_key(name) {
            match property.get("default") {
                Some(default) => {
                    let node = Node::from_json(default, place);
                    table.insert(name.to_owned(), Entry { key: place.clone(), node });
                }
                None if is_required(schema, name) => {
                    self.missing(name, property, place, key);
                }
                None => {}
            }
        }
        if let Some(entry) = table.get_mut(name) {
            self.value(property, &mut entry.node, &key.child(name));
        }
    }

    fn array(&mut self, schema: &Json, node: &mut Node, key: &Key<'_>) {
        let Value::Array(items) = &mut node.value else { return };
        let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or_default();
        if (items.len() as u64) < least {
            let mistake = Mistake::at(&node.place, key, format!("`{key}` is empty"))
                .expected(format!("at least {least} of them"))
                .found("none");
            self.mistakes.add(with_snippet(mistake, schema));
            node.value = Value::Bad;
            return;
        }
        if let Some(item_schema) = schema.get("items") {
            for (index, item) in items.iter_mut().enumerate() {
                self.value(item_schema, item, &key.index(index));
            }
        }
    }

    fn text(&mut self, schema: &Json, node: &mut Node, key: &Key<'_>) {
        let Value::String(text) = &node.value else { return };
        if let Some(allowed) = allowed(schema) {
            if !allowed.contains(&text.as_str()) {
                let mistake = Mistake::at(&node.place, key, format!("`{key}` has a value that does not exist"))
                    .expected(one_of(&allowed))
                    .found_text(node, text);
                self.mistakes.add(with_nearest(mistake, text, &allowed));
                node.value = Value::Bad;
            }
            return;
        }
        let Some(grammar) = grammar_of(schema) else { return };
        node.secret |= grammar.is_secret();
        if !grammar.accepts(text) {
            self.mistakes.add(
                Mistake::at(&node.place, key, format!("`{key}` is malformed"))
                    .expected(grammar.words())
                    .found_text(node, text),
            );
            node.value = Value::Bad;
        } else if grammar == Grammar::File {
            match self.absolute(&node.place, text) {
                Ok(path) => node.value = Value::String(path),
                Err((expected, found)) => {
                    self.mistakes.add(
                        Mistake::at(&node.place, key, format!("`{key}` names no file"))
                            .expected(expected)
                            .found(found),
                    );
                    node.value = Value::Bad;
                }
            }
        }
    }

    /// The absolute path of an existing file; else what was expected and found.
    fn absolute(&self, place: &Place, text: &str) -> Result<String, (String, String)> {
        let path = match text.strip_prefix("~/") {
            Some(rest) => match (self.env)("HOME") {
                Some(home) => Utf8Path::new(&home).join(rest),
                None => return Err(("HOME to be set, for `~`".to_owned(), "it unset".to_owned())),
            },
            None => self.sources.folder(place.file).join(text),
        };
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => Err((format!("a file at {path}"), "a folder".to_owned())),
            Ok(_) => Ok(path.into_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err((format!("a file at {path}"), "nothing there".to_owned()))
            }
            Err(error) => Err((format!("a file at {path}"), error.to_string())),
        }
    }

    fn integer(&mut self, schema: &Json, node: &mut Node, key: &Key<'_>) {
        let Value::Integer(number) = node.value else { return };
        let bound = |name: &str, otherwise: i64| schema.get(name).and_then(Json::as_i64).unwrap_or(otherwise);
        let (least, most) = (bound("minimum", 0), bound("maximum", i64::MAX));
        if number < least.into() || number > most.into() {
            self.mistakes.add(
                Mistake::at(&node.place, key, format!("`{key}` is out of range"))
                    .expected(format!("{least} to {most}"))
                    .found(number.to_string()),
            );
            node.value = Value::Bad;
        }
    }

    fn wrong_type(&mut self, expected: &str, node: &mut Node, key: &Key<'_>) {
        if matches!(node.value, Value::Bad) {
            return;
        }
        let mut mistake = Mistake::at(&node.place, key, format!("`{key}` has the wrong type"))
            .expected(expected)
            .found(node.type_name());
        match &node.value {
            Value::Integer(number) if expected.contains("string") => {
                mistake = mistake.help(format!("put it in quotes: \"{number}\""));
            }
            Value::String(text) if expected.contains("integer") && text.parse::<i64>().is_ok() => {
                mistake = mistake.help(format!("take off the quotes: {text}"));
            }
            _ => {}
        }
        self.mistakes.add(mistake);
        node.value = Value::Bad;
    }

    fn unknown_key(&mut self, properties: &serde_json::Map<String, Json>, name: &str, place: &Place, key: &Key<'_>) {
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        let mistake = Mistake::at(place, key.child(name).to_string(), format!("{} has no key `{}`", key.table(), plain(name)))
            .expected(one_of(&known))
            .found(plain(name));
        self.mistakes.add(with_nearest(mistake, name, &known));
    }

    fn missing(&mut self, name: &str, property: &Json, place: &Place, key: &Key<'_>) {
        let child = key.child(name);
        let message = format!("`{child}` is missing");
        let mistake = match key {
            // There is no line of the file that a missing table belongs to.
            Key::Root => Mistake::in_file(place.file, &child, message),
            _ => Mistake::at(place, &child, message),
        };
        let mistake = mistake.expected(first_sentence(property)).found("none");
        let mistake = match property.get("examples").and_then(|examples| examples.get(0)) {
            Some(example) => mistake.help(format!("add `{name} = {}`", inline(example))),
            None => mistake,
        };
        self.mistakes.add(with_snippet(mistake, property));
    }
}

/// Whether a table with this schema must have the key.
pub(super) fn is_required(schema: &Json, name: &str) -> bool {
    let required = schema.get("required").and_then(Json::as_array);
    required.is_some_and(|required| required.iter().any(|key| key == name))
}

/// The grammar that a string's schema names.
pub(super) fn grammar_of(schema: &Json) -> Option<Grammar> {
    Grammar::deserialize(schema.get("grammar")?).ok()
}

/// The values that a string may have, when they are few.
pub(super) fn allowed(schema: &Json) -> Option<Vec<&str>> {
    let values = schema.get("enum").and_then(Json::as_array)?;
    Some(values.iter().filter_map(Json::as_str).collect())
}

/// What a JSON value looks like in TOML, on one line.
pub(super) fn inline(json: &Json) -> String {
    match json {
        Json::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
        Json::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// What a key is for, in the first sentence of its documentation.
fn first_sentence(schema: &Json) -> String {
    let text = schema.get("description").and_then(Json::as_str).unwrap_or("it").replace('\n', " ");
    let sentence = text.split_once(". ").map_or(text.as_str(), |(first, _)| first);
    let sentence = sentence.trim_end_matches('.');
    let mut chars = sentence.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn has_type(schema: &Json, node: &Node) -> bool {
    let Some(name) = schema.get("type").and_then(Json::as_str) else { return true };
    matches!(
        (name, &node.value),
        ("object", Value::Table(_))
            | ("array", Value::Array(_))
            | ("string", Value::String(_))
            | ("integer", Value::Integer(_))
            | ("boolean", Value::Boolean(_))
    )
}

fn types_in_words(schemas: &[Json]) -> String {
    let words = schemas.iter().filter_map(|schema| match schema.get("type").and_then(Json::as_str)? {
        "object" => Some("a table"),
        "array" => Some("an array"),
        "string" => Some("a string"),
        "integer" => Some("an integer"),
        "boolean" => Some("true or false"),
        _ => None,
    });
    words.collect::<Vec<_>>().join(" or ")
}

pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [one] => one.clone(),
        many => format!("one of {}", many.join(", ")),
    }
}

/// Below this likeness (0 to 1, Jaro-Winkler) a suggestion confuses more than it helps.
const LIKE_ENOUGH: f64 = 0.75;

pub(super) fn with_nearest(mistake: Mistake, name: &str, known: &[&str]) -> Mistake {
    let likeness = |word: &&str| strsim::jaro_winkler(name, word);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|word| likeness(word) >= LIKE_ENOUGH) {
        Some(word) => mistake.help(format!("did you mean `{word}`?")),
        None => mistake,
    }
}

fn with_snippet(mistake: Mistake, schema: &Json) -> Mistake {
    match schema.get("snippet").and_then(Json::as_str) {
        Some(snippet) => mistake.help(format!("add:\n{snippet}")),
        None => mistake,
    }
}
