//! What etcd's errors mean: refused, out of reach, or in doubt.

use http::StatusCode;
use serde_json::Value as Json;

use crate::state::{CALL, StoreError};

/// What to do about a cluster that does not answer.
pub(super) const LOOK: &str = "see that most of its members run: `etcdctl endpoint health --cluster`";

/// What ended a call early.
#[derive(Debug)]
pub(super) struct Fault {
    /// Whether what was sent may have been done.
    pub(super) in_doubt: bool,
    /// Whether another login would help.
    pub(super) stale_token: bool,
    /// Whether there was too little space. A transaction may have been done all the same: etcd looks at its
    /// quota before it takes one in and again while it does it, and the second time it only says so.
    pub(super) full: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The store's own rules.
    Rule(StoreError),
    /// The way there: in words.
    Way(String),
    /// etcd refused: in words, with a hint.
    Refused(String, &'static str),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::certain(Kind::Rule(error))
    }
}

impl Fault {
    fn certain(kind: Kind) -> Fault {
        Fault {
            in_doubt: false,
            stale_token: false,
            full: false,
            kind,
        }
    }

    /// Nothing came within the deadline, and nothing that changes anything had been sent.
    pub(super) fn silent() -> Fault {
        Fault::certain(Kind::Way(format!("no answer within {} s", CALL.as_secs())))
    }

    /// The same of a question, which changes nothing.
    pub(super) fn of_a_question(self) -> Fault {
        Fault {
            in_doubt: false,
            ..self
        }
    }

    /// The same of something whose end could not be looked up.
    pub(super) fn unknown(self) -> Fault {
        let kind = match self.kind {
            Kind::Refused(problem, _) => Kind::Way(problem),
            kind @ (Kind::Rule(_) | Kind::Way(_)) => kind,
        };
        Fault {
            in_doubt: true,
            kind,
            ..self
        }
    }

    /// Whether another member may answer.
    pub(super) fn of_the_way(&self) -> bool {
        matches!(self.kind, Kind::Way(_))
    }

    /// What it means for the caller.
    pub(super) fn verdict(self, at: &str, what: &'static str) -> StoreError {
        match self.kind {
            Kind::Rule(error) => error,
            Kind::Way(problem) if self.in_doubt => StoreError::InDoubt {
                at: at.to_owned(),
                what,
                problem,
            },
            Kind::Way(problem) => StoreError::Unreachable {
                problem: format!("{at}: {problem}"),
                hint: LOOK.to_owned(),
            },
            Kind::Refused(problem, hint) => StoreError::Refused {
                problem: format!("{at}: {problem}"),
                hint: hint.to_owned(),
            },
        }
    }
}

/// No answer came. Only a connection that was never made cannot have carried the request.
pub(super) fn of_the_way(error: &reqwest::Error) -> Fault {
    let problem = if error.is_timeout() {
        format!("no answer within {} s", CALL.as_secs())
    } else {
        cause(error)
    };
    if problem.to_ascii_lowercase().contains("certificate") {
        return Fault::certain(Kind::Refused(
            problem,
            "name the CA of the members' certificates in `state.ca_file`",
        ));
    }
    Fault {
        in_doubt: !error.is_connect(),
        stale_token: false,
        full: false,
        kind: Kind::Way(problem),
    }
}

/// etcd answered with an error: gRPC's code says whether it did nothing.
pub(super) fn of_an_answer(status: StatusCode, body: &[u8]) -> Fault {
    let Ok(answer) = serde_json::from_slice::<Json>(body) else {
        return no_gateway(status);
    };
    let said = answer["message"].as_str().or(answer["error"].as_str());
    let Some(said) = said else {
        return no_gateway(status);
    };
    let words = said.trim_start_matches("etcdserver: ").to_owned();
    let refused = |hint| Fault::certain(Kind::Refused(words.clone(), hint));
    // https://grpc.github.io/grpc/core/md_doc_statuscodes.html
    match answer["code"].as_i64().unwrap_or_default() {
        _ if said.contains("invalid auth token") || said.contains("revision in header is old") => Fault {
            stale_token: true,
            ..refused("check `state.username` and `state.password`")
        },
        3 if said.contains("authentication failed") => refused("check `state.username` and `state.password`"),
        3 if said.contains("user name is empty") => {
            refused("the cluster asks for a login: give `state.username` and `state.password`")
        }
        3 if said.contains("too large") => refused("raise `--max-request-bytes` of the etcd members"),
        7 => refused(
            "let the user of `state.username` read and write: \
             `etcdctl role grant-permission ROLE --prefix=true readwrite /pointsman/`",
        ),
        8 if said.contains("database space exceeded") => Fault {
            full: true,
            ..refused("free space: `etcdctl compact`, `etcdctl defrag`, `etcdctl alarm disarm`")
        },
        // Invalid, not found, exists already, too many, precondition, not there, not logged in.
        3 | 5 | 6 | 8 | 9 | 12 | 16 => refused("see the log of the etcd members"),
        // Anything else (no leader, a time-out within the cluster) may have gone through.
        _ => Fault {
            in_doubt: true,
            stale_token: false,
            full: false,
            kind: Kind::Way(words),
        },
    }
}

/// Whatever answers there is no etcd of this kind. It may stand before one, so nothing is certain
/// unless it says that it knows no such path.
pub(super) fn no_gateway(status: StatusCode) -> Fault {
    if status == StatusCode::NOT_FOUND {
        return Fault::certain(Kind::Refused(
            "expected etcd's v3 JSON gateway (etcd 3.4 or newer), found none (404)".to_owned(),
            "let `state.endpoints` name the client URLs of the members, and do not switch off their gateway",
        ));
    }
    Fault {
        in_doubt: true,
        stale_token: false,
        full: false,
        kind: Kind::Way(format!("expected an answer of etcd, found HTTP {status}")),
    }
}

/// A key or value that pointsman did not write.
pub(super) fn garbled() -> Fault {
    Fault::certain(Kind::Refused(
        "expected text under /pointsman/, found something else".to_owned(),
        "somebody else wrote there: look at it with `etcdctl get --prefix /pointsman/`",
    ))
}

/// The innermost cause: what wraps it repeats the URL and says no more.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}
