//! The heartbeat: tells those who find the lock taken that the run is alive, and what it does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fleet::Fleet;
use crate::remote::Fence;

/// Pause between two beats. A run counts as silent after [`crate::observe::SILENT`].
pub const BEAT: Duration = Duration::from_secs(3);

/// Beats until dropped.
pub struct Heart {
    phase: watch::Sender<&'static str>,
    task: Option<JoinHandle<()>>,
}

impl Heart {
    /// Begins to beat where there is a fleet in real time.
    pub fn start(fleet: Arc<dyn Fleet>, fence: Fence) -> Heart {
        let (phase, now) = watch::channel("fence");
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                let phase = *now.borrow();
                fleet.heartbeat(&fence, phase).await;
            }
        });
        Heart {
            phase,
            task: Some(task),
        }
    }

    /// One that does not beat: a simulated run has no clock.
    pub fn still() -> Heart {
        Heart {
            phase: watch::channel("fence").0,
            task: None,
        }
    }

    /// What the run does from here on.
    pub fn now_in(&self, phase: &'static str) {
        self.phase.send_replace(phase);
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
