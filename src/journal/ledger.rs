//! Which of a run's journal lines each anchor server has: lines ride along with the next mutation
//! that goes there, so that its intent is there before it acts, at no round trip of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A run's lines, and how many of them each anchor server is known to have. Clones are the same ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    has: BTreeMap<String, usize>,
    lenient: bool,
}

/// Lines that a server is not known to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// Their text.
    pub text: String,
    /// Whether the mutation must not be made where they cannot be kept. From the flip on it must be
    /// made all the same: what protects the traffic goes before the record (FAULTS.md 75).
    pub required: bool,
    /// The number of the first of them, from 0.
    pub from: usize,
    upto: usize,
}

impl Ledger {
    /// Takes over a line that is durable here.
    pub fn push(&self, line: String) {
        self.inner().lines.push(line);
    }

    /// What a server is not known to have.
    pub fn pending(&self, server: &str) -> Pending {
        let inner = self.inner();
        let from = inner.has.get(server).copied().unwrap_or(0);
        Pending {
            text: inner.lines[from..].concat(),
            required: !inner.lenient,
            from,
            upto: inner.lines.len(),
        }
    }

    /// The server said that it did what these lines came with.
    pub fn delivered(&self, server: &str, pending: &Pending) {
        let mut inner = self.inner();
        let has = inner.has.entry(server.to_owned()).or_default();
        *has = (*has).max(pending.upto);
    }

    /// From here on lines that cannot be kept stop nothing.
    pub fn be_lenient(&self) {
        self.inner().lenient = true;
    }

    /// Whether lines that cannot be kept stop nothing.
    pub fn is_lenient(&self) -> bool {
        self.inner().lenient
    }

    /// The whole journal.
    pub fn text(&self) -> String {
        self.inner().lines.concat()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_gets_each_line_until_it_has_it() {
        let ledger = Ledger::default();
        ledger.push("a\n".into());
        let first = ledger.pending("lb1");
        assert_eq!((first.text.as_str(), first.required), ("a\n", true));
        ledger.push("b\n".into());
        // The answer was lost: both go again.
        assert_eq!(ledger.pending("lb1").text, "a\nb\n");
        ledger.delivered("lb1", &first);
        assert_eq!(ledger.pending("lb1").text, "b\n");
        assert_eq!(ledger.pending("lb2").text, "a\nb\n");
        ledger.be_lenient();
        assert!(!ledger.pending("lb2").required);
    }
}
