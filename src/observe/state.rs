//! What pointsman keeps on one server: epoch, lock, claims, proven releases.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::compose::Release;
use crate::inventory::Pool;
use crate::remote::{Output, Script};

/// Who holds the environment's lock, for those who find it taken (`owner.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The run.
    pub run: String,
    /// `deploy`, `rollback`, or `lock` for one that was taken by hand.
    pub command: String,
    /// `user@machine`.
    pub who: String,
    /// Since when, by the owner's clock.
    pub since: Timestamp,
    /// What a person wrote, for a lock that was taken by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A pool that some run is changing: it may be half of anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolClaim {
    /// The run that changes it.
    pub run: String,
}

/// What one server keeps, as read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerState {
    /// The fencing number; 0 where no run ever came.
    pub epoch: u64,
    /// The run that holds the lock, if any.
    pub holder: Option<String>,
    /// What it wrote about itself.
    pub owner: Option<Owner>,
    /// Its journal, as far as it has come here.
    #[serde(skip)]
    pub journal: Option<String>,
    /// The step that the holder's heart last named.
    #[serde(default)]
    pub phase: Option<String>,
    /// Seconds since the holder was last heard of, by the server's own clock.
    pub owner_age_s: Option<i64>,
    /// The server's clock, seconds since 1970.
    pub clock: Option<i64>,
    /// Seconds by which its clock is ahead of ours, as far as that is sure.
    #[serde(default)]
    pub skew_s: Option<i64>,
    /// Pools that a run is changing (on routers).
    pub claims: BTreeMap<Pool, PoolClaim>,
    /// The release that each pool was last proven with (on routers); none while it is changed.
    pub proven: BTreeMap<Pool, Release>,
    /// The release that each pool was last started with (on app hosts).
    pub current: BTreeMap<Pool, String>,
}

/// Reads a [`ServerState`].
pub fn script(state_dir: &str) -> Script {
    Script::new(include_str!("state.sh")).var("STATE", state_dir)
}

/// Reads what [`script`] printed.
///
/// # Errors
/// In words, when the answer is cut or a file does not hold what pointsman writes.
pub fn parse(output: &Output) -> Result<ServerState, String> {
    if output.section("end").is_none() {
        return Err(format!("its state could not be read: {}", output.complaint()));
    }
    let text = |name: &str| output.section(name).unwrap_or_default().trim();
    let epoch = match text("epoch") {
        "" => 0,
        word => word
            .parse()
            .map_err(|_| format!("expected a number in its epoch file, found {word:?}"))?,
    };
    let clock = text("clock").parse().ok();
    let written: Option<i64> = text("owner-seconds").parse().ok();
    let mut state = ServerState {
        epoch,
        holder: Some(text("holder").to_owned()).filter(|h| !h.is_empty()),
        owner: serde_json::from_str(text("owner")).ok(),
        journal: output.section("holder-journal").map(str::to_owned),
        phase: Some(text("heartbeat").to_owned()).filter(|phase| !phase.is_empty()),
        owner_age_s: clock
            .zip(written)
            .map(|(now, then): (i64, i64)| (now - then).max(0)),
        clock,
        ..ServerState::default()
    };
    for pool in Pool::ALL {
        let claim = text(&format!("claim-{pool}"));
        if !claim.is_empty() {
            state.claims.insert(
                pool,
                PoolClaim {
                    run: claim.to_owned(),
                },
            );
        }
        let proven = text(&format!("proven-{pool}"));
        if !proven.is_empty() {
            // A record that cannot be read is no proof; the pool then counts as unproven.
            if let Ok(release) = serde_json::from_str(proven) {
                state.proven.insert(pool, release);
            }
        }
        let current = text(&format!("current-{pool}"));
        if !current.is_empty() {
            state.current.insert(pool, current.to_owned());
        }
    }
    Ok(state)
}
