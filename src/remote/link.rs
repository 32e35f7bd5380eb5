//! The open master of a server, and its end, which must not hold anybody up.

use std::ops::Deref;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Longest that closing a master is waited for. One that lives closes within milliseconds.
const CLOSE: Duration = Duration::from_secs(1);

/// An open master: cheap to clone, closed with its last clone.
#[derive(Debug, Clone)]
pub(super) struct Link(Arc<Open>);

#[derive(Debug)]
struct Open(Option<openssh::Session>);

impl Link {
    pub(super) fn new(session: openssh::Session) -> Link {
        Link(Arc::new(Open(Some(session))))
    }

    /// Whether both are the same master.
    pub(super) fn is(&self, other: &Link) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Link {
    type Target = openssh::Session;

    #[allow(
        clippy::expect_used,
        reason = "it is taken when it is dropped, and never before"
    )]
    fn deref(&self) -> &openssh::Session {
        self.0.0.as_ref().expect("taken on drop only")
    }
}

impl Drop for Open {
    /// The library closes a master by asking it to, and waits for its answer: one that is stopped never gives it
    /// (FAULTS.md 4), and nothing else would go on. It is asked elsewhere; if it ever wakes up, it is idle and ends.
    fn drop(&mut self) {
        let Some(session) = self.0.take() else { return };
        let (done, wait) = mpsc::channel();
        let close = std::thread::Builder::new().spawn(move || {
            drop(session);
            let _ = done.send(());
        });
        if close.is_ok() {
            let _ = wait.recv_timeout(CLOSE);
        }
    }
}
