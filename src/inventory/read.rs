//! Reads an inventory file and those it extends, and lays them over each other.

use camino::{Utf8Path, Utf8PathBuf};
use toml::de::DeTable;

use super::Environment;
use super::diagnostic::{Mistake, Mistakes};
use super::expand::expand_all;
use super::grammar::Grammar;
use super::key::Key;
use super::node::{Node, Value};
use super::source::{Place, Sources};

/// More levels than anyone has use for, and few enough for the stack.
const DEEPEST: usize = 16;

/// Reads `path` and what it extends. `None` when a mistake was found that leaves no document.
pub(super) fn read(
    path: &Utf8Path,
    env: Environment<'_>,
    sources: &mut Sources,
    mistakes: &mut Mistakes,
) -> Option<Node> {
    match std::fs::read_to_string(path) {
        Ok(text) => read_text(path, &text, env, sources, mistakes, &mut Vec::new()),
        Err(error) => {
            let file = sources.add(path, "");
            mistakes.add(
                Mistake::in_file(file, "", "the inventory cannot be read")
                    .expected("a file")
                    .found(error.to_string()),
            );
            None
        }
    }
}

/// The document that `text` is, over the ones it extends. `chain` holds the files being read.
fn read_text(
    path: &Utf8Path,
    text: &str,
    env: Environment<'_>,
    sources: &mut Sources,
    mistakes: &mut Mistakes,
    chain: &mut Vec<Utf8PathBuf>,
) -> Option<Node> {
    let file = sources.add(path, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            mistakes.add(syntax(file, text, &error));
        }
        return None;
    }
    let mut node = Node::from_toml(file, table);
    expand_all(&mut node, &Key::Root, env, sources, mistakes);
    let Some(extends) = node.get(&["extends"]) else {
        return Some(node);
    };
    let Value::String(named) = &extends.value else {
        return Some(node);
    };
    if !Grammar::Extends.accepts(named) {
        mistakes.add(
            Mistake::at(&extends.place, "extends", "`extends` is malformed")
                .expected(Grammar::Extends.words())
                .found_text(extends, named),
        );
        return None;
    }
    let base = sources.folder(file).join(named);
    let shown = path
        .parent()
        .map_or_else(|| Utf8PathBuf::from(named), |folder| folder.join(named));
    let place = extends.place.clone();

    chain.push(canonical(path));
    if chain.contains(&canonical(&base)) || chain.len() >= DEEPEST {
        let files: Vec<&str> = chain.iter().filter_map(|path| path.file_name()).collect();
        mistakes.add(
            Mistake::at(&place, "extends", "`extends` goes round in a circle")
                .expected("a file that does not lead back here")
                .found(format!("{} -> {named}", files.join(" -> "))),
        );
        return None;
    }
    let text = match std::fs::read_to_string(&base) {
        Ok(text) => text,
        Err(error) => {
            mistakes.add(
                Mistake::at(&place, "extends", "the file that `extends` names cannot be read")
                    .expected(format!("a file at {base}"))
                    .found(error.to_string()),
            );
            return None;
        }
    };
    let mut under = read_text(&shown, &text, env, sources, mistakes, chain)?;
    under.overlay(node);
    Some(under)
}

/// The same for every name of a file.
fn canonical(path: &Utf8Path) -> Utf8PathBuf {
    path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned())
}

fn syntax(file: usize, text: &str, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or(text.len()..text.len());
    let (what, expected) = match error.message() {
        "duplicate key" => ("duplicate key", "each key once"),
        message => message
            .split_once(", expected ")
            .unwrap_or((message, "something else")),
    };
    // Not what stands there itself, which may be part of a secret.
    let found = match text.get(span.start..).and_then(|rest| rest.chars().next()) {
        None => "the end of the file",
        Some('\n' | '\r') => "the end of the line",
        Some(_) => "this",
    };
    Mistake::at(&Place::new(file, span), "", format!("no valid TOML: {what}"))
        .expected(expected)
        .found(found)
}
