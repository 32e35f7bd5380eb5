//! Mistakes in an inventory, with their places: for people in the manner of rustc, for programs as JSON.

use std::fmt::Write as _;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::node::Node;
use super::secrets::masked;
use super::source::{At, Place, Sources};

/// One mistake in an inventory.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub message: String,
    /// The key, as `pools.blue.hosts[0].address`; empty when the file as a whole is meant.
    pub key: String,
    /// The file, as it was named.
    pub file: Utf8PathBuf,
    /// Where in the file; `None` when nothing in it can be pointed at.
    pub at: Option<At>,
    /// What was expected there.
    pub expected: String,
    /// What was found; escaped, and never a secret.
    pub found: String,
    /// What to type next.
    pub help: Option<String>,
    /// Another place that the mistake has to do with.
    pub related: Option<Related>,
    #[serde(skip)]
    file_index: usize,
}

/// Another place that a mistake has to do with.
#[derive(Debug, Clone, Serialize)]
pub struct Related {
    /// What stands there.
    pub message: String,
    /// The file, as it was named.
    pub file: Utf8PathBuf,
    /// Where in the file.
    pub at: At,
    #[serde(skip)]
    file_index: usize,
}

/// Everything that is wrong with an inventory.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{file}: {}", count(.diagnostics.len()))]
pub struct InventoryErrors {
    file: Utf8PathBuf,
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
}

fn count(mistakes: usize) -> String {
    if mistakes == 1 {
        "1 mistake".to_owned()
    } else {
        format!("{mistakes} mistakes")
    }
}

impl InventoryErrors {
    /// Each mistake: by file, then by place.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// All of them for people, each with the lines it is about; `colored` writes ANSI escapes.
    pub fn render(&self, colored: bool) -> String {
        let renderer = if colored {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            let _ = writeln!(out, "{}\n", self.render_one(diagnostic, &renderer));
        }
        let _ = writeln!(out, "{self}");
        out
    }

    fn render_one(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let label = diagnostic.label();
        let mut group = Group::with_title(Level::ERROR.primary_title(diagnostic.message.as_str()));
        group = match diagnostic.at {
            Some(at) => group.element(
                self.snippet(diagnostic.file_index, &diagnostic.file)
                    .annotation(AnnotationKind::Primary.span(at.start..at.end).label(label)),
            ),
            None => group
                .element(Origin::path(diagnostic.file.as_str()))
                .element(Level::NOTE.message(label)),
        };
        if let Some(related) = &diagnostic.related {
            group = group.element(
                self.snippet(related.file_index, &related.file).annotation(
                    AnnotationKind::Context
                        .span(related.at.start..related.at.end)
                        .label(related.message.as_str()),
                ),
            );
        }
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    fn snippet<'a, T: Clone>(&self, file: usize, path: &'a Utf8Path) -> Snippet<'a, T> {
        let text = self.sources.get(file).map_or("", |source| source.text.as_str());
        Snippet::source(masked(text)).path(path.as_str())
    }
}

impl Diagnostic {
    /// `expected ..., found ...`.
    fn label(&self) -> String {
        format!("expected {}, found {}", self.expected, self.found)
    }
}

/// A mistake while it is being put together.
#[derive(Debug, Clone)]
pub(super) struct Mistake {
    place: Option<Place>,
    file: usize,
    key: String,
    message: String,
    expected: String,
    found: String,
    help: Option<String>,
    related: Option<(Place, String)>,
}

impl Mistake {
    /// A mistake at this place.
    pub(super) fn at(place: &Place, key: impl Into<String>, message: impl Into<String>) -> Mistake {
        Mistake {
            place: Some(place.clone()),
            ..Mistake::in_file(place.file, key, message)
        }
    }

    /// A mistake of a file as a whole.
    pub(super) fn in_file(file: usize, key: impl Into<String>, message: impl Into<String>) -> Mistake {
        Mistake {
            place: None,
            file,
            key: key.into(),
            message: message.into(),
            expected: String::new(),
            found: String::new(),
            help: None,
            related: None,
        }
    }

    /// What should stand there.
    pub(super) fn expected(mut self, expected: impl Into<String>) -> Mistake {
        self.expected = expected.into();
        self
    }

    /// What stands there, in words.
    pub(super) fn found(mut self, found: impl Into<String>) -> Mistake {
        self.found = found.into();
        self
    }

    /// What stands there, quoted and escaped unless it is secret.
    pub(super) fn found_text(self, node: &Node, text: &str) -> Mistake {
        let found = if node.secret {
            "a value that is not shown".to_owned()
        } else {
            shown(text)
        };
        self.found(found)
    }

    /// What to type next.
    pub(super) fn help(mut self, help: impl Into<String>) -> Mistake {
        self.help = Some(help.into());
        self
    }

    /// Another place it has to do with.
    pub(super) fn related(mut self, place: &Place, message: impl Into<String>) -> Mistake {
        self.related = Some((place.clone(), message.into()));
        self
    }
}

/// Longest text that a message repeats.
const LONGEST_SHOWN: usize = 80;

/// Text for a message: quoted, escaped, cut.
pub(super) fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars
        .by_ref()
        .take(LONGEST_SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    match chars.count() {
        0 => format!("\"{head}\""),
        more => format!("\"{head}\" and {more} characters more"),
    }
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn add(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts names, lines and columns to them.
    pub(super) fn into_errors(self, file: &Utf8Path, sources: Sources) -> InventoryErrors {
        let mut mistakes = self.0;
        mistakes.sort_by(|a, b| (a.file, &a.place).cmp(&(b.file, &b.place)));
        let named = |index: usize| {
            sources
                .get(index)
                .map_or_else(|| file.to_owned(), |s| s.path.clone())
        };
        let at = |place: &Place| sources.get(place.file).map(|source| source.at(place));
        let diagnostics = mistakes
            .into_iter()
            .map(|mistake| Diagnostic {
                message: mistake.message,
                key: mistake.key,
                file: named(mistake.file),
                at: mistake.place.as_ref().and_then(at),
                expected: mistake.expected,
                found: mistake.found,
                help: mistake.help,
                related: mistake.related.and_then(|(place, message)| {
                    let file = named(place.file);
                    Some(Related {
                        message,
                        file,
                        at: at(&place)?,
                        file_index: place.file,
                    })
                }),
                file_index: mistake.file,
            })
            .collect();
        InventoryErrors {
            file: file.to_owned(),
            sources,
            diagnostics,
        }
    }
}
