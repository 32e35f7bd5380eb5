//! The walk over the document along the schema: every mistake of structure, with its place.
//!
//! On its way it fills in the defaults that the schema states and makes paths of files absolute, so
//! that what is left deserializes as it stands.

use camino::Utf8Path;
use serde_json::Value as Json;

use super::Environment;
use super::annotations::{allowed, first_sentence, grammar_of, inline, is_required};
use super::diagnostic::{Mistake, Mistakes, shown};
use super::grammar::Grammar;
use super::key::{Key, plain};
use super::node::{Entry, Node, Table, Value};
use super::source::{Place, Sources};
use super::suggest::{nearest, one_of, with_nearest};

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
                None => self.wrong_type(branches, node, key),
            }
            return;
        }
        if !has_type(schema, node) {
            return self.wrong_type(std::slice::from_ref(schema), node, key);
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
        let Value::Table(table) = &mut node.value else {
            return;
        };
        let none = serde_json::Map::new();
        let properties = schema
            .get("properties")
            .and_then(Json::as_object)
            .unwrap_or(&none);
        let rest = schema.get("additionalProperties").filter(|rest| rest.is_object());
        let names = schema.get("propertyNames").and_then(grammar_of);
        let unknown: Vec<String> = table
            .keys()
            .filter(|name| !properties.contains_key(*name))
            .cloned()
            .collect();
        // A key that was only mistyped is not said to be missing as well.
        let mut meant = Vec::new();
        for name in unknown {
            let Some(entry) = table.get_mut(&name) else {
                continue;
            };
            match rest {
                Some(rest) => {
                    if let Some(grammar) = names.filter(|grammar| !grammar.accepts(&name)) {
                        self.mistakes.add(
                            Mistake::at(
                                &entry.key,
                                key.child(&name).to_string(),
                                format!("{} is no key of {}", shown(&name), key.table()),
                            )
                            .expected(grammar.words())
                            .found(shown(&name)),
                        );
                    }
                    self.value(rest, &mut entry.node, &key.child(&name));
                }
                None => {
                    meant.extend(self.unknown_key(properties, &name, &entry.key, key));
                    table.remove(&name);
                }
            }
        }
        for (name, property) in properties {
            if table.contains_key(name) || !meant.contains(name) {
                self.property(schema, name, property, table, &place, key);
            }
        }
    }

    /// One key that the schema knows: its value is looked at, or its default filled in.
    fn property(
        &mut self,
        schema: &Json,
        name: &str,
        property: &Json,
        table: &mut Table,
        place: &Place,
        key: &Key<'_>,
    ) {
        if !table.contains_key(name) {
            match property.get("default") {
                Some(default) => {
                    let node = Node::from_json(default, place);
                    table.insert(
                        name.to_owned(),
                        Entry {
                            key: place.clone(),
                            node,
                        },
                    );
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
        let Value::Array(items) = &mut node.value else {
            return;
        };
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
                let mistake = Mistake::at(
                    &node.place,
                    key,
                    format!("`{key}` has a value that does not exist"),
                )
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
                match Mistake::at(&node.place, key, format!("`{key}` is malformed")).expected(grammar.words())
                {
                    // No more of a value that may be anything, secrets included.
                    mistake if text.contains('\0') => mistake.found("a NUL byte"),
                    mistake => mistake.found_text(node, text),
                },
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
        let Value::Integer(number) = node.value else {
            return;
        };
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

    fn wrong_type(&mut self, schemas: &[Json], node: &mut Node, key: &Key<'_>) {
        if matches!(node.value, Value::Bad) {
            return;
        }
        let expected = types_in_words(schemas);
        let secret = node.secret || schemas.iter().filter_map(grammar_of).any(Grammar::is_secret);
        let mut mistake = Mistake::at(&node.place, key, format!("`{key}` has the wrong type"))
            .expected(expected.as_str())
            .found(node.type_name());
        match &node.value {
            _ if secret => {}
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

    /// Returns the key that was probably meant.
    fn unknown_key(
        &mut self,
        properties: &serde_json::Map<String, Json>,
        name: &str,
        place: &Place,
        key: &Key<'_>,
    ) -> Option<String> {
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        let mistake = Mistake::at(
            place,
            key.child(name).to_string(),
            format!("{} has no key `{}`", key.table(), plain(name)),
        )
        .expected(one_of(&known))
        .found(format!("`{}`", plain(name)));
        self.mistakes.add(with_nearest(mistake, name, &known));
        nearest(name, &known).map(str::to_owned)
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

fn has_type(schema: &Json, node: &Node) -> bool {
    let Some(name) = schema.get("type").and_then(Json::as_str) else {
        return true;
    };
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
    let words = schemas
        .iter()
        .filter_map(|schema| match schema.get("type").and_then(Json::as_str)? {
            "object" => Some("a table"),
            "array" => Some("an array"),
            "string" => Some("a string"),
            "integer" => Some("an integer"),
            "boolean" => Some("true or false"),
            _ => None,
        });
    words.collect::<Vec<_>>().join(" or ")
}

fn with_snippet(mistake: Mistake, schema: &Json) -> Mistake {
    match schema.get("snippet").and_then(Json::as_str) {
        Some(snippet) => mistake.help(format!("add:\n{snippet}")),
        None => mistake,
    }
}
