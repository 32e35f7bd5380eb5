//! What PostgreSQL's errors mean: refused, out of reach, or in doubt.

use std::error::Error as _;
use std::io::ErrorKind;

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::state::{CALL, StoreError};

/// What ended a call early.
pub(super) enum Fault {
    /// The store's own rules.
    Rule(StoreError),
    /// The server, or the way to it.
    Server(tokio_postgres::Error),
    /// The deadline.
    Silent,
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Fault {
        Fault::Server(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Rule(error)
    }
}

impl Fault {
    /// Whether the tables are not there yet.
    pub(super) fn is_no_table(&self) -> bool {
        matches!(self, Fault::Server(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE))
    }
}

/// Of a `COMMIT`: in doubt, unless the server said that it did not do it.
pub(super) fn of_commit(at: &str, what: &'static str, fault: &Fault) -> StoreError {
    let said_no = match fault {
        Fault::Server(error) => error.as_db_error().is_some_and(is_plain_no),
        Fault::Rule(_) => true,
        Fault::Silent => false,
    };
    if said_no {
        return of_question(at, fault);
    }
    StoreError::InDoubt {
        at: at.to_owned(),
        what,
        problem: words(fault),
    }
}

/// Whether the server, asked to commit, rolled back for certain. Shutdowns (57), connections (08), a lack of
/// resources (53), the system's errors (58) and its own (XX) may come after the commit was made; so does 40003, by its
/// name. Whatever ends more than the transaction (FATAL, PANIC) may too: a disk that is full once the commit is written
/// is a PANIC with the code of any full disk, and recovery makes the commit good.
fn is_plain_no(error: &DbError) -> bool {
    let code = error.code();
    if error.parsed_severity() != Some(Severity::Error) {
        return false;
    }
    let class = code.code().get(..2).unwrap_or_default();
    !["57", "08", "53", "58", "XX"].contains(&class) && *code != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
}

/// Of anything before a `COMMIT`: nothing was changed.
pub(super) fn of_question(at: &str, fault: &Fault) -> StoreError {
    let refused = |hint: &str| StoreError::Refused {
        problem: format!("{at}: {}", words(fault)),
        hint: hint.to_owned(),
    };
    let unreachable = |hint: &str| StoreError::Unreachable {
        problem: format!("{at}: {}", words(fault)),
        hint: hint.to_owned(),
    };
    let error = match fault {
        Fault::Rule(error) => return error.clone(),
        Fault::Silent => return unreachable("see that it runs and is not overloaded: `pg_isready`"),
        Fault::Server(error) => error,
    };
    if let Some(code) = error.code() {
        return match code.code() {
            "28P01" | "28000" => refused("check the user and the password in `state.url`"),
            "3D000" => refused("create the database: `createdb NAME`"),
            "42501" => refused(
                "let the user of `state.url` create and use tables: \
                 `GRANT CREATE, USAGE ON SCHEMA public TO ...`, or make it the database's owner",
            ),
            "25006" => refused(READ_ONLY),
            "53100" => refused("free space on the disk of the PostgreSQL server"),
            // Starting, stopping, all connections taken, another session has the row.
            "57P01" | "57P02" | "57P03" | "53300" | "55P03" | "57014" | "25P03" => {
                unreachable("try again in a moment; see the server's log if it stays so")
            }
            _ => refused("see the server's log"),
        };
    }
    let io = error
        .source()
        .and_then(|cause| cause.downcast_ref::<std::io::Error>());
    // How tokio-postgres says that all servers are standbys or take reads only.
    if io.is_some_and(|io| io.kind() == ErrorKind::PermissionDenied) {
        return refused(READ_ONLY);
    }
    // The library's kinds are private; these words are its own and a test holds them.
    match error.to_string().as_str() {
        "error performing TLS handshake" => {
            refused("name the CA of the server's certificate in `state.ca_file`, or change `sslmode`")
        }
        "authentication error" | "invalid configuration" => refused("check `state.url`"),
        _ => unreachable("see that it runs and can be reached from here: `pg_isready -h HOST -p PORT`"),
    }
}

/// Whether the connection is of no more use, as the server said or did not: it was shut down, or crashed.
pub(super) fn broke(error: &tokio_postgres::Error) -> bool {
    error.code().is_none_or(|code| {
        [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
        ]
        .contains(code)
    })
}

const READ_ONLY: &str = "name the server that takes writes in `state.url`: this one is a standby, or \
                         has default_transaction_read_only = on";

/// The innermost cause: what wraps it says less.
fn words(fault: &Fault) -> String {
    let error = match fault {
        Fault::Rule(error) => return error.to_string(),
        Fault::Silent => return format!("no answer within {} s", CALL.as_secs()),
        Fault::Server(error) => error,
    };
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    match error.source() {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}
