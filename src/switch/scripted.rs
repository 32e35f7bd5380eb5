//! Connectors whose router is a machine: scripts read it and move it, over SSH, under the guard.

use std::time::Duration;

use async_trait::async_trait;

use super::{ArmedFlip, Connector, Finding, Route, RouterView, SwitchError};
use crate::inventory::{Inventory, Pool, Router};
use crate::remote::{Guarded, Output, Script, Session};

/// Longest that one look at a router may take, once connected: what it asks is asked one after the other, for a few seconds
/// at most each.
const READ: Duration = Duration::from_secs(10);
/// How the `commit` of a flip, and a script that leaves servers out, say that nothing is changed, now or later.
const NOT_DONE: i32 = 3;

/// Reads the routes that a script printed, without servers.
pub type Reader = fn(&Output) -> Result<RouterView, String>;

/// What one kind of router needs. The scripts and the readers of their output are public, so that they can be tried on a
/// real program without SSH.
pub trait Scripted: Send + Sync {
    /// Prints what the router does now, for [`Scripted::view`].
    fn observe_script(&self, router: &str) -> Script;

    /// Reads what [`Scripted::observe_script`] printed and ended well with.
    ///
    /// # Errors
    /// What was expected and found, where it cannot be understood.
    fn seen(&self, output: &Output) -> Result<RouterView, String>;

    /// Defines `prepare` and `commit`, for [`Session::arm`]. `commit` ends with 0 (moved; what was read back is printed), 3
    /// (nothing is changed, now or later) or another code (in doubt).
    ///
    /// # Errors
    /// When the router cannot route like that.
    fn flip_script(&self, router: &str, to: &Route) -> Result<Script, String>;

    /// Reads what `commit` printed.
    fn reader(&self) -> Reader;

    /// Takes these servers of a pool out, and puts its others in again; ends as `commit` does.
    ///
    /// # Errors
    /// When the router cannot leave servers out.
    fn leave_out_script(&self, _pool: Pool, servers: &[String]) -> Result<Script, String> {
        if servers.is_empty() {
            return Ok(Script::new(":"));
        }
        Err(format!("cannot leave out {}", servers.join(", ")))
    }

    /// Looks at all that a flip needs, for [`Scripted::findings`].
    fn doctor_script(&self, router: &str) -> Script;

    /// Judges what [`Scripted::doctor_script`] printed.
    fn findings(&self, router: &str, output: &Output) -> Vec<Finding>;

    /// The router configuration that pointsman needs for this inventory.
    fn config(&self, inventory: &Inventory) -> String;

    /// What the router does, by what [`Scripted::observe_script`] came to.
    ///
    /// # Errors
    /// Why it cannot be known.
    fn view(&self, output: &Output) -> Result<RouterView, String> {
        if output.ok() {
            self.seen(output)
        } else {
            Err(complaint(output))
        }
    }

    /// The routes as read back, by what `commit` came to.
    ///
    /// # Errors
    /// Why it failed, and whether that is in doubt.
    fn flipped(&self, output: &Output) -> Result<RouterView, (String, bool)> {
        flipped(self.reader(), output)
    }
}

/// What `commit` did; else why not, and whether that is in doubt.
pub(super) fn flipped(read: Reader, output: &Output) -> Result<RouterView, (String, bool)> {
    if output.ok() {
        // It has moved, so what cannot be understood is in doubt.
        return read(output).map_err(|problem| (problem, true));
    }
    Err((complaint(output), output.code != NOT_DONE))
}

/// Why a script failed; it may have said nothing.
fn complaint(output: &Output) -> String {
    match output.complaint() {
        "" => format!("it ended with {} and said nothing", output.code),
        said => said.to_owned(),
    }
}

#[async_trait]
impl<T: Scripted> Connector for T {
    async fn observe(&self, session: &Session, router: &Router) -> Result<RouterView, SwitchError> {
        let output = session.read(&self.observe_script(&router.name), READ).await?;
        self.view(&output)
            .map_err(|problem| SwitchError::unchanged(&router.name, problem))
    }

    async fn arm(
        &self,
        session: &Session,
        work: &Guarded<'_>,
        to: &Route,
        lease: Duration,
    ) -> Result<ArmedFlip, SwitchError> {
        let script = self
            .flip_script(session.name(), to)
            .map_err(|problem| SwitchError::unchanged(session.name(), problem))?;
        let armed = session.arm(work, &script, lease).await?;
        Ok(ArmedFlip {
            armed,
            read: self.reader(),
            router: session.name().to_owned(),
        })
    }

    async fn leave_out(
        &self,
        session: &Session,
        work: &Guarded<'_>,
        pool: Pool,
        servers: &[String],
        deadline: Duration,
    ) -> Result<(), SwitchError> {
        let script = self
            .leave_out_script(pool, servers)
            .map_err(|problem| SwitchError::unchanged(session.name(), problem))?;
        let output = session.mutate(work, &script, deadline).await?;
        if output.ok() {
            return Ok(());
        }
        Err(SwitchError::Router {
            router: session.name().to_owned(),
            problem: complaint(&output),
            in_doubt: output.code != NOT_DONE,
        })
    }

    async fn doctor(&self, session: &Session, router: &Router) -> Vec<Finding> {
        match session.read(&self.doctor_script(&router.name), READ).await {
            Ok(output) => self.findings(&router.name, &output),
            Err(error) => vec![Finding::bad(&router.name, error.to_string(), "see the error")],
        }
    }

    fn config(&self, inventory: &Inventory) -> String {
        Scripted::config(self, inventory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_code_says_that_nothing_is_changed() {
        let read: Reader = |_| Err("the answer was cut".to_owned());
        let ended = |code, stderr: &str| Output {
            code,
            stderr: stderr.to_owned(),
            ..Output::default()
        };
        for code in [1, 2, 4, 11, 127, 137, -1] {
            assert_eq!(
                flipped(read, &ended(code, "why")),
                Err(("why".to_owned(), true)),
                "{code}"
            );
        }
        assert_eq!(
            flipped(read, &ended(NOT_DONE, "why")),
            Err(("why".to_owned(), false))
        );
        assert_eq!(
            flipped(read, &ended(0, "")),
            Err(("the answer was cut".to_owned(), true))
        );
        let silent = flipped(read, &ended(9, "")).expect_err("it failed").0;
        assert_eq!(silent, "it ended with 9 and said nothing");
    }
}
