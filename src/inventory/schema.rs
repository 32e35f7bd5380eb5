//! The layout of the file, and the JSON Schema that follows from the elements' structs.
//!
//! Each key is documented once, on the field that holds it: `rustdoc`, the schema, the reference page
//! and the reader all follow that. Attributes say what a type cannot: `grammar` (what text may be made
//! of), `default` (filled in by the reader), `derived` (a default that follows from other keys, in
//! words), `snippet` (lines to add when it is missing).

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::annotations::grammar_of;
use super::app::App;
use super::checks::{self, Check};
use super::grammar::Grammar;
use super::migrate::Migrate;
use super::pools::Pools;
use super::registry::Registry;
use super::ssh::Ssh;
use super::state::{self, State, StateTable};
use super::switch::{self, Switch, SwitchTable};

/// One environment of an app: its two pools, its switch, and how a release is proven.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pointsman inventory")]
pub(super) struct File {
    /// File that this one builds on, relative to it. Tables merge, this file's own values win, lists replace.
    #[schemars(extend("grammar" = Grammar::Extends), example = &"common.toml")]
    #[allow(dead_code, reason = "followed before the document is deserialized")]
    extends: Option<String>,
    /// Name of the environment.
    #[schemars(extend("grammar" = Grammar::Name, "derived" = "the file's name without `.toml`"), example = &"production")]
    pub(super) env: String,
    #[schemars(extend("snippet" = "[app]\nname = \"shop\"\npath = \"/home/deploy/shop\"\ncompose = \"docker-compose.production.yml\"\nidentity = { path = \"/version\", json = \"tag\" }"))]
    pub(super) app: App,
    pub(super) registry: Option<Registry>,
    #[schemars(extend("default" = {}))]
    pub(super) ssh: Ssh,
    #[schemars(extend("snippet" = "[pools.blue]\nhosts = [\"web1.example.com\"]\n[pools.green]\nhosts = [\"web2.example.com\"]"))]
    pub(super) pools: Pools,
    #[schemars(length(min = 1), extend("snippet" = checks::SNIPPET))]
    pub(super) checks: Vec<Check>,
    pub(super) migrate: Option<Migrate>,
    #[serde(deserialize_with = "switch::deserialize")]
    #[schemars(with = "SwitchTable", extend("snippet" = "[switch]\nconnector = \"haproxy\"\nrouters = [\"lb1.example.com\"]"))]
    pub(super) switch: Switch,
    #[serde(default, deserialize_with = "state::deserialize")]
    #[schemars(with = "Option<StateTable>")]
    pub(super) state: State,
}

/// For the schema of what is a table or `[user@]host[:port]`.
pub(super) struct OrText<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OrText<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrText", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "string", "grammar": Grammar::Server }, T::json_schema(generator)],
        })
    }
}

/// The JSON Schema of an inventory, for editors (taplo, Even Better TOML) and other programs.
pub fn schema() -> Value {
    let mut schema = annotated().clone();
    publish(&mut schema, false);
    schema
}

/// The schema with this program's own annotations.
pub(super) fn annotated() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<File>();
        Tidy.transform(&mut schema);
        schema.to_value()
    });
    &SCHEMA
}

/// TOML has no null, and a key with a default need not be given.
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(types) = schema.get("type").and_then(Value::as_array)
            && let Some(one) = types.iter().find(|name| *name != "null").cloned()
        {
            schema.insert("type".to_owned(), one);
        }
        let optional = |properties: &Value, name: &Value| {
            let property = name.as_str().and_then(|name| properties.get(name));
            property.is_some_and(|key| key.get("default").is_some() || key.get("derived").is_some())
        };
        if let Some(properties) = schema.get("properties").cloned()
            && let Some(Value::Array(required)) = schema.get_mut("required")
        {
            required.retain(|name| !optional(&properties, name));
        }
        transform_subschemas(self, schema);
    }
}

/// Replaces this program's annotations by what editors know. An editor sees one file, whose tables
/// may be completed by the one it extends, so only elements of lists have keys that they must have.
fn publish(schema: &mut Value, in_list: bool) {
    match schema {
        Value::Object(map) => {
            if map.get("grammar").is_some_and(Value::is_string)
                && let Some(grammar) = grammar_of(&Value::Object(map.clone()))
            {
                map.remove("grammar");
                map.insert("pattern".to_owned(), grammar.editor_pattern().into());
            }
            for annotation in ["derived", "snippet"] {
                if map.get(annotation).is_some_and(Value::is_string) {
                    map.remove(annotation);
                }
            }
            if !in_list && map.get("required").is_some_and(Value::is_array) {
                map.remove("required");
            }
            map.iter_mut()
                .for_each(|(key, part)| publish(part, in_list || key == "items"));
        }
        Value::Array(items) => items.iter_mut().for_each(|part| publish(part, in_list)),
        _ => {}
    }
}
