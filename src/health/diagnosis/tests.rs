//! Each known problem by the words that the real programs use for it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::health::fault::Place;

fn container(service: &str, state: &str, exit_code: i64) -> Container {
    Container {
        name: format!("shop-green-{service}-1"),
        service: service.to_owned(),
        state: state.to_owned(),
        exit_code,
        ..Container::default()
    }
}

fn from_log(text: &str) -> Option<Diagnosis> {
    let logs = [("app".to_owned(), text.lines().map(str::to_owned).collect())];
    let fault = Fault::Refused { place: app() };
    diagnose(&Evidence {
        logs: &logs,
        faults: &[fault],
        ..Evidence::default()
    })
}

fn app() -> Place {
    Place {
        service: Some("app".to_owned()),
        port: 8080,
    }
}

fn status(found: u16, line: &str) -> Fault {
    Fault::Status {
        expected: 200,
        found,
        line: line.to_owned(),
        location: None,
    }
}

fn from_answer(fault: Fault) -> Diagnosis {
    diagnose(&Evidence {
        faults: &[fault],
        ..Evidence::default()
    })
    .unwrap()
}

/// One log and the problem that it must be read as.
macro_rules! lines {
    ($($name:ident: $log:expr => $what:expr;)*) => {$(
        #[test]
        fn $name() {
            for line in $log {
                let diagnosis = from_log(line).unwrap();
                assert_eq!(diagnosis.what, $what, "{line}");
                assert_eq!(diagnosis.service.as_deref(), Some("app"), "{line}");
                assert!(diagnosis.why.starts_with("service app: "), "{line}");
            }
        }
    )*};
}

lines! {
    unicorn_stale_pid: [
        "/usr/lib/ruby/vendor_ruby/unicorn/http_server.rb:202:in `pid=': Already running on PID:7 (or pid=/app/tmp/pids/unicorn.pid is stale) (ArgumentError)",
    ] => "a stale pid file stops Unicorn: /app/tmp/pids/unicorn.pid";
    rails_stale_pid: [
        "A server is already running (pid: 1, file: /app/tmp/pids/server.pid).\nExiting",
        "=> Booting Puma\nA server is already running. Check /app/tmp/pids/server.pid.\nExiting",
    ] => "a stale pid file stops the server: /app/tmp/pids/server.pid";
    database_refused: [
        "connection to server at \"10.0.0.9\", port 5432 failed: Connection refused (PG::ConnectionBad)\n\tIs the server running on that host and accepting TCP/IP connections?",
        "ActiveRecord::ConnectionNotEstablished (connection to server at \"10.0.0.9\" (10.0.0.9), port 5432 failed: Connection refused",
    ] => "the database refuses connections at 10.0.0.9:5432";
    mysql_refused: [
        "Mysql2::Error::ConnectionError: Can't connect to MySQL server on 'db:3306' (111)",
        "Mysql2::Error::ConnectionError: Can't connect to server on 'db:3306' (115)",
    ] => "the database refuses connections at db:3306";
    old_libpq_refused: [
        "PG::ConnectionBad: could not connect to server: Connection refused\n\tIs the server running on host \"db\" (172.18.0.2) and accepting",
    ] => "the database refuses connections";
    database_silent: [
        "PG::ConnectionBad: connection to server at \"10.0.0.9\", port 5432 failed: Connection timed out",
        "PG::ConnectionBad: connection to server at \"10.0.0.9\", port 5432 failed: timeout expired",
    ] => "the database at 10.0.0.9:5432 does not answer";
    database_unknown_host: [
        "PG::ConnectionBad: could not translate host name \"db\" to address: Name or service not known",
        "PG::ConnectionBad: could not translate host name \"db\" to address: Temporary failure in name resolution",
        "Mysql2::Error::ConnectionError: Unknown MySQL server host 'db' (-2)",
    ] => "the database's name db is unknown in the container";
    database_password: [
        "connection to server at \"10.0.0.9\", port 5432 failed: FATAL:  password authentication failed for user \"shop\"",
    ] => "the database refuses the password of user shop";
    mysql_login: [
        "Mysql2::Error::ConnectionError: Access denied for user 'shop'@'10.0.0.3' (using password: YES)",
    ] => "the database refuses user shop";
    database_hba: [
        "FATAL:  no pg_hba.conf entry for host \"10.0.0.3\", user \"shop\", database \"shop_production\", no encryption",
    ] => "the database lets nobody in as shop from 10.0.0.3";
    database_missing: [
        "connection to server at \"10.0.0.9\", port 5432 failed: FATAL:  database \"shop_production\" does not exist (PG::ConnectionBad)",
        "ActiveRecord::NoDatabaseError: We could not find your database: shop_production. Available database configurations can be found in config/database.yml.",
        "Mysql2::Error: Unknown database 'shop_production'",
    ] => "there is no database shop_production";
    database_full_of_clients: [
        "PG::ConnectionBad: FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
    ] => "the database has no connection left";
    database_starting: ["PG::ConnectionBad: FATAL:  the database system is starting up"]
        => "the database is still starting";
    pending_migrations: [
        "Migrations are pending. To resolve this issue, run:\n\n        bin/rails db:migrate",
        "ActiveRecord::PendingMigrationError (",
    ] => "the database lacks this release's migrations";
    missing_column: ["PG::UndefinedColumn: ERROR:  column visits.note does not exist", "PG::UndefinedColumn: ERROR: column visits.note does not exist"]
        => "the database has no column visits.note";
    missing_table: ["ActiveRecord::StatementInvalid (PG::UndefinedTable: ERROR:  relation \"visits\" does not exist"]
        => "the database has no table visits";
    redis: ["Error connecting to Redis on redis:6379 (Errno::ECONNREFUSED) (Redis::CannotConnectError)"]
        => "Redis cannot be reached at redis:6379";
    secret_key_base: [
        "Missing `secret_key_base` for 'production' environment, set this string with `bin/rails credentials:edit` (ArgumentError)",
    ] => "secret_key_base is missing for production";
    master_key: [
        "Missing encryption key to decrypt file with. Ask your team for your master key and write it to /app/config/master.key or put it in the ENV['RAILS_MASTER_KEY'].",
    ] => "the master key is missing";
    wrong_master_key: ["ActiveSupport::MessageEncryptor::InvalidMessage: ActiveSupport::MessageEncryptor::InvalidMessage"]
        => "the master key does not fit the credentials in this image";
    missing_env: ["config/initializers/redis.rb:1:in `fetch': key not found: \"REDIS_URL\" (KeyError)"]
        => "the variable REDIS_URL is not set";
    nginx_port: ["nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"]
        => "nginx cannot have 0.0.0.0:80: it is taken";
    ruby_port: ["tcp_server.rb:8:in `initialize': Address already in use - bind(2) for \"0.0.0.0\" port 8080 (Errno::EADDRINUSE)"]
        => "the app cannot have its port: \"0.0.0.0\" port 8080 is taken";
    exec_format: [
        "exec /app/bin/entrypoint: exec format error",
        "standard_init_linux.go:228: exec user process caused: exec format error",
    ] => "the image is built for another processor";
    disk_full: [
        "rb_sysopen: No space left on device @ rb_sysopen - /app/tmp/cache/x (Errno::ENOSPC)",
        "nginx: [emerg] open() \"/var/log/x\" failed (28: No space left on device)",
    ] => "a disk is full";
    no_memory: ["E, [2024-05-01T10:00:00 #1] ERROR -- : reaped #<Process::Status: pid 12 SIGKILL (signal 9)> worker=0"]
        => "a worker was killed, most likely for memory";
    ruby_permission: ["Permission denied @ rb_sysopen - /app/log/production.log (Errno::EACCES)"]
        => "the app may not use /app/log/production.log";
    nginx_permission: ["nginx: [emerg] mkdir() \"/var/cache/nginx/client_temp\" failed (13: Permission denied)"]
        => "nginx may not make /var/cache/nginx/client_temp";
    missing_gem: ["bundler/runtime.rb:1:in `require': cannot load such file -- pg (LoadError)"]
        => "the image has no Ruby file or gem pg";
    nginx_upstream_name: ["nginx: [emerg] host not found in upstream \"app:8080\" in /etc/nginx/nginx.conf:12"]
        => "nginx does not find app:8080 in the Compose network";
    nginx_configuration: ["nginx: [emerg] unknown directive \"proxi_pass\" in /etc/nginx/nginx.conf:25"]
        => "nginx refuses its configuration: unknown directive \"proxi_pass\" in /etc/nginx/nginx.conf:25";
    unknown_name: ["getaddrinfo: Name or service not known (SocketError)"]
        => "a name is unknown in the container";
    blocked_host: ["[ActionDispatch::HostAuthorization::DefaultResponseApp] Blocked hosts: localhost:8080"]
        => "Rails refuses the Host header localhost:8080";
    unicorn_timeout: ["E, [2024-05-01T10:00:00.1 #1] ERROR -- : worker=0 PID:12 timeout (61s > 60s), killing"]
        => "a Unicorn worker hung for 61s > 60s and was killed";
    ruby_exception: [
        "/app/config/initializers/bad.rb:2:in `<main>': undefined method `foo' for nil:NilClass (NoMethodError)\n\tfrom /app/config/environment.rb:2:in `<main>'",
    ] => "service app raised NoMethodError";
    nginx_symptom: ["2024/05/01 10:00:00 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.1, server: , request: \"GET / HTTP/1.1\""]
        => "nginx runs, but the app behind it does not listen";
}

#[test]
fn an_uneventful_log_explains_nothing_by_itself() {
    let quiet =
        "I, [2024-05-01T10:00:00 #1]  INFO -- : listening on addr=0.0.0.0:8080 fd=9\nworker=0 ready\n\n";
    assert_eq!(
        from_log(quiet).unwrap().what,
        "nothing listens: service app on port 8080"
    );
}

#[test]
fn the_newest_cause_of_the_blamed_service_counts() {
    let text = "PG::ConnectionBad: FATAL:  the database system is starting up\nPG::ConnectionBad: FATAL:  database \"shop\" does not exist";
    assert_eq!(from_log(text).unwrap().what, "there is no database shop");
    let logs = [
        ("app".to_owned(), vec!["No space left on device".to_owned()]),
        (
            "web".to_owned(),
            vec!["nginx: [emerg] host not found in upstream \"app\"".to_owned()],
        ),
    ];
    let diagnosis = diagnose(&Evidence {
        logs: &logs,
        ..Evidence::default()
    })
    .unwrap();
    assert_eq!(
        (diagnosis.what.as_str(), diagnosis.service.as_deref()),
        ("a disk is full", Some("app"))
    );
}

#[test]
fn a_logged_password_is_masked() {
    let diagnosis =
        from_log("postgres://shop:hunter2@db/shop: could not translate host name \"db\" to address: x")
            .unwrap();
    assert!(!format!("{diagnosis:?}").contains("hunter2"), "{diagnosis:?}");
}

#[test]
fn facts_of_the_host_count_after_logs() {
    let facts = "write /var/lib/docker/tmp/x: no space left on device\n";
    let diagnosis = diagnose(&Evidence {
        facts,
        ..Evidence::default()
    })
    .unwrap();
    assert_eq!(diagnosis.what, "a disk is full");
    assert!(diagnosis.why.starts_with("the host: write "), "{}", diagnosis.why);
}

#[test]
fn the_engines_word_goes_before_any_log() {
    let with = |container: Container| {
        let logs = [("app".to_owned(), vec!["No space left on device".to_owned()])];
        diagnose(&Evidence {
            containers: &[container],
            logs: &logs,
            ..Evidence::default()
        })
        .unwrap()
        .what
    };
    let killed = Container {
        oom_killed: true,
        ..container("app", "restarting", 137)
    };
    assert_eq!(
        with(killed),
        "service app was killed: it used more memory than it may"
    );
    assert_eq!(
        with(container("app", "paused", 0)),
        "service app is paused: it takes connections and answers none"
    );
    let refused = |error: &str| Container {
        error: Some(error.to_owned()),
        ..container("web", "created", 128)
    };
    assert_eq!(
        with(refused(
            "driver failed programming external connectivity on endpoint shop-green-web-1 (3f1c): Bind for 0.0.0.0:80 failed: port is already allocated"
        )),
        "port 0.0.0.0:80 is taken by another container"
    );
    assert_eq!(
        with(refused(
            "driver failed programming external connectivity on endpoint x: Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use"
        )),
        "port 0.0.0.0:80 of the host is taken by another program"
    );
    assert_eq!(
        with(refused(
            "OCI runtime create failed: container_linux.go:367: starting container process caused: exec: \"bundle\": executable file not found in $PATH: unknown"
        )),
        "the image has no program bundle"
    );
    assert_eq!(
        with(refused("something new")),
        "the engine cannot start service web"
    );
    let over_it = Container {
        error: Some("something old".to_owned()),
        ..container("web", "running", 0)
    };
    assert_eq!(with(over_it), "a disk is full");
}

#[test]
fn nginx_up_and_unicorn_down() {
    let containers = [container("web", "running", 0), container("app", "exited", 3)];
    let told = diagnose(&Evidence {
        containers: &containers,
        faults: &[status(502, "502 Bad Gateway")],
        ..Evidence::default()
    });
    let told = told.unwrap();
    assert_eq!(
        told.what,
        "nginx runs, but service app is exited (last exit code 3)"
    );
    assert_eq!(told.service.as_deref(), Some("app"));
    let faults = [status(502, ""), Fault::Refused { place: app() }];
    let told = diagnose(&Evidence {
        faults: &faults,
        ..Evidence::default()
    })
    .unwrap();
    assert_eq!(
        told.what,
        "nginx runs, but nothing listens in service app on port 8080"
    );
}

#[test]
fn an_end_without_a_word_is_told_by_its_code() {
    let told = diagnose(&Evidence {
        containers: &[container("app", "exited", 127)],
        ..Evidence::default()
    });
    assert_eq!(
        told.unwrap().what,
        "service app ends with code 127: its command was not found in the image"
    );
    assert_eq!(
        diagnose(&Evidence {
            containers: &[container("assets", "exited", 0)],
            ..Evidence::default()
        }),
        None
    );
}

#[test]
fn another_release_is_stale_or_mislabelled() {
    let fault = Fault::OtherRelease {
        expected: "v2".to_owned(),
        found: "v1".to_owned(),
    };
    assert_eq!(
        from_answer(fault).what,
        "the host answers v1, expected v2: a stale image, or a wrong tag baked into the image"
    );
}

#[test]
fn answers_that_turn_the_check_away() {
    let redirect = |to: &str| Fault::Status {
        expected: 200,
        found: 301,
        line: String::new(),
        location: Some(to.to_owned()),
    };
    assert_eq!(
        from_answer(redirect("https://localhost/up")).what,
        "the app redirects every request to https://localhost/up"
    );
    assert_eq!(
        from_answer(redirect("/login")).what,
        "the path redirects to /login"
    );
    assert_eq!(
        from_answer(status(403, "Action Controller: Blocked hosts: localhost")).what,
        "Rails refuses the Host header"
    );
    assert_eq!(
        from_answer(status(401, "")).what,
        "the path wants a login (status 401)"
    );
    assert_eq!(
        from_answer(status(404, "")).what,
        "the path does not exist in this release"
    );
}

#[test]
fn what_is_left_is_the_answer_in_other_words() {
    let after = Duration::from_secs(3);
    assert_eq!(
        from_answer(Fault::Silent { place: app(), after }).what,
        "service app on port 8080 takes connections but hangs"
    );
    assert_eq!(
        from_answer(status(500, "boom")).what,
        "the app runs, but answers 500"
    );
    assert_eq!(
        from_answer(status(500, "boom")).why,
        "the check's answer: 500: boom"
    );
    assert_eq!(
        from_answer(Fault::Closed { place: app() }).what,
        "service app on port 8080 hangs up on every request"
    );
    assert_eq!(diagnose(&Evidence::default()), None);
}

#[test]
fn an_app_that_answers_500_is_explained_by_its_exception_and_one_that_hangs_is_not() {
    let logs = [(
        "app".to_owned(),
        vec!["F, [x #7] FATAL -- : [ab] ZeroDivisionError (divided by 0):".to_owned()],
    )];
    let with = |fault| {
        diagnose(&Evidence {
            faults: &[fault],
            logs: &logs,
            ..Evidence::default()
        })
        .unwrap()
        .what
    };
    assert_eq!(with(status(500, "")), "service app raised ZeroDivisionError");
    let hang = Fault::Silent {
        place: app(),
        after: Duration::from_secs(3),
    };
    assert_eq!(with(hang), "service app on port 8080 takes connections but hangs");
}

#[test]
fn every_cure_says_what_to_do_and_every_sign_is_reached() {
    for rule in rules::CAUSES.iter().chain(rules::SYMPTOMS) {
        assert!(rule.cure.len() > 20);
        for (sign, what) in rule.signs {
            let stars = sign.matches('*').count();
            for number in 1..=9 {
                assert!(
                    !what.contains(&format!("{{{number}}}")) || number <= stars,
                    "{sign}: {what}"
                );
            }
            let line = sign.replace('*', "X");
            let found =
                rules::matched(rules::CAUSES, &line).or_else(|| rules::matched(rules::SYMPTOMS, &line));
            assert_eq!(
                found.map(|(_, cure)| cure),
                Some(rule.cure),
                "another rule takes {sign}"
            );
        }
    }
}
