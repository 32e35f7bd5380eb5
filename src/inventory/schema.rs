//! The JSON Schema for editors and the reference page, from the keys of [`super::spec`].

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::spec::{Key, Kind, ROOT};

/// The inventory's JSON Schema (2020-12).
pub fn schema() -> Value {
    let mut schema = table(ROOT);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("pointsman inventory");
    // What a file extends may have what it lacks itself.
    schema["required"] = json!([]);
    schema
}

fn table(keys: &[Key]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn property(key: &Key) -> Value {
    let mut value = match &key.kind {
        Kind::Text(_) | Kind::File => json!({ "type": "string" }),
        Kind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Duration => json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$" }),
        Kind::Size => json!({ "type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)$" }),
        Kind::OneOf(words) => json!({ "enum": words }),
        Kind::Texts(_) => json!({ "type": "array", "minItems": 1, "items": { "type": "string" } }),
        Kind::Env => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Table(keys) => table(keys),
        Kind::Tables(keys) => json!({ "type": "array", "minItems": 1, "items": table(keys) }),
        Kind::Servers(keys) => {
            json!({ "type": "array", "minItems": 1, "items": { "anyOf": [{ "type": "string" }, table(keys)] } })
        }
    };
    let default = key
        .default
        .map_or(String::new(), |default| format!(" Default: {default}."));
    value["description"] = json!(format!("{}{default}", key.doc));
    value
}

/// The reference page, in Markdown.
pub fn reference() -> String {
    let mut out = String::from(
        "# The inventory\n\nOne TOML file per environment. Unknown keys are errors. `${VAR}` and `${VAR:-default}` come from \
         the environment, in any string; `$$` is a `$`. Files are named relative to the inventory. Durations are `\"30s\"`, \
         `\"500ms\"`, `\"1h30m\"`; sizes `\"1GiB\"`. This page and `pointsman validate --schema` come from the same code.\n",
    );
    section(&mut out, "At the top", ROOT);
    tables(&mut out, "", ROOT);
    out
}

fn tables(out: &mut String, prefix: &str, keys: &[Key]) {
    for key in keys {
        let name = format!("{prefix}{}", key.name);
        let (heading, inner) = match &key.kind {
            Kind::Table(inner) => (format!("`[{name}]`"), inner),
            Kind::Tables(inner) => (format!("`[[{name}]]`"), inner),
            Kind::Servers(inner) => (
                format!("An entry of `{name}`: `\"[user@]host[:port]\"`, or a table"),
                inner,
            ),
            _ => continue,
        };
        // Both pools have the same keys.
        if name.starts_with("pools.green") {
            continue;
        }
        section(out, &heading, inner);
        tables(out, &format!("{name}."), inner);
    }
}

fn section(out: &mut String, heading: &str, keys: &[Key]) {
    let _ = write!(
        out,
        "\n## {heading}\n\n| key | takes | without it | meaning |\n|---|---|---|---|\n"
    );
    for key in keys {
        let takes = match &key.kind {
            Kind::Text(_) => "a string".to_owned(),
            Kind::File => "a file's name".to_owned(),
            Kind::Integer(least, most) => format!("{least} to {most}"),
            Kind::Duration => "a duration".to_owned(),
            Kind::Size => "a size".to_owned(),
            Kind::OneOf(words) => words.join(" or "),
            Kind::Texts(_) => "an array of strings".to_owned(),
            Kind::Env => "a table of strings".to_owned(),
            Kind::Table(_) => "a table".to_owned(),
            Kind::Tables(_) => "tables".to_owned(),
            Kind::Servers(_) => "an array".to_owned(),
        };
        let without = if key.required {
            "an error"
        } else {
            key.default.unwrap_or("nothing")
        };
        let _ = writeln!(out, "| `{}` | {takes} | {without} | {} |", key.name, key.doc);
    }
}
