//! The files that an inventory was read from, and places in them.

use std::fmt;
use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

/// Some bytes of one of the files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index in [`Sources`].
    pub(super) file: usize,
    /// First byte and the one after the last.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Place {
    pub(super) fn new(file: usize, span: Range<usize>) -> Place {
        Place {
            file,
            start: span.start,
            end: span.end,
        }
    }
}

/// Where something stands in a file, for people and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct At {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// First byte, from 0.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// One file.
#[derive(Clone)]
pub(super) struct Source {
    /// As people named it.
    pub(super) path: Utf8PathBuf,
    pub(super) text: String,
}

impl fmt::Debug for Source {
    /// Without the text: it may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.path).finish()
    }
}

impl Source {
    /// Line and column of these bytes.
    pub(super) fn at(&self, place: &Place) -> At {
        let before = &self.text.as_bytes()[..place.start.min(self.text.len())];
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        At {
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
            start: place.start,
            end: place.end,
        }
    }
}

/// All files of one inventory: the one that was asked for is the first, then those it extends.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    /// Adds a file and returns its index.
    pub(super) fn add(&mut self, path: &Utf8Path, text: &str) -> usize {
        self.0.push(Source {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        self.0.len() - 1
    }

    /// The file at this index.
    pub(super) fn get(&self, file: usize) -> Option<&Source> {
        self.0.get(file)
    }

    /// The folder that relative paths in this file start from.
    pub(super) fn folder(&self, file: usize) -> Utf8PathBuf {
        let path = self.get(file).map(|source| source.path.as_path());
        let folder = path.and_then(Utf8Path::parent).unwrap_or(Utf8Path::new("."));
        let folder = if folder.as_str().is_empty() {
            Utf8Path::new(".")
        } else {
            folder
        };
        camino::absolute_utf8(folder).unwrap_or_else(|_| folder.to_owned())
    }

    /// Exactly the bytes at a place.
    pub(super) fn slice(&self, place: &Place) -> &str {
        self.get(place.file)
            .and_then(|source| source.text.get(place.start..place.end))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let source = Source {
            path: "a.toml".into(),
            text: "a = 1\nżółw = 2\n".to_owned(),
        };
        let two = source.text.find('2').unwrap();
        let at = source.at(&Place::new(0, two..two + 1));
        assert_eq!((at.line, at.column), (2, 8));
        let at = source.at(&Place::new(0, 0..0));
        assert_eq!((at.line, at.column), (1, 1));
        let at = source.at(&Place::new(0, 999..1000));
        assert_eq!(at.line, 3);
    }

    #[test]
    fn paths_start_from_the_folder_of_the_file_that_names_them() {
        let mut sources = Sources::default();
        let bare = sources.add(Utf8Path::new("production.toml"), "");
        let deep = sources.add(Utf8Path::new("/srv/inventory/common.toml"), "");
        assert_eq!(sources.folder(deep), "/srv/inventory");
        assert!(sources.folder(bare).is_absolute());
    }
}
