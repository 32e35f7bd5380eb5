//! From what was seen to what it comes from: a table of causes that operators know.

/// What is known of a failure.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What the failing check, the engine or Compose said.
    pub found: &'a str,
    /// The last log lines of the service to blame.
    pub logs: &'a [String],
    /// That service.
    pub service: Option<&'a str>,
    /// Whether another service's check (nginx) succeeds.
    pub web_is_up: bool,
}

/// A cause and its cure, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The cause.
    pub what: String,
    /// The cure.
    pub cure: String,
}

/// A cause: any of these texts points to it. The first that fits is told, so the most certain come first.
struct Cause {
    texts: &'static [&'static str],
    what: &'static str,
    cure: &'static str,
}

const CAUSES: &[Cause] = &[
    Cause {
        texts: &[
            "Already running on PID",
            "is stale",
            "A server is already running",
            "already running. Check",
        ],
        what: "a stale pid file: the server believes that it runs already",
        cure: "keep tmp/pids out of the image (.dockerignore), or mount it as tmpfs",
    },
    Cause {
        texts: &["no space left on device", "No space left on device"],
        what: "the disk is full",
        cure: "make room on the host: `pointsman prune`, `docker system df`",
    },
    Cause {
        texts: &["exec format error", "no matching manifest"],
        what: "the image is not made for this host's architecture",
        cure: "build it for the host's platform: `docker buildx build --platform ...`",
    },
    Cause {
        texts: &[
            "port is already allocated",
            "Address already in use",
            "address already in use",
            "EADDRINUSE",
        ],
        what: "the port is taken",
        cure: "find who listens there: `ss -ltnp` on the host",
    },
    Cause {
        texts: &[
            "password authentication failed",
            "Access denied for user",
            "no pg_hba.conf entry",
        ],
        what: "the database refuses the login",
        cure: "check the user and password in the env file, and the database's rules for this host",
    },
    Cause {
        texts: &[
            "PendingMigrationError",
            "Migrations are pending",
            "relation \"",
            "Table '",
        ],
        what: "the database's schema is not what this release expects",
        cure: "add [migrate] to the inventory, or look at why the migration did not run",
    },
    Cause {
        texts: &["does not exist\nFATAL", "NoDatabaseError", "Unknown database"],
        what: "the database does not exist",
        cure: "create it, or check the name in the env file",
    },
    Cause {
        texts: &[
            "PG::ConnectionBad",
            "could not connect to server",
            "connection to server at",
            "ConnectionNotEstablished",
            "ECONNREFUSED",
            "Can't connect to MySQL",
        ],
        what: "the database refuses the connection",
        cure: "is it up, and can this host reach its address? see the log for which one",
    },
    Cause {
        texts: &[
            "could not translate host name",
            "Name or service not known",
            "getaddrinfo",
        ],
        what: "a host name in the environment is unknown here",
        cure: "check the names in the env file; inside Compose the services' names are host names",
    },
    Cause {
        texts: &[
            "Missing `secret_key_base`",
            "Missing secret_key_base",
            "master.key",
            "MissingKeyError",
            "KeyError",
            "key not found",
        ],
        what: "the environment lacks something that the app needs",
        cure: "compare the env file with what the release reads",
    },
    Cause {
        texts: &["host not found in upstream"],
        what: "nginx does not find its upstream: the app's container was not there when nginx started",
        cure: "name the app's service in nginx's `upstream`, and add `depends_on`",
    },
    Cause {
        texts: &["Permission denied", "EACCES"],
        what: "the app may not write or read a file",
        cure: "check the owner of mounted folders, and the user of the image",
    },
    Cause {
        texts: &["lack of memory", "Out of memory", "OOM"],
        what: "the host ran out of memory",
        cure: "give the host more, or start fewer workers",
    },
];

/// What the evidence points to, where that is known.
pub fn diagnose(evidence: &Evidence<'_>) -> Option<Diagnosis> {
    let text = format!("{}\n{}", evidence.found, evidence.logs.join("\n"));
    if let Some(tag) = evidence.found.strip_prefix("answers as ") {
        return Some(Diagnosis {
            what: format!("the image says that it is {tag}: a stale build, or a wrong tag baked in"),
            cure: "build the image anew with its own tag, and push it".to_owned(),
        });
    }
    if let Some(cause) = CAUSES
        .iter()
        .find(|cause| cause.texts.iter().any(|needle| text.contains(needle)))
    {
        return Some(Diagnosis {
            what: cause.what.to_owned(),
            cure: cause.cure.to_owned(),
        });
    }
    // What Ruby prints first when it dies: `file:line:in 'method': message (ClassName)`.
    let exception = evidence.logs.iter().find(|line| {
        line.trim_end().ends_with(')')
            && (line.contains("Error)") || line.contains("Exception)"))
            && line.contains(".rb:")
    });
    if let Some(line) = exception {
        return Some(Diagnosis {
            what: format!("the app raises at boot: {}", line.trim()),
            cure: "run the image on your own machine with the same environment".to_owned(),
        });
    }
    let service = evidence.service.unwrap_or("the app");
    let told = |what: String, cure: &str| {
        Some(Diagnosis {
            what,
            cure: cure.to_owned(),
        })
    };
    if evidence.web_is_up && (evidence.found.contains("status 502") || evidence.found.contains("refused")) {
        return told(
            format!("nginx is up, {service} behind it is not (502)"),
            "look at the log below for why it does not listen",
        );
    }
    if evidence.found.starts_with("status 500") {
        return told(
            format!("{service} runs, but answers with an error (500)"),
            "its log has the exception",
        );
    }
    if evidence.found.starts_with("no answer within") {
        return told(
            format!("{service} accepts connections, but does not answer: it hangs, or all workers are busy"),
            "look for what it waits for: a database lock, an outside service",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(found: &str, log: &str, web_is_up: bool) -> Option<String> {
        let logs: Vec<String> = log.lines().map(str::to_owned).collect();
        diagnose(&Evidence {
            found,
            logs: &logs,
            service: Some("app"),
            web_is_up,
        })
        .map(|d| d.what)
    }

    #[test]
    fn known_causes_are_named() {
        let cases = [
            (
                "connection refused by port 8080",
                "ArgumentError: Already running on PID:1 (or pid=/app/tmp/pids/unicorn.pid is stale)",
                "stale pid file",
            ),
            (
                "connection refused by port 3000",
                "A server is already running. Check /app/tmp/pids/server.pid.",
                "stale pid file",
            ),
            (
                "status 500",
                "PG::ConnectionBad: connection to server at \"10.0.0.9\", port 5432 failed: Connection refused",
                "database refuses the connection",
            ),
            (
                "status 500",
                "FATAL:  password authentication failed for user \"shop\"",
                "refuses the login",
            ),
            (
                "service web cannot start: driver failed: Bind for 0.0.0.0:80 failed: port is already allocated",
                "",
                "port is taken",
            ),
            (
                "service app crashes",
                "exec /app/bin/entrypoint: exec format error",
                "architecture",
            ),
            (
                "service app crashes",
                "write /var/log/x: no space left on device",
                "disk is full",
            ),
            ("service app was killed for lack of memory", "", "out of memory"),
            (
                "service app crashes",
                "/app/config/initializers/x.rb:1:in `<top>': boom (RuntimeError)",
                "raises at boot",
            ),
            ("answers as v1", "", "says that it is v1"),
            ("status 500 oops", "", "answers with an error"),
            ("no answer within 3s", "", "hangs"),
        ];
        for (found, log, expected) in cases {
            let what = of(found, log, false).unwrap_or_default();
            assert!(
                what.contains(expected),
                "{found} / {log}: expected {expected:?}, found {what:?}"
            );
        }
        assert!(
            of("connection refused by port 8080", "", true)
                .unwrap()
                .contains("nginx is up")
        );
        assert_eq!(
            of("connection refused by port 8080", "", false),
            None,
            "what is not known is not guessed"
        );
    }
}
