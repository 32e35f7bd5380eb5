//! Where in the document a value is, for messages.

use std::fmt;

use super::diagnostic::shown;

/// Where in the document: shown as `pools.blue.hosts[0].address`.
pub(super) enum Key<'a> {
    Root,
    Child(&'a Key<'a>, &'a str),
    Index(&'a Key<'a>, usize),
}

impl<'a> Key<'a> {
    pub(super) fn child(&'a self, name: &'a str) -> Key<'a> {
        Key::Child(self, name)
    }

    pub(super) fn index(&'a self, index: usize) -> Key<'a> {
        Key::Index(self, index)
    }

    /// The table in words.
    pub(super) fn table(&self) -> String {
        match self {
            Key::Root => "the inventory".to_owned(),
            key => format!("`{key}`"),
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Root => Ok(()),
            Key::Child(Key::Root, name) => f.write_str(&plain(name)),
            Key::Child(parent, name) => write!(f, "{parent}.{}", plain(name)),
            Key::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl From<&Key<'_>> for String {
    fn from(key: &Key<'_>) -> String {
        key.to_string()
    }
}

/// A key as TOML writes it: bare, or quoted and escaped.
pub(super) fn plain(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        shown(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_as_toml_writes_them() {
        let (pools, hosts) = (Key::Root.child("pools"), "hosts");
        let list = pools.child(hosts);
        assert_eq!(
            list.index(2).child("WEB_PORT").to_string(),
            "pools.hosts[2].WEB_PORT"
        );
        assert_eq!(pools.child("a b\n").to_string(), r#"pools."a b\n""#);
        assert_eq!(pools.child("").to_string(), r#"pools."""#);
    }
}
