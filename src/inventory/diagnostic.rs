//! A mistake in an inventory: where it is, what was expected, what was found.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

/// A file that was read, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path, as the user named it.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// Byte range in its text.
    pub span: Range<usize>,
}

impl Place {
    /// Line and column, both from 1; columns count characters.
    pub fn line_column(&self) -> (usize, usize) {
        let text = &self.source.text;
        let at = self.span.start.min(text.len());
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        (line, column)
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub place: Place,
    /// What was expected and found.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

/// Every mistake that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventoryErrors(pub Vec<Diagnostic>);

/// A mistake as `--json` has it.
#[derive(Debug, Serialize)]
pub struct Row {
    file: String,
    line: usize,
    column: usize,
    message: String,
    help: Option<String>,
}

impl InventoryErrors {
    /// The mistakes, for programs.
    pub fn diagnostics(&self) -> Vec<Row> {
        let row = |one: &Diagnostic| {
            let (line, column) = one.place.line_column();
            Row {
                file: one.place.source.path.clone(),
                line,
                column,
                message: one.message.clone(),
                help: one.help.clone(),
            }
        };
        self.0.iter().map(row).collect()
    }

    /// The mistakes, each with the lines that it is about, as compilers show them.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        for one in &self.0 {
            let text = &one.place.source.text;
            let end = one.place.span.end.clamp(0, text.len());
            let span = one.place.span.start.min(end)..end;
            let group = Level::ERROR.primary_title(&one.message).element(
                Snippet::source(text)
                    .path(&one.place.source.path)
                    .annotation(AnnotationKind::Primary.span(span)),
            );
            let group = match &one.help {
                Some(help) => group.element(Level::HELP.message(help)),
                None => group,
            };
            let _ = writeln!(out, "{}\n", renderer.render(&[group]));
        }
        let count = self.0.len();
        let _ = write!(out, "{count} mistake{} found", if count == 1 { "" } else { "s" });
        out
    }
}
