//! The flip receipt: what an independent client saw through every router while the switch moved.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the prober saw, over all routers and by router.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Requests that were sent and whose end was awaited.
    pub requests: u64,
    /// Requests without a good answer: no connection, a time-out, a cut answer, or a status of 5xx.
    pub lost: u64,
    /// Longest time between two good answers on one router, in milliseconds; the worst router's.
    pub longest_gap_ms: f64,
    /// The tag that was hot before.
    pub old: Option<String>,
    /// The tag that is hot after.
    pub new: Option<String>,
    /// By router, in the inventory's order.
    pub routers: Vec<RouterReceipt>,
}

/// What the prober saw through one router.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RouterReceipt {
    /// The router's name.
    pub router: String,
    /// Requests sent.
    pub requests: u64,
    /// Requests lost.
    pub lost: u64,
    /// Longest time between two good answers, in milliseconds.
    pub longest_gap_ms: f64,
    /// Median latency in milliseconds.
    pub latency_p50_ms: f64,
    /// 99th percentile of latency in milliseconds.
    pub latency_p99_ms: f64,
    /// When the first request that the new release answered was sent.
    pub first_new: Option<Timestamp>,
    /// When the last request that the old release answered was sent.
    pub last_old: Option<Timestamp>,
    /// Answers by release tag.
    pub answers: std::collections::BTreeMap<String, u64>,
    /// The first few losses in words, with their times.
    pub losses: Vec<String>,
}
