//! What is wrong, why we think so, and what to do: a pure reading of the evidence.
//!
//! Evidence is taken in the order of its weight: what the engine says of the containers, what the
//! release says of itself, then causes and lastly symptoms in what was logged and answered.

mod answers;
mod logs;
mod pattern;
mod rules;
mod states;

use super::fault::Fault;
use crate::compose::Container;

/// What is wrong with a host, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The problem: `the database at db:5432 refuses connections`.
    pub what: String,
    /// The evidence, as it stands on the server: `service app: PG::ConnectionBad: ...`.
    pub why: String,
    /// What mends it.
    pub cure: String,
    /// The service that the evidence comes from, if it is one's.
    pub service: Option<String>,
}

/// Everything that a failed proof has left behind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// The project's containers as last seen.
    pub containers: &'a [Container],
    /// What went wrong last with each check that fails, the one to blame first.
    pub faults: &'a [Fault],
    /// Services and the last lines that they logged, the one to blame first.
    pub logs: &'a [(String, Vec<String>)],
    /// Facts about the host in lines of text (disk, memory, what the engine last said), if any were read.
    pub facts: &'a str,
}

/// The likeliest explanation, or `None` when nothing known fits.
pub fn diagnose(evidence: &Evidence) -> Option<Diagnosis> {
    states::killed_or_refused(evidence.containers)
        .or_else(|| answers::another_release(evidence))
        .or_else(|| logs::cause(evidence))
        .or_else(|| answers::turned_away(evidence))
        .or_else(|| logs::exception(evidence))
        .or_else(|| answers::behind_a_proxy(evidence))
        .or_else(|| logs::symptom(evidence))
        .or_else(|| states::ended(evidence.containers))
        .or_else(|| answers::plain(evidence))
}

#[cfg(test)]
mod tests;
