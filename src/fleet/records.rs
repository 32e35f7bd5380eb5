//! What a run writes into pointsman's own folder on a server: claims, proofs, journal, unlock.

use crate::inventory::Pool;
use crate::remote::{Fence, Script};

/// One write, in one round trip; what is not asked for stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// Record that this run is changing the pool.
    pub claim: Option<Pool>,
    /// Take the claim on the pool off.
    pub unclaim: Option<Pool>,
    /// Record the pool as proven with this release (JSON).
    pub proven: Option<(Pool, String)>,
    /// Forget that the pool was proven.
    pub unproven: Option<Pool>,
    /// Give the lock back, if this run holds it.
    pub unlock: bool,
}

impl Records {
    /// Whether nothing is asked for: only the journal's lines are sent.
    pub fn is_empty(&self) -> bool {
        let pools = [self.claim, self.unclaim, self.unproven];
        pools.iter().all(Option::is_none) && self.proven.is_none() && !self.unlock
    }

    /// The script, to be run under the guard.
    pub fn script(&self, fence: &Fence) -> Script {
        let name = |pool: Option<Pool>| pool.map_or("", Pool::as_str);
        let (proven, release) = match &self.proven {
            Some((pool, release)) => (pool.as_str(), release.as_str()),
            None => ("", ""),
        };
        Script::new(include_str!("records.sh"))
            .var("STATE", &fence.state_dir)
            .var("RUN", &fence.run)
            .var("CLAIM", name(self.claim))
            .var("UNCLAIM", name(self.unclaim))
            .var("PROVEN", proven)
            .var("UNPROVEN", name(self.unproven))
            .var("UNLOCK", if self.unlock { "yes" } else { "" })
            .file("pm_release", release)
    }
}
