//! `${VAR}` and `${VAR:-default}` in strings, from the environment, exactly once.

use super::Environment;
use super::diagnostic::{Mistake, Mistakes, shown};
use super::grammar::Grammar;
use super::key::Key;
use super::node::{Node, Value};
use super::secrets::sounds_secret;
use super::source::{Place, Sources};

/// Text after expansion.
#[derive(Debug, PartialEq, Eq)]
struct Expanded {
    text: String,
    /// Some of it came from a variable that sounds secret.
    secret: bool,
}

/// Why text could not be expanded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ExpandError {
    #[error("the environment variable {name} is not set")]
    Unset { name: String },
    #[error("`${{` without `}}`")]
    Open,
    #[error("{} is no name of an environment variable", shown(.name))]
    Name { name: String },
}

/// Expands every string of the document in place.
pub(super) fn expand_all(
    node: &mut Node,
    key: &Key<'_>,
    env: Environment<'_>,
    sources: &Sources,
    mistakes: &mut Mistakes,
) {
    match &mut node.value {
        Value::String(text) => match expand(text, env) {
            Ok(expanded) => {
                node.secret = expanded.secret;
                *text = expanded.text;
            }
            Err(error) => {
                mistakes.add(mistake(&error, &node.place, key, sources));
                node.value = Value::Bad;
            }
        },
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                expand_all(item, &key.index(index), env, sources, mistakes);
            }
        }
        Value::Table(table) => {
            for (name, entry) in table {
                expand_all(&mut entry.node, &key.child(name), env, sources, mistakes);
            }
        }
        _ => {}
    }
}

/// One pass from left to right: what a variable holds is never looked at again.
fn expand(text: &str, env: Environment<'_>) -> Result<Expanded, ExpandError> {
    let mut expanded = Expanded {
        text: String::with_capacity(text.len()),
        secret: false,
    };
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.text.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (reference, after) = after.split_once('}').ok_or(ExpandError::Open)?;
            let (name, default) = match reference.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (reference, None),
            };
            if !Grammar::EnvName.accepts(name) {
                return Err(ExpandError::Name {
                    name: name.to_owned(),
                });
            }
            // As in a shell, `:-` also stands in for a variable that is set to nothing.
            let value = env(name).filter(|value| default.is_none() || !value.is_empty());
            let value = value.or_else(|| default.map(str::to_owned));
            expanded.text.push_str(&value.ok_or_else(|| ExpandError::Unset {
                name: name.to_owned(),
            })?);
            expanded.secret |= sounds_secret(name);
            rest = after;
        } else {
            expanded.text.push('$');
        }
    }
    expanded.text.push_str(rest);
    Ok(expanded)
}

fn mistake(error: &ExpandError, place: &Place, key: &Key<'_>, sources: &Sources) -> Mistake {
    match error {
        ExpandError::Unset { name } => {
            let reference = format!("${{{name}}}");
            let place = narrowed(place, &reference, sources);
            Mistake::at(&place, key, format!("`{key}` needs an environment variable"))
                .expected(format!("{name} to be set"))
                .found("it unset")
                .help(format!(
                    "set it: `export {name}=...`, or give it a default: `${{{name}:-...}}`"
                ))
        }
        ExpandError::Open => Mistake::at(
            &narrowed(place, "${", sources),
            key,
            format!("`{key}` is cut off"),
        )
        .expected("`}` after `${`")
        .found("none")
        .help("a `$` that means itself before `{` is written `$$`"),
        ExpandError::Name { name } => {
            let place = narrowed(place, &format!("${{{name}"), sources);
            Mistake::at(&place, key, format!("`{key}` refers to no variable"))
                .expected("`${NAME}` or `${NAME:-default}` (letters, digits and `_`, no digit first)")
                .found(shown(name))
                .help("a `$` that means itself before `{` is written `$$`")
        }
    }
}

/// The place of `part` within `place`, where it stands there literally.
fn narrowed(place: &Place, part: &str, sources: &Sources) -> Place {
    match sources.slice(place).find(part) {
        Some(offset) => Place::new(
            place.file,
            place.start + offset..place.start + offset + part.len(),
        ),
        None => place.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(text: &str) -> Result<String, ExpandError> {
        let env = |name: &str| match name {
            "A" => Some("${B} $$ $(id)".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(text, &env).map(|expanded| expanded.text)
    }

    #[test]
    fn variables_defaults_and_dollars() {
        for (text, expected) in [
            ("plain", "plain"),
            ("<${A}>", "<${B} $$ $(id)>"),
            ("${NOT_SET:-here}", "here"),
            ("${NOT_SET:-}", ""),
            ("${NOT_SET:-$$}", "$$"),
            ("${EMPTY:-here}", "here"),
            ("${EMPTY}", ""),
            ("$${A}", "${A}"),
            ("$$$$", "$$"),
            ("$HOME $", "$HOME $"),
            ("a$$b${EMPTY}c", "a$bc"),
        ] {
            assert_eq!(with(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_said() {
        assert_eq!(
            with("x${NOT_SET}"),
            Err(ExpandError::Unset {
                name: "NOT_SET".to_owned()
            })
        );
        assert_eq!(with("${NOT_SET"), Err(ExpandError::Open));
        assert_eq!(with("${}"), Err(ExpandError::Name { name: String::new() }));
        assert_eq!(
            with("${A B}"),
            Err(ExpandError::Name {
                name: "A B".to_owned()
            })
        );
    }

    #[test]
    fn values_of_variables_that_sound_secret_are_marked() {
        let env = |_: &str| Some("x".to_owned());
        assert!(expand("${DOCKER_PASS}", &env).unwrap().secret);
        assert!(expand("a${GITHUB_TOKEN}b", &env).unwrap().secret);
        assert!(!expand("${DOCKER_USER}", &env).unwrap().secret);
    }

    proptest! {
        #[test]
        fn a_value_is_never_expanded_again(value in any::<String>()) {
            let env = |name: &str| (name == "V").then(|| value.clone());
            prop_assert_eq!(expand("<${V}>", &env).unwrap().text, format!("<{value}>"));
        }

        #[test]
        fn doubling_dollars_keeps_any_text(text in any::<String>()) {
            prop_assert_eq!(expand(&text.replace('$', "$$"), &|_| None).unwrap().text, text);
        }
    }
}
