//! The reference page, from the same schema that the reader follows.

use std::fmt::Write as _;

use serde_json::Value;

use super::annotations::{self, allowed, grammar_of, inline, is_required};
use super::schema::annotated;

const HEAD: &str = "\
# Inventory

<!-- Generated from the code: `UPDATE=1 cargo test inventory::reference` writes it anew. -->

One file describes one environment: `inventory/production.toml` is `pointsman -e production`. It is TOML. Unknown keys
are mistakes, and `pointsman validate` points at every mistake at once, without touching a server.

- `${NAME}` in a string becomes the environment variable's value, `${NAME:-default}` its value or, when it is unset or
  empty, the default. What a variable holds is never expanded again. A `$` before `{` that means itself is `$$`.
- Durations are `\"500ms\"`, `\"30s\"`, `\"2m\"`, `\"1h30m\"`; sizes are `\"512MiB\"`, `\"1GiB\"`, `\"20GB\"`.
- Paths of files on this machine start from the folder of the file that names them; `~/` is the home folder.
- `extends = \"common.toml\"` lays this file over another one: tables merge, values and lists of this file win.
- `pointsman validate --schema` prints a JSON Schema for editors. For taplo and Even Better TOML, save it beside the
  inventory and begin the file with `#:schema ./schema.json`.

A complete example:

```toml
";

const EXAMPLE: &str = include_str!("../../inventory/production.toml");
const EXAMPLE_BASE: &str = include_str!("../../inventory/common.toml");

/// The reference page of every key, in Markdown.
pub fn reference_markdown() -> String {
    let mut out = format!("{HEAD}{EXAMPLE}```\n\nIt extends `common.toml`:\n\n```toml\n{EXAMPLE_BASE}```\n");
    let schema = annotated();
    let mut sections = Vec::new();
    add_sections(
        &mut sections,
        schema,
        "",
        "Top level".to_owned(),
        &annotations::description(schema),
    );
    for section in sections {
        let _ = write!(out, "\n## {}\n{}", section.headings.join(", "), section.body);
    }
    out
}

/// What is under one heading. Tables that are alike share it.
struct Section {
    headings: Vec<String>,
    body: String,
}

/// One table's keys, then the tables in it.
fn add_sections(sections: &mut Vec<Section>, schema: &Value, name: &str, heading: String, description: &str) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let mut out = format!("\n{}\n", escaped(description));
    let is_key = |property: &Value| !is_section(property);
    if properties.values().any(is_key) {
        out.push_str("\n| key | value | default | |\n|---|---|---|---|\n");
        for (key, property) in properties.iter().filter(|(_, property)| is_key(property)) {
            let _ = writeln!(
                out,
                "| `{key}` | {} | {} | {} |",
                kind(property),
                default(property, is_required(schema, key)),
                purpose(property),
            );
        }
    }
    match sections.iter_mut().find(|section| section.body == out) {
        Some(alike) => alike.headings.push(heading),
        None => sections.push(Section {
            headings: vec![heading],
            body: out,
        }),
    }
    for (key, property) in properties {
        let full = if name.is_empty() {
            key.clone()
        } else {
            format!("{name}.{key}")
        };
        if let Some((table, heading)) = section(property, &full) {
            add_sections(
                sections,
                table,
                &full,
                heading,
                &annotations::description(property),
            );
        }
    }
}

/// The schema and heading of a key that has a section of its own: a table, or a list of tables.
fn section<'a>(property: &'a Value, full: &str) -> Option<(&'a Value, String)> {
    if has_keys(property) {
        return Some((property, format!("`[{full}]`")));
    }
    let items = property.get("items")?;
    if has_keys(items) {
        return Some((items, format!("`[[{full}]]`")));
    }
    let branches = items.get("anyOf")?.as_array()?;
    Some((
        branches.iter().find(|branch| has_keys(branch))?,
        format!("Each of `{full}`"),
    ))
}

fn has_keys(schema: &Value) -> bool {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .is_some_and(|keys| !keys.is_empty())
}

/// Whether a key is shown by its section only. A list of tables or strings has a line as well.
fn is_section(property: &Value) -> bool {
    has_keys(property) || property.get("items").is_some_and(has_keys)
}

/// What a value may be.
fn kind(property: &Value) -> String {
    if let Some(values) = allowed(property) {
        return values
            .iter()
            .map(|value| format!("`\"{value}\"`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let words = match property.get("type").and_then(Value::as_str).unwrap_or_default() {
        "integer" => match (property.get("minimum"), property.get("maximum")) {
            (Some(least), Some(most)) => format!("integer, {least} to {most}"),
            _ => "integer".to_owned(),
        },
        "array" if property.pointer("/items/anyOf").is_some() => "list of strings or tables".to_owned(),
        "array" => "list of strings".to_owned(),
        "object" => "table of strings".to_owned(),
        _ => grammar_of(property)
            .map_or("string", |grammar| grammar.words())
            .to_owned(),
    };
    escaped(&words)
}

fn default(property: &Value, required: bool) -> String {
    match (
        property.get("default"),
        property.get("derived").and_then(Value::as_str),
    ) {
        (Some(default), _) => format!("`{}`", inline(default)),
        (None, Some(words)) => words.to_owned(),
        (None, None) if required => "**required**".to_owned(),
        (None, None) => "none".to_owned(),
    }
}

/// What a key is for, with an example where no default is one.
fn purpose(property: &Value) -> String {
    let text = annotations::description(property);
    let example = property.get("examples").and_then(|examples| examples.get(0));
    match example.filter(|_| {
        property
            .get("default")
            .is_none_or(|default| *default == serde_json::json!({}))
    }) {
        Some(example) => escaped(&format!("{text} Example: `{}`", inline(example))),
        None => escaped(&text),
    }
}

/// Text in a cell of a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/inventory.md");
        let page = reference_markdown();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference")).unwrap();
            std::fs::write(path, &page).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == page,
            "docs/reference/inventory.md is old: UPDATE=1 cargo test inventory::reference"
        );
    }

    #[test]
    fn every_key_is_documented() {
        fn look(schema: &Value, path: &str, lacking: &mut Vec<String>) {
            for (key, property) in schema
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let path = format!("{path}.{key}");
                let text = property
                    .pointer("/description")
                    .or(property.pointer("/items/description"));
                if text.and_then(Value::as_str).is_none_or(str::is_empty) {
                    lacking.push(path.clone());
                }
                let items = property.get("items");
                let branches = items
                    .and_then(|items| items.get("anyOf"))
                    .and_then(Value::as_array);
                for part in std::iter::once(property)
                    .chain(items)
                    .chain(branches.into_iter().flatten())
                {
                    look(part, &path, lacking);
                }
            }
        }
        let mut lacking = Vec::new();
        look(annotated(), "", &mut lacking);
        assert_eq!(lacking, Vec::<String>::new());
    }
}
