//! What the annotated schema says of a key.

use serde::Deserialize as _;
use serde_json::Value as Json;

use super::grammar::Grammar;

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
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key} = {}", inline(value)))
                .collect();
            if pairs.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{ {} }}", pairs.join(", "))
            }
        }
        Json::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// What a key is for; of a list that says nothing itself, what its elements are for.
pub(super) fn description(schema: &Json) -> String {
    let description = schema
        .get("description")
        .or_else(|| schema.pointer("/items/description"));
    description
        .and_then(Json::as_str)
        .unwrap_or_default()
        .replace('\n', " ")
}

/// What a key is for, in the first sentence of its documentation.
pub(super) fn first_sentence(schema: &Json) -> String {
    let text = description(schema);
    let sentence = text.split_once(". ").map_or(text.as_str(), |(first, _)| first);
    let sentence = sentence.trim_end_matches('.');
    let mut chars = sentence.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_as_toml_writes_it() {
        let value = json!({"path": "/a\"b", "port": 80, "list": ["a", "b"], "none": {}});
        assert_eq!(
            inline(&value),
            r#"{ path = "/a\"b", port = 80, list = ["a", "b"], none = {} }"#
        );
    }

    #[test]
    fn the_first_sentence_begins_small() {
        let schema = json!({"description": "The app's name. Part of\nproject names."});
        assert_eq!(first_sentence(&schema), "the app's name");
        assert_eq!(
            first_sentence(&json!({"items": {"description": "A check."}})),
            "a check"
        );
    }
}
