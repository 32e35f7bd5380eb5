//! What a DNS provider does: it says which records stand at a name, and replaces them.

use std::fmt;

use async_trait::async_trait;

use crate::inventory::Pool;
use crate::switch::Finding;
use crate::switch::api::ApiError;

/// The types of records that pointsman reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name.
    Cname,
    /// Text.
    Txt,
}

impl Kind {
    /// As zone files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
            Kind::Cname => "CNAME",
            Kind::Txt => "TXT",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All records of one type at one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// The name, lower case, without a dot at its end.
    pub name: String,
    /// The type.
    pub kind: Kind,
    /// Seconds for which it may be cached.
    pub ttl: u32,
    /// Addresses as `std::net` writes them; a name lower case without a dot at its end; a text as it is, its strings put
    /// together. Sorted, each once.
    pub values: Vec<String>,
    /// Where several sets of this name and type stand side by side, each with a weight; `None`: it is the only one.
    pub share: Option<Share>,
}

/// Which of several sets this is, for a provider that answers with one of them at random, by their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Whose records these are.
    pub pool: Pool,
    /// How often it is the answer, against the sum of all.
    pub weight: u8,
}

/// What is replaced in one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// What must stand there, exactly in its values (a TTL need not be compared); `None`: nothing of the type.
    pub old: Option<RecordSet>,
    /// What stands there afterwards; `None`: nothing of the type. The same name and type as `old`.
    pub new: Option<RecordSet>,
}

/// One zone at one provider.
#[async_trait]
pub trait Zone: Send + Sync {
    /// Every record set of the types above at these names, as the provider's own authority holds them now: asked where a
    /// change is made, never of a cache. A type that pointsman does not know is left out.
    ///
    /// # Errors
    /// When it cannot be known: zone not there, credentials refused, nobody answers.
    async fn read(&self, names: &[&str]) -> Result<Vec<RecordSet>, ApiError>;

    /// Replaces sets, all of them or none, where each `old` still stands, as far as the provider can compare. Where `old`
    /// and `new` are the same the set is only compared. No text is longer than [`Zone::longest_text`].
    ///
    /// # Errors
    /// [`ApiError::Stale`] where an `old` does not stand there (any more).
    async fn replace(&self, sets: &[Replace]) -> Result<(), ApiError>;

    /// Whether several sets of one name and type can stand side by side, each with a [`Share`].
    fn weighs(&self) -> bool {
        false
    }

    /// The longest text that one TXT record may have, in bytes; longer ones are given as several records.
    fn longest_text(&self) -> usize;

    /// Looks at what a change will need (credentials, zone, clock), and changes nothing.
    async fn doctor(&self) -> Vec<Finding>;

    /// Looks at whether this change of a flip would be taken, and changes nothing. Nothing is found where a provider has
    /// no way to tell.
    async fn doctor_flip(&self, _change: &[Replace]) -> Vec<Finding> {
        Vec::new()
    }
}
