//! The flip receipt: what an independent client saw through every router while the switch moved.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the prober saw, over all routers and by router.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Requests that were sent and whose end was awaited.
    pub requests: u64,
    /// Requests without a good answer: no connection, a time-out, a cut answer, or a status of 5xx.
    pub lost: u64,
    /// Requests before anything was ever deployed: there was nothing to lose.
    pub unserved: u64,
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
    /// Of these, over a connection that is kept.
    pub keep_alive: u64,
    /// Of these, each over a connection of its own.
    pub fresh: u64,
    /// Requests lost.
    pub lost: u64,
    /// Requests before anything was ever deployed.
    pub unserved: u64,
    /// Requests that were due and not sent, because too many were under way.
    pub skipped: u64,
    /// Requests that were sent before the new release answered, and had no answer yet when a command that goes back was
    /// done: the pool that they went to hangs.
    #[serde(default)]
    pub unanswered: u64,
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
    pub answers: BTreeMap<String, u64>,
    /// The first few losses in words, with their times.
    pub losses: Vec<String>,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "receipt: {} requests, {} lost, longest gap {:.1} ms",
            self.requests, self.lost, self.longest_gap_ms
        )?;
        if self.unserved > 0 {
            writeln!(
                f,
                "  {} more before anything was deployed had nobody to answer them",
                self.unserved
            )?;
        }
        for router in &self.routers {
            let RouterReceipt {
                requests,
                keep_alive,
                fresh,
                lost,
                longest_gap_ms,
                ..
            } = router;
            writeln!(
                f,
                "  {:<12} {requests} requests ({keep_alive} keep-alive, {fresh} fresh), {lost} lost, gap {longest_gap_ms:.1} ms, \
                 latency {:.1} ms median, {:.1} ms p99",
                router.router, router.latency_p50_ms, router.latency_p99_ms
            )?;
            if let (Some(old), Some(last)) = (&self.old, router.last_old) {
                writeln!(f, "  {:<12} last answer of {old}:  {}", "", clock(last))?;
            }
            if let (Some(new), Some(first)) = (&self.new, router.first_new) {
                writeln!(f, "  {:<12} first answer of {new}: {}", "", clock(first))?;
            }
            if router.skipped > 0 {
                writeln!(
                    f,
                    "  {:<12} {} requests were due and not sent: too many were under way",
                    "", router.skipped
                )?;
            }
            if router.unanswered > 0 {
                writeln!(
                    f,
                    "  {:<12} {} requests to the pool that was hot before had no answer yet",
                    "", router.unanswered
                )?;
            }
            for loss in &router.losses {
                writeln!(f, "  {:<12} lost: {loss}", "")?;
            }
        }
        if self.lost > 0 {
            writeln!(f, "{} OF {} REQUESTS WERE LOST", self.lost, self.requests)?;
        }
        Ok(())
    }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_said_aloud() {
        let at: Timestamp = "2026-11-23T10:00:00.250Z".parse().unwrap();
        let receipt = Receipt {
            requests: 100,
            lost: 2,
            longest_gap_ms: 40.0,
            old: Some("v1".into()),
            new: Some("v2".into()),
            routers: vec![RouterReceipt {
                router: "lb1".into(),
                requests: 100,
                keep_alive: 50,
                fresh: 50,
                lost: 2,
                longest_gap_ms: 40.0,
                latency_p50_ms: 1.25,
                latency_p99_ms: 9.0,
                first_new: Some(at),
                last_old: Some(at),
                unanswered: 3,
                losses: vec!["10:00:00.200Z status 503".into()],
                ..RouterReceipt::default()
            }],
            ..Receipt::default()
        };
        insta::assert_snapshot!(receipt.to_string(), @r"
        receipt: 100 requests, 2 lost, longest gap 40.0 ms
          lb1          100 requests (50 keep-alive, 50 fresh), 2 lost, gap 40.0 ms, latency 1.2 ms median, 9.0 ms p99
                       last answer of v1:  10:00:00.250Z
                       first answer of v2: 10:00:00.250Z
                       3 requests to the pool that was hot before had no answer yet
                       lost: 10:00:00.200Z status 503
        2 OF 100 REQUESTS WERE LOST
        ");
        assert!(!Receipt::default().to_string().contains("WERE LOST"));
    }
}
