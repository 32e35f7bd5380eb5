//! How the attempts of one check ended, counted by kind.

use std::fmt;

/// Attempts by how they ended, in the order in which each kind was first seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    kinds: Vec<(String, u32)>,
}

impl History {
    /// One more attempt that ended so.
    pub fn add(&mut self, kind: &str) {
        match self.kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, count)) => *count += 1,
            None => self.kinds.push((kind.to_owned(), 1)),
        }
    }

    /// How many attempts there were.
    pub fn attempts(&self) -> u32 {
        self.kinds.iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts() {
            0 => return f.write_str("no attempt"),
            1 => f.write_str("1 attempt")?,
            many => write!(f, "{many} attempts")?,
        }
        let mut separator = ": ";
        for (kind, count) in &self.kinds {
            write!(f, "{separator}{count} × {kind}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_kind_in_the_order_of_first_sight() {
        let mut history = History::default();
        assert_eq!(history.to_string(), "no attempt");
        for kind in [
            "connection refused",
            "500",
            "connection refused",
            "ok",
            "500",
            "connection refused",
        ] {
            history.add(kind);
        }
        assert_eq!(
            history.to_string(),
            "6 attempts: 3 × connection refused, 2 × 500, 1 × ok"
        );
    }
}
