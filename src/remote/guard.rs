//! The guard: mutations under the fence, and the fence itself.

use std::time::Duration;

use openssh::{ChildStdin, ChildStdout};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::error::RemoteError;
use super::fence::{Claim, Fence, Guarded};
use super::output::Output;
use super::script::Script;
use super::session::{Channel, Session};

/// Longest that the guard waits for the lock of an older mutation. A step that takes longer (a
/// pull, a migration) makes a newcomer fail with words instead of hanging.
const LOCK_WAIT: Duration = Duration::from_secs(20);
/// What the client allows beyond the remote deadlines: login shell, kill grace, the way back.
const GRACE: Duration = Duration::from_secs(10);
/// Longest to wait for the recorded result of a mutation whose connection broke.
const SETTLE: Duration = Duration::from_secs(15);
/// How often a server is connected to for the result of a mutation whose answer was lost: a way that is cut for half a
/// minute must not end a deploy. A flip that is in doubt is not waited for like that.
const SETTLE_TRIES: u32 = 3;

const GUARD: &str = include_str!("guard.sh");
const SETTLE_SH: &str = include_str!("settle.sh");

impl Session {
    /// Runs a script under the guard: with the server's lock held, only if this run's epoch is the
    /// server's, detached from this connection, its result kept as `runs/<run>/<step>.{rc,out}`.
    /// After a broken connection the recorded result is read; only when that cannot be had is the
    /// mutation in doubt.
    ///
    /// # Errors
    /// All but [`RemoteError::InDoubt`] and [`RemoteError::Unrecorded`] mean that nothing was changed.
    pub async fn mutate(
        &self,
        work: &Guarded<'_>,
        script: &Script,
        deadline: Duration,
    ) -> Result<Output, RemoteError> {
        self.guarded(work, "run", &Claim::default(), script, deadline)
            .await
    }

    /// Fences the server: takes the lock's file, compares, writes the epoch, then runs `script`
    /// under it, all in one round trip.
    ///
    /// # Errors
    /// As [`Session::mutate`]; also [`RemoteError::Locked`] and [`RemoteError::Raced`].
    pub async fn fence(
        &self,
        work: &Guarded<'_>,
        claim: &Claim,
        script: &Script,
        deadline: Duration,
    ) -> Result<Output, RemoteError> {
        let op = if claim.expect.is_some() { "cas" } else { "set" };
        self.guarded(work, op, claim, script, deadline).await
    }

    async fn guarded(
        &self,
        work: &Guarded<'_>,
        op: &'static str,
        claim: &Claim,
        script: &Script,
        deadline: Duration,
    ) -> Result<Output, RemoteError> {
        let (fence, step) = (work.fence, work.step);
        let guard = guard_script(work, op, claim)
            .var("DEADLINE", deadline.as_secs().max(1).to_string())
            .var("LEASE", "0")
            .file("pm_payload", script.render()?);
        match self
            .run(&guard.render()?, step, deadline + LOCK_WAIT + GRACE)
            .await
        {
            Ok(output) => self.verdict(fence, step, output),
            Err(error) if error.is_in_doubt() => self.settle(fence, step, error, SETTLE_TRIES).await,
            Err(error) => Err(error),
        }
    }

    /// Reads the recorded result of a mutation whose answer was lost.
    async fn settle(
        &self,
        fence: &Fence,
        step: &str,
        doubt: RemoteError,
        tries: u32,
    ) -> Result<Output, RemoteError> {
        let script = Script::new(SETTLE_SH)
            .var("STATE", &fence.state_dir)
            .var("RECORD", format!("{}/runs/{}/{step}", fence.state_dir, fence.run))
            .var("LOCK_WAIT", SETTLE.as_secs().to_string());
        let script = script.render()?;
        for _ in 0..tries {
            match self.run(&script, step, SETTLE + GRACE).await {
                Ok(output) => return self.verdict(fence, step, output).map_err(|_| doubt),
                // Nobody is there: that passes, or takes as long as a connect may.
                Err(RemoteError::Connect { .. }) => {}
                Err(_) => break,
            }
        }
        Err(doubt)
    }

    /// What the guard's last section says.
    fn verdict(&self, fence: &Fence, step: &str, output: Output) -> Result<Output, RemoteError> {
        let server = self.name().to_owned();
        let refused = |problem: String| RemoteError::Refused {
            server: self.name().to_owned(),
            problem,
        };
        let Some((payload, verdict)) = split_verdict(&output.stdout) else {
            // The guard's verdict is its last word. Without it nothing is known, unless the shell
            // itself failed before the guard could begin.
            return Err(
                if output.code == 127 || output.stdout.is_empty() && output.code != 0 {
                    refused(format!("no POSIX shell there: {}", output.complaint()))
                } else {
                    RemoteError::InDoubt {
                        server,
                        what: step.to_owned(),
                        deadline: Duration::ZERO,
                    }
                },
            );
        };
        let mut words = verdict.split_whitespace();
        let number = |word: Option<&str>| word.and_then(|w| w.parse::<u64>().ok()).unwrap_or_default();
        match words.next() {
            Some("done") => {
                let code = i32::try_from(number(words.next())).unwrap_or(-1);
                let (stdout, stderr) = payload
                    .split_once("\n@@pm:guard-stderr\n")
                    .unwrap_or((payload, ""));
                Ok(Output {
                    code,
                    stdout: stdout.to_owned(),
                    stderr: stderr.to_owned(),
                })
            }
            Some("fenced") => Err(RemoteError::Fenced {
                server,
                seen: number(words.next()),
                ours: fence.epoch,
            }),
            Some("raced") => Err(RemoteError::Raced {
                server,
                seen: number(words.next()),
            }),
            Some("locked") => Err(RemoteError::Locked {
                server,
                holder: words.next().unwrap_or_default().to_owned(),
                owner: output.section("owner").unwrap_or_default().trim().to_owned(),
            }),
            Some("unfenced") => Err(RemoteError::Unfenced {
                server,
                seen: number(words.next()),
                ours: fence.epoch,
            }),
            Some("lost") => Err(RemoteError::LockLost {
                server,
                holder: words.next().unwrap_or("nobody").to_owned(),
            }),
            Some("busy") => Err(RemoteError::Busy {
                server,
                waited: LOCK_WAIT,
            }),
            Some("unprepared") => {
                let said = output.section("guard-stderr").unwrap_or_default().trim();
                Err(refused(if said.is_empty() {
                    "could not prepare the flip".to_owned()
                } else {
                    said.to_owned()
                }))
            }
            // What was sent has run, and how it ended is lost: a full disk, for one, which it may have filled itself.
            Some("unrecorded") => Err(RemoteError::Unrecorded {
                server,
                what: step.to_owned(),
            }),
            Some("cancelled") => Err(refused("the prepared work was cancelled".to_owned())),
            _ => Err(refused(
                verdict.strip_prefix("broken ").unwrap_or(verdict).to_owned(),
            )),
        }
    }

    /// Sends a guarded script whose body defines the shell functions `prepare` and `commit`, runs
    /// `prepare` with the server's lock held, and waits for [`Armed::commit`] for at most `lease`.
    ///
    /// # Errors
    /// As [`Session::mutate`]; a `prepare` that fails is [`RemoteError::Refused`] with what it said.
    pub async fn arm(
        &self,
        work: &Guarded<'_>,
        script: &Script,
        lease: Duration,
    ) -> Result<Armed, RemoteError> {
        let (fence, step) = (work.fence, work.step);
        let guard = guard_script(work, "arm", &Claim::default())
            .var("DEADLINE", "0")
            .var("LEASE", lease.as_secs().max(1).to_string())
            .file("pm_payload", script.render_definitions()?);
        let text = guard.render_interactive()?;
        let link = self.live_link().await?;
        let deadline = LOCK_WAIT + GRACE;
        // Nothing is changed before the word, so a failure here is never in doubt.
        let lost = || RemoteError::Refused {
            server: self.name().to_owned(),
            problem: "the connection broke while the flip was being prepared".to_owned(),
        };
        let talk = async {
            let mut channel = self.channel(&link).await?;
            let (Some(mut stdin), Some(stdout)) =
                (channel.child.stdin().take(), channel.child.stdout().take())
            else {
                return Err(lost());
            };
            stdin.write_all(text.as_bytes()).await.map_err(|_| lost())?;
            stdin.flush().await.map_err(|_| lost())?;
            let mut stdout = BufReader::new(stdout);
            let said = read_to_verdict(&mut stdout).await.map_err(|_| lost())?;
            Ok((channel, stdin, stdout, said))
        };
        let (channel, stdin, stdout, said) = match tokio::time::timeout(deadline, talk).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(error)) => {
                self.forget(&link).await;
                return Err(error);
            }
            Err(_) => {
                self.forget(&link).await;
                return Err(lost());
            }
        };
        let output = Output {
            code: 0,
            stdout: said,
            stderr: String::new(),
        };
        match split_verdict(&output.stdout) {
            Some((prepared, "armed")) => Ok(Armed {
                prepared: Output {
                    stdout: prepared.to_owned(),
                    ..Output::default()
                },
                session: self.clone(),
                fence: fence.clone(),
                step: step.to_owned(),
                channel,
                stdin,
                stdout,
            }),
            _ => match self.verdict(fence, step, output) {
                Ok(_) => Err(lost()),
                Err(error) if error.is_in_doubt() => Err(lost()),
                Err(error) => Err(error),
            },
        }
    }
}

/// A guarded script that has prepared itself on the server, holds the server's lock, and waits
/// for one word to commit. Dropped without a word, it changes nothing.
pub struct Armed {
    prepared: Output,
    session: Session,
    fence: Fence,
    step: String,
    channel: Channel,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl std::fmt::Debug for Armed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Armed")
            .field("server", &self.session.name())
            .finish_non_exhaustive()
    }
}

impl Armed {
    /// What `prepare` printed.
    pub fn prepared(&self) -> &Output {
        &self.prepared
    }

    /// One word down the open channel: `commit` runs, and this is what it printed.
    ///
    /// # Errors
    /// [`RemoteError::InDoubt`] when no answer came and the recorded result could not be read;
    /// [`RemoteError::Refused`] when the lease had run out, so that nothing was changed.
    pub async fn commit(self, deadline: Duration) -> Result<Output, RemoteError> {
        let Armed {
            session,
            fence,
            step,
            mut channel,
            mut stdin,
            mut stdout,
            ..
        } = self;
        let doubt = || RemoteError::InDoubt {
            server: session.name().to_owned(),
            what: step.clone(),
            deadline,
        };
        let talk = async {
            stdin.write_all(b"commit\n").await.map_err(|_| doubt())?;
            stdin.flush().await.map_err(|_| doubt())?;
            let said = read_to_verdict(&mut stdout).await.map_err(|_| doubt())?;
            session.verdict(
                &fence,
                &step,
                Output {
                    code: 0,
                    stdout: said,
                    stderr: String::new(),
                },
            )
        };
        let result = match tokio::time::timeout(deadline, talk).await {
            Ok(result) => result,
            Err(_) => Err(doubt()),
        };
        drop(channel.child.stdin().take());
        match result {
            Err(error) if error.is_in_doubt() => {
                session.forget_any().await;
                session.settle(&fence, &step, error, 1).await
            }
            result => result,
        }
    }
}

/// The guard with everything but its payload.
fn guard_script(work: &Guarded<'_>, op: &'static str, claim: &Claim) -> Script {
    let Guarded { fence, step, .. } = *work;
    Script::new(GUARD)
        .var("STATE", &fence.state_dir)
        .var("RUN", &fence.run)
        .var("STEP", step)
        .var("EPOCH", fence.epoch.to_string())
        .var("OP", op)
        .var("EXPECT", claim.expect.unwrap_or_default().to_string())
        .var("HOLDER", if claim.hold { fence.run.as_str() } else { "" })
        .var("OWNER", &claim.owner)
        .var("STEAL", claim.steal.join(" "))
        .var(
            "LINES",
            if work.lines.is_empty() {
                ""
            } else if work.required {
                "required"
            } else {
                "wanted"
            },
        )
        .file("pm_lines", work.lines)
        .var("LOCK_WAIT", LOCK_WAIT.as_secs().to_string())
}

const VERDICT: &str = "\n@@pm:guard\n";

/// The payload's part of the output, and the guard's last word.
fn split_verdict(stdout: &str) -> Option<(&str, &str)> {
    let at = stdout.rfind(VERDICT)?;
    let verdict = stdout[at + VERDICT.len()..].strip_suffix('\n')?;
    (!verdict.contains('\n')).then_some((&stdout[..at], verdict))
}

/// Reads up to and with the line that follows the guard's mark.
async fn read_to_verdict<R: tokio::io::AsyncRead + Unpin>(
    from: &mut BufReader<R>,
) -> std::io::Result<String> {
    let mut said = Vec::new();
    while from.read_until(b'\n', &mut said).await? > 0 {
        if split_verdict(&String::from_utf8_lossy(&said)).is_some() {
            return Ok(String::from_utf8_lossy(&said).into_owned());
        }
    }
    from.read_to_end(&mut said).await?;
    Err(std::io::ErrorKind::UnexpectedEof.into())
}
