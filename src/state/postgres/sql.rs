//! The tables, and every statement.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::problem::Fault;
use crate::state::rules::Kept;
use crate::state::{Site, StoreError};

/// The tables' version; a newer one is refused.
const VERSION: i32 = 1;

/// Run once per database. Two first runs at once wait for each other: `CREATE TABLE IF NOT EXISTS`
/// alone fails when both create. The number is any that nobody else takes.
const CREATE: &str = "\
BEGIN;
SELECT pg_advisory_xact_lock(7046029254386353131);
CREATE TABLE IF NOT EXISTS pointsman_schema (version integer NOT NULL);
CREATE TABLE IF NOT EXISTS pointsman_lock (
  app text NOT NULL, env text NOT NULL,
  epoch bigint NOT NULL DEFAULT 0,
  run text, owner text, phase text, heartbeat timestamptz,
  PRIMARY KEY (app, env));
CREATE TABLE IF NOT EXISTS pointsman_journal (
  app text NOT NULL, env text NOT NULL, run text NOT NULL,
  seq bigint NOT NULL, epoch bigint NOT NULL, line text NOT NULL,
  PRIMARY KEY (app, env, run, seq));
INSERT INTO pointsman_schema SELECT 1 WHERE NOT EXISTS (SELECT FROM pointsman_schema);
COMMIT";

const READ_VERSION: &str = "SELECT max(version) FROM pointsman_schema";

/// So that there is a row to lock. It says what its absence says.
const ADD_ROW: &str = "INSERT INTO pointsman_lock (app, env) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// Begins a transaction as it must be, whatever the server's defaults are:
/// - what was acknowledged must survive a crash, so `synchronous_commit` is never `off`;
/// - nobody waits longer than the caller does (`state::CALL`) for the row or for a statement;
/// - a client that hangs in the middle (a laptop that was closed) gives the row free while others still wait for it.
pub(super) const BEGIN: &str = "\
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL lock_timeout = '8s';
SET LOCAL statement_timeout = '9s';
SET LOCAL idle_in_transaction_session_timeout = '4s';
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";

pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";

/// The row, locked until the transaction ends.
pub(super) const LOCK_ROW: &str = "\
SELECT (SELECT max(version) FROM pointsman_schema) AS version, epoch, run, owner
FROM pointsman_lock WHERE app = $1 AND env = $2 FOR UPDATE";

pub(super) const READ: &str = "\
SELECT s.version, coalesce(epoch, 0) AS epoch, run, owner, phase,
  greatest(0, extract(epoch FROM clock_timestamp() - heartbeat))::float8 AS age
FROM (SELECT max(version) AS version FROM pointsman_schema) s
LEFT JOIN pointsman_lock ON app = $1 AND env = $2";

/// The same, after whoever has the row locked is done.
pub(super) const READ_AFTER_DOUBT: &str = "\
SELECT (SELECT max(version) FROM pointsman_schema) AS version, epoch, run, owner, phase,
  greatest(0, extract(epoch FROM clock_timestamp() - heartbeat))::float8 AS age
FROM pointsman_lock WHERE app = $1 AND env = $2 FOR UPDATE";

pub(super) const ACQUIRE: &str = "\
UPDATE pointsman_lock SET epoch = $3, run = $4, owner = $5, phase = '', heartbeat = clock_timestamp()
WHERE app = $1 AND env = $2";

pub(super) const HEARTBEAT: &str = "\
UPDATE pointsman_lock SET phase = $3, heartbeat = clock_timestamp() WHERE app = $1 AND env = $2";

pub(super) const RELEASE: &str = "\
UPDATE pointsman_lock SET run = NULL, owner = NULL, phase = NULL, heartbeat = NULL
WHERE app = $1 AND env = $2";

pub(super) const LINES: &str = "\
SELECT line FROM pointsman_journal
WHERE app = $1 AND env = $2 AND run = $3 AND seq >= $4 AND seq < $5 ORDER BY seq";

pub(super) const COUNT: &str = "\
SELECT count(*) FROM pointsman_journal WHERE app = $1 AND env = $2 AND run = $3";

pub(super) const APPEND: &str = "\
INSERT INTO pointsman_journal (app, env, run, seq, epoch, line)
SELECT $1, $2, $3, $4 + place - 1, $5, line FROM unnest($6) WITH ORDINALITY AS new (line, place)";

pub(super) const JOURNALS: &str = "\
SELECT run, line FROM pointsman_journal WHERE app = $1 AND env = $2 ORDER BY run, seq";

/// Creates the tables where there are none, and the environment's row.
pub(super) async fn prepare(client: &Client, site: &Site) -> Result<(), Fault> {
    let version = match client
        .query_typed_one(READ_VERSION, &[])
        .await
        .map_err(Fault::from)
    {
        Err(fault) if fault.is_no_table() => {
            client.batch_execute(CREATE).await?;
            client.query_typed_one(READ_VERSION, &[]).await?
        }
        answer => answer?,
    };
    known(version.try_get(0)?)?;
    client
        .execute_typed(ADD_ROW, &[(&site.app, Type::TEXT), (&site.env, Type::TEXT)])
        .await?;
    Ok(())
}

/// What the row keeps; its first column is the tables' version.
pub(super) fn kept(row: &Row) -> Result<Kept, Fault> {
    known(row.try_get("version")?)?;
    let epoch: i64 = row.try_get("epoch")?;
    let owner: Option<String> = row.try_get("owner")?;
    Ok(Kept {
        epoch: u64::try_from(epoch).map_err(|_| {
            refused(
                format!("expected an epoch in pointsman_lock, found {epoch}"),
                "somebody else wrote there: look at the table",
            )
        })?,
        run: row.try_get("run")?,
        owner: owner.unwrap_or_default(),
    })
}

/// The row that was there when the connection was made is not.
pub(super) fn row_gone() -> Fault {
    refused(
        "the environment's row in pointsman_lock is gone".to_owned(),
        "somebody removed it: look at the table, then try again",
    )
}

fn known(version: Option<i32>) -> Result<(), Fault> {
    match version {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => Err(refused(
            format!("the tables pointsman_* have version {newer}; this pointsman knows up to {VERSION}"),
            "install the pointsman that the others use",
        )),
        other => Err(refused(
            format!("expected version {VERSION} in pointsman_schema, found {other:?}"),
            "somebody else wrote there: look at the table",
        )),
    }
}

/// As PostgreSQL's own number.
pub(super) fn number(from: u64) -> Result<i64, Fault> {
    i64::try_from(from).map_err(|_| {
        refused(
            format!("expected a number below 2^63, found {from}"),
            "this is a mistake in pointsman: please report it",
        )
    })
}

fn refused(problem: String, hint: &str) -> Fault {
    Fault::Rule(StoreError::Refused {
        problem: format!("PostgreSQL: {problem}"),
        hint: hint.to_owned(),
    })
}
