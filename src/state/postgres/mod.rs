//! The lock and the journal in PostgreSQL: three tables, keyed by app and environment.
//!
//! Each write is one transaction that locks the environment's row, asks the rules, writes and commits.
//! Until `COMMIT` is sent nothing can have happened, so only a lost answer to that word is a doubt.

mod link;
mod problem;
mod sql;
mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use self::link::{Dial, Link};
use self::problem::Fault;
use super::rules::{self, Kept};
use super::{CALL, Done, Held, Right, Site, Snapshot, Store, StoreError, Take};
use crate::inventory::state::PostgresState;

/// Lock and journal in PostgreSQL.
pub struct Postgres {
    dial: Dial,
    site: Site,
    /// One connection; calls wait for each other.
    link: Mutex<Option<Link>>,
    /// A `COMMIT` of ours was not answered: it may still be under way there.
    doubt: AtomicBool,
}

/// One write, by what it is allowed to and does.
enum Write<'a> {
    Acquire(&'a Take),
    Append(&'a Right, u64, &'a [String]),
    Heartbeat(&'a Right, &'a str),
    Release(&'a Right),
}

impl Write<'_> {
    fn what(&self) -> &'static str {
        match self {
            Write::Acquire(_) => "taking the lock",
            Write::Append(..) => "writing the journal",
            Write::Heartbeat(..) => "the heartbeat",
            Write::Release(_) => "giving the lock back",
        }
    }
}

impl Postgres {
    /// Reads the CA file, if there is one; touches no network.
    ///
    /// # Errors
    /// When the CA file cannot be used.
    pub fn new(settings: &PostgresState, site: Site) -> Result<Postgres, StoreError> {
        Ok(Postgres {
            dial: Dial::new(settings)?,
            site,
            link: Mutex::new(None),
            doubt: AtomicBool::new(false),
        })
    }

    /// One transaction. Nothing of it is kept unless its `COMMIT` was sent.
    async fn write(&self, write: Write<'_>) -> Result<Done, StoreError> {
        let mut slot = self.link.lock().await;
        // Taken out, so that a caller who gives up in the middle leaves no transaction open.
        let mut link = slot.take();
        let mut sent = false;
        let result = tokio::time::timeout(CALL, self.transact(&mut link, &write, &mut sent)).await;
        let fault = match result {
            Ok(Ok(done)) => {
                *slot = link;
                return Ok(done);
            }
            // What the rules refuse ends the transaction in order.
            Ok(Err(Fault::Rule(error))) => {
                *slot = link;
                return Err(error);
            }
            Ok(Err(fault)) => fault,
            Err(_) => Fault::Silent,
        };
        if !sent {
            return Err(problem::of_question(&self.dial.at, &fault));
        }
        let error = problem::of_commit(&self.dial.at, write.what(), &fault);
        self.doubt.store(error.is_in_doubt(), Ordering::Relaxed);
        Err(error)
    }

    async fn transact(
        &self,
        link: &mut Option<Link>,
        write: &Write<'_>,
        sent: &mut bool,
    ) -> Result<Done, Fault> {
        let client = self.begun(link).await?;
        let done = match self.within(client, write).await {
            Ok(Done::Applied) => Done::Applied,
            Ok(Done::AlreadyDone) => {
                client.batch_execute(sql::ROLLBACK).await?;
                return Ok(Done::AlreadyDone);
            }
            Err(Fault::Rule(error)) => {
                client.batch_execute(sql::ROLLBACK).await?;
                return Err(Fault::Rule(error));
            }
            Err(fault) => return Err(fault),
        };
        *sent = true;
        // Until the answer is here, also for a caller who gives up now.
        let before = self.doubt.swap(true, Ordering::Relaxed);
        client.batch_execute(sql::COMMIT).await?;
        self.doubt.store(before, Ordering::Relaxed);
        Ok(done)
    }

    /// A connection with the transaction begun. One that broke since it was last used is made anew.
    async fn begun<'l>(&self, link: &'l mut Option<Link>) -> Result<&'l Client, Fault> {
        if let Some(kept) = link.as_mut() {
            match kept.begin(&self.site).await {
                Err(Fault::Server(error)) if problem::broke(&error) => *link = None,
                other => other?,
            }
        }
        match link {
            Some(kept) => Ok(&kept.client),
            None => {
                let mut fresh = self.dial.connect().await?;
                fresh.begin(&self.site).await?;
                Ok(&link.insert(fresh).client)
            }
        }
    }

    /// What happens under the row's lock.
    async fn within(&self, client: &Client, write: &Write<'_>) -> Result<Done, Fault> {
        let (app, env) = (&self.site.app, &self.site.env);
        let row = client
            .query_typed_opt(sql::LOCK_ROW, &[(app, Type::TEXT), (env, Type::TEXT)])
            .await?;
        let kept = match &row {
            Some(row) => sql::kept(row)?,
            None => return Err(sql::row_gone()),
        };
        match write {
            Write::Acquire(take) => {
                if rules::acquire(&kept, take)? == Done::AlreadyDone {
                    return Ok(Done::AlreadyDone);
                }
                let epoch = sql::number(take.epoch)?;
                client
                    .execute_typed(
                        sql::ACQUIRE,
                        &[
                            (app, Type::TEXT),
                            (env, Type::TEXT),
                            (&epoch, Type::INT8),
                            (&take.run, Type::TEXT),
                            (&take.owner, Type::TEXT),
                        ],
                    )
                    .await?;
            }
            Write::Append(right, first_seq, lines) => {
                rules::holds(&kept, right)?;
                let already = self.lines_there(client, right, *first_seq, lines).await?;
                let new = lines.get(already..).unwrap_or_default();
                if new.is_empty() {
                    return Ok(Done::AlreadyDone);
                }
                let (first, epoch) = (
                    sql::number(first_seq + already as u64)?,
                    sql::number(right.epoch)?,
                );
                client
                    .execute_typed(
                        sql::APPEND,
                        &[
                            (app, Type::TEXT),
                            (env, Type::TEXT),
                            (&right.run, Type::TEXT),
                            (&first, Type::INT8),
                            (&epoch, Type::INT8),
                            (&new, Type::TEXT_ARRAY),
                        ],
                    )
                    .await?;
            }
            Write::Heartbeat(right, phase) => {
                rules::holds(&kept, right)?;
                client
                    .execute_typed(
                        sql::HEARTBEAT,
                        &[(app, Type::TEXT), (env, Type::TEXT), (phase, Type::TEXT)],
                    )
                    .await?;
            }
            Write::Release(right) => {
                if rules::release(&kept, right)? == Done::AlreadyDone {
                    return Ok(Done::AlreadyDone);
                }
                client
                    .execute_typed(sql::RELEASE, &[(app, Type::TEXT), (env, Type::TEXT)])
                    .await?;
            }
        }
        Ok(Done::Applied)
    }

    /// How many of these lines the journal has already.
    async fn lines_there(
        &self,
        client: &Client,
        right: &Right,
        first_seq: u64,
        lines: &[String],
    ) -> Result<usize, Fault> {
        let (first, end) = (
            sql::number(first_seq)?,
            sql::number(first_seq + lines.len() as u64)?,
        );
        let rows = client
            .query_typed(
                sql::LINES,
                &[
                    (&self.site.app, Type::TEXT),
                    (&self.site.env, Type::TEXT),
                    (&right.run, Type::TEXT),
                    (&first, Type::INT8),
                    (&end, Type::INT8),
                ],
            )
            .await?;
        let there: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let count = client
            .query_typed_one(
                sql::COUNT,
                &[
                    (&self.site.app, Type::TEXT),
                    (&self.site.env, Type::TEXT),
                    (&right.run, Type::TEXT),
                ],
            )
            .await?;
        let count: i64 = count.try_get(0)?;
        Ok(rules::append(
            first_seq,
            lines,
            &there,
            u64::try_from(count).unwrap_or_default(),
        )?)
    }

    /// Asks one question; a connection that broke since it was last used is made anew.
    async fn ask(&self, question: &str) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let mut slot = self.link.lock().await;
        let mut link = slot.take();
        let asked = async {
            let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
                [(&self.site.app, Type::TEXT), (&self.site.env, Type::TEXT)];
            if let Some(kept) = link.as_ref() {
                match kept.client.query_typed(question, &params).await {
                    Err(error) if problem::broke(&error) => {}
                    answer => return Ok(answer?),
                }
            }
            let fresh = self.dial.connect().await?;
            let answer = fresh.client.query_typed(question, &params).await;
            link = Some(fresh);
            Ok::<_, Fault>(answer?)
        };
        let result = match tokio::time::timeout(CALL, asked).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Silent),
        };
        match result {
            Ok(rows) => {
                *slot = link;
                Ok(rows)
            }
            // No run ever came here.
            Err(fault) if fault.is_no_table() => Ok(Vec::new()),
            Err(fault) => Err(problem::of_question(&self.dial.at, &fault)),
        }
    }
}

#[async_trait]
impl Store for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn read(&self) -> Result<Snapshot, StoreError> {
        let doubt = self.doubt.load(Ordering::Relaxed);
        // The row's lock is held by a COMMIT that is still under way; who waits for it reads the truth.
        let question = if doubt { sql::READ_AFTER_DOUBT } else { sql::READ };
        let rows = self.ask(question).await?;
        let Some(row) = rows.first() else {
            return Ok(Snapshot::default());
        };
        let shown = |fault: Fault| problem::of_question(&self.dial.at, &fault);
        let Kept { epoch, run, owner } = sql::kept(row).map_err(shown)?;
        let held = match run {
            None => None,
            Some(run) => {
                let phase: Option<String> = row.try_get("phase").map_err(|e| shown(e.into()))?;
                let age: Option<f64> = row.try_get("age").map_err(|e| shown(e.into()))?;
                Some(Held {
                    run,
                    epoch,
                    owner,
                    phase: phase.unwrap_or_default(),
                    heartbeat_age: Duration::try_from_secs_f64(age.unwrap_or_default()).unwrap_or_default(),
                })
            }
        };
        if doubt {
            self.doubt.store(false, Ordering::Relaxed);
        }
        Ok(Snapshot { epoch, held })
    }

    async fn acquire(&self, take: &Take) -> Result<Done, StoreError> {
        self.write(Write::Acquire(take)).await
    }

    async fn append(&self, right: &Right, first_seq: u64, lines: &[String]) -> Result<Done, StoreError> {
        self.write(Write::Append(right, first_seq, lines)).await
    }

    async fn heartbeat(&self, right: &Right, phase: &str) -> Result<(), StoreError> {
        self.write(Write::Heartbeat(right, phase)).await.map(drop)
    }

    async fn release(&self, right: &Right) -> Result<Done, StoreError> {
        self.write(Write::Release(right)).await
    }

    async fn journals(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut journals: Vec<(String, String)> = Vec::new();
        for row in self.ask(sql::JOURNALS).await? {
            let read = || Ok::<(String, String), Fault>((row.try_get(0)?, row.try_get(1)?));
            let (run, line) = read().map_err(|fault| problem::of_question(&self.dial.at, &fault))?;
            match journals.last_mut() {
                Some((last, text)) if *last == run => {
                    text.push_str(&line);
                    text.push('\n');
                }
                _ => journals.push((run, format!("{line}\n"))),
            }
        }
        Ok(journals)
    }
}
