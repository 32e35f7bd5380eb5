//! `[pools.blue]` and `[pools.green]`: the two groups of hosts that swap roles.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The two tracks. Which one is hot is never written here: only the switch knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The pool that routers fall back to when their map has no value.
    Blue,
    /// The other one.
    Green,
}

impl Pool {
    /// Both pools, blue first.
    pub const ALL: [Pool; 2] = [Pool::Blue, Pool::Green];

    /// The other pool.
    pub fn other(self) -> Pool {
        match self {
            Pool::Blue => Pool::Green,
            Pool::Green => Pool::Blue,
        }
    }

    /// The name as it stands in inventories, router maps and project names.
    pub fn as_str(self) -> &'static str {
        match self {
            Pool::Blue => "blue",
            Pool::Green => "green",
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One app server of one pool. A host that is in both pools is two of these with one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Short name for people and logs; the address when none is given. Unique in its pool.
    pub name: String,
    /// Host name or IP address that SSH connects to (may be an alias of `~/.ssh/config`).
    pub address: String,
    /// SSH port; `None` leaves it to `[ssh]` and then `~/.ssh/config`.
    pub port: Option<u16>,
    /// SSH user; `None` leaves it to `[ssh]`.
    pub user: Option<String>,
    /// Environment for Compose on this host only (interpolated by the Compose file).
    pub env: BTreeMap<String, String>,
}
