//! What the conformance suite needs of a store, and a store without any condition: its control.

use std::sync::Arc;

use async_trait::async_trait;
use pointsman::state::{Done, Right, Snapshot, Store, StoreError, Take};
use tokio::sync::Barrier;

use super::relay::Relay;

/// One real store under test.
#[async_trait]
pub trait Bench: Send + Sync {
    /// A client with connections of its own.
    fn client(&self, env: &str) -> Box<dyn Store>;

    /// A client whose way goes through the relay.
    fn through(&self, relay: &Relay, env: &str) -> Box<dyn Store>;

    /// A relay to the store.
    async fn relay(&self) -> Relay;

    /// Ends the store in the hardest way there is, and starts it again on the same data.
    async fn crash(&self);

    /// Writes lock and epoch without looking, as no store of pointsman does.
    async fn overwrite(&self, env: &str, epoch: u64, run: Option<&str>);

    /// Adds a journal line without looking.
    async fn scribble(&self, env: &str, run: &str, seq: u64, line: &str);

    /// Rounds of a race: what is asked over SSH takes longer.
    fn rounds(&self) -> u64;
}

/// Reads as the real store does and writes without a condition: the suite must catch it.
pub struct Careless<'b> {
    pub bench: &'b dyn Bench,
    pub real: Box<dyn Store>,
    pub env: String,
    /// All racers look before any of them writes.
    pub start: Arc<Barrier>,
}

#[async_trait]
impl Store for Careless<'_> {
    fn name(&self) -> &'static str {
        self.real.name()
    }

    async fn read(&self) -> Result<Snapshot, StoreError> {
        self.real.read().await
    }

    async fn acquire(&self, take: &Take) -> Result<Done, StoreError> {
        let seen = self.real.read().await?;
        self.start.wait().await;
        if seen
            .held
            .as_ref()
            .is_some_and(|held| Some(&held.run) != take.steal.as_ref())
        {
            return Err(StoreError::Raced { seen: seen.epoch });
        }
        self.bench.overwrite(&self.env, take.epoch, Some(&take.run)).await;
        Ok(Done::Applied)
    }

    async fn append(&self, right: &Right, first_seq: u64, lines: &[String]) -> Result<Done, StoreError> {
        for (number, line) in lines.iter().enumerate() {
            let seq = first_seq + number as u64;
            self.bench.scribble(&self.env, &right.run, seq, line).await;
        }
        Ok(Done::Applied)
    }

    async fn heartbeat(&self, right: &Right, _phase: &str) -> Result<(), StoreError> {
        self.bench
            .overwrite(&self.env, right.epoch, Some(&right.run))
            .await;
        Ok(())
    }

    async fn release(&self, right: &Right) -> Result<Done, StoreError> {
        self.bench.overwrite(&self.env, right.epoch, None).await;
        Ok(Done::Applied)
    }

    async fn journals(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.real.journals().await
    }
}
