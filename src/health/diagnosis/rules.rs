//! The table of known lines. Each entry: patterns with what they mean, and one cure.

use super::pattern;
use crate::health::text::tidy;

/// One known problem.
pub(super) struct Rule {
    /// Patterns, each with the problem in words (`{1}`: the pattern's first `*`).
    pub(super) signs: &'static [(&'static str, &'static str)],
    /// What mends it.
    pub(super) cure: &'static str,
}

/// What `line` means by the first rule that fits it, and what mends that.
pub(super) fn matched(rules: &[Rule], line: &str) -> Option<(String, &'static str)> {
    // libpq and others put two spaces, or tabs, where a reader sees one.
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    rules.iter().find_map(|rule| {
        rule.signs.iter().find_map(|(sign, what)| {
            let parts = pattern::find(sign, &line)?;
            Some((tidy(&pattern::fill(what, &parts)), rule.cure))
        })
    })
}

/// Lines that name the cause itself. Where one line fits several, the first rule counts.
pub(super) const CAUSES: &[Rule] = &[
    // Unicorn, Rack and Rails: a pid file that outlived its process.
    Rule {
        signs: &[
            (
                "already running on pid:* (or pid=* is stale)",
                "a stale pid file stops Unicorn: {2}",
            ),
            (
                "a server is already running (pid: *, file: *)",
                "a stale pid file stops the server: {2}",
            ),
            (
                "a server is already running. check *.pid",
                "a stale pid file stops the server: {1}.pid",
            ),
        ],
        cure: "keep pid files out of the image and off volumes: add tmp/pids to .dockerignore, and mount it as tmpfs in the Compose file (tmpfs: [/app/tmp/pids])",
    },
    // pg (libpq), mysql2 and ActiveRecord, from the nearest to the farthest cause.
    Rule {
        signs: &[
            (
                "could not translate host name \"*\" to address",
                "the database's name {1} is unknown in the container",
            ),
            (
                "unknown mysql server host '*'",
                "the database's name {1} is unknown in the container",
            ),
            (
                "there is an issue connecting with your hostname: *.",
                "the database's host {1} does not answer",
            ),
        ],
        cure: "correct the host in DATABASE_URL; a name from /etc/hosts of the server is not known in a container unless the Compose file has it in extra_hosts",
    },
    Rule {
        signs: &[
            (
                "connection to server at \"*\", port * failed: connection refused",
                "the database refuses connections at {1}:{2}",
            ),
            (
                "connection to server at \"*\" (*), port * failed: connection refused",
                "the database refuses connections at {1}:{3}",
            ),
            (
                "could not connect to server: connection refused",
                "the database refuses connections",
            ),
            (
                "can't connect to mysql server on '*'",
                "the database refuses connections at {1}",
            ),
            (
                "can't connect to server on '*'",
                "the database refuses connections at {1}",
            ),
            (
                "lost connection to mysql server at 'reading initial communication packet'",
                "the database closes connections at once",
            ),
        ],
        cure: "start the database, or correct host and port in DATABASE_URL; 127.0.0.1 inside a container is the container itself",
    },
    Rule {
        signs: &[
            (
                "connection to server at \"*\", port * failed: connection timed out",
                "the database at {1}:{2} does not answer",
            ),
            (
                "connection to server at \"*\", port * failed: timeout expired",
                "the database at {1}:{2} does not answer",
            ),
            (
                "connection to server at \"*\", port * failed: no route to host",
                "there is no route to the database at {1}:{2}",
            ),
        ],
        cure: "open the firewall between this host and the database; a new host must be allowed on the database's side, too",
    },
    Rule {
        signs: &[
            (
                "password authentication failed for user \"*\"",
                "the database refuses the password of user {1}",
            ),
            ("role \"*\" does not exist", "the database has no user {1}"),
            (
                "no pg_hba.conf entry for host \"*\", user \"*\"",
                "the database lets nobody in as {2} from {1}",
            ),
            (
                "fe_sendauth: no password supplied",
                "no password was sent to the database",
            ),
            ("access denied for user '*'", "the database refuses user {1}"),
        ],
        cure: "correct user and password in DATABASE_URL, or grant them on the database; a new host may need its own line in pg_hba.conf",
    },
    Rule {
        signs: &[
            ("database \"*\" does not exist", "there is no database {1}"),
            ("unknown database '*'", "there is no database {1}"),
            ("we could not find your database: *.", "there is no database {1}"),
        ],
        cure: "create the database (bin/rails db:create), or correct its name in DATABASE_URL",
    },
    Rule {
        signs: &[
            (
                "sorry, too many clients already",
                "the database has no connection left",
            ),
            (
                "remaining connection slots are reserved",
                "the database has no connection left",
            ),
            ("too many connections", "the database has no connection left"),
        ],
        cure: "both pools are connected during a deploy: raise max_connections of the database, or lower the pool size in database.yml and the number of workers",
    },
    Rule {
        signs: &[(
            "the database system is starting up",
            "the database is still starting",
        )],
        cure: "wait until the database has started, then run the same command again",
    },
    Rule {
        signs: &[
            (
                "migrations are pending",
                "the database lacks this release's migrations",
            ),
            (
                "activerecord::pendingmigrationerror",
                "the database lacks this release's migrations",
            ),
            (
                "pg::undefinedtable: error: relation \"*\" does not exist",
                "the database has no table {1}",
            ),
            (
                "pg::undefinedcolumn: error: column *does not exist",
                "the database has no column {1}",
            ),
            (
                "mysql2::error: table '*' doesn't exist",
                "the database has no table {1}",
            ),
            (
                "mysql2::error: unknown column '*'",
                "the database has no column {1}",
            ),
        ],
        cure: "migrate before the release starts: add [migrate] to the inventory (service and command = [\"bin/rails\", \"db:migrate\"])",
    },
    Rule {
        signs: &[
            (
                "error connecting to redis on *(errno::",
                "Redis cannot be reached at {1}",
            ),
            (
                "connection refused - connect(2) for * (redisclient::",
                "Redis refuses connections at {1}",
            ),
            ("(redisclient::cannotconnecterror)", "Redis cannot be reached"),
            ("(redis::cannotconnecterror)", "Redis cannot be reached"),
        ],
        cure: "start Redis, or correct REDIS_URL; 127.0.0.1 inside a container is the container itself",
    },
    Rule {
        signs: &[
            (
                "missing `secret_key_base` for '*' environment",
                "secret_key_base is missing for {1}",
            ),
            (
                "missing secret_key_base for \"*\" environment",
                "secret_key_base is missing for {1}",
            ),
            (
                "missing encryption key to decrypt file with",
                "the master key is missing",
            ),
            (
                "activesupport::encryptedfile::missingkeyerror",
                "the master key is missing",
            ),
            (
                "activesupport::messageencryptor::invalidmessage",
                "the master key does not fit the credentials in this image",
            ),
            ("key not found: \"*\" (keyerror)", "the variable {1} is not set"),
            (
                "variable is not set. defaulting to a blank string",
                "a variable of the Compose file is not set",
            ),
        ],
        cure: "add it to the env file that the inventory names (SECRET_KEY_BASE, RAILS_MASTER_KEY, or the variable itself), then deploy again",
    },
    Rule {
        signs: &[
            (
                "bind for * failed: port is already allocated",
                "port {1} is taken by another container",
            ),
            (
                "listen tcp* *: bind: address already in use",
                "port {2} of the host is taken by another program",
            ),
            ("bind() to * failed (98:", "nginx cannot have {1}: it is taken"),
            (
                "address already in use - bind(2) for *(errno::",
                "the app cannot have its port: {1} is taken",
            ),
        ],
        cure: "find who has it on the host (ss -ltnp), and stop it or give this pool another port; a host in both pools needs a port for each (env = { WEB_PORT = ... } of the host)",
    },
    Rule {
        signs: &[
            ("exec format error", "the image is built for another processor"),
            (
                "no matching manifest for * in the manifest list",
                "the image is not built for {1}",
            ),
            (
                "platform (*) does not match the detected host platform (*)",
                "the image is built for {1}, the host is {2}",
            ),
        ],
        cure: "build the image for the host's processor (docker buildx build --platform linux/amd64,linux/arm64); for a script, check its first line (#!)",
    },
    Rule {
        signs: &[
            ("no space left on device", "a disk is full"),
            ("(errno::enospc)", "a disk is full"),
        ],
        cure: "free space on the host (df -h, docker system df), then deploy again",
    },
    Rule {
        signs: &[
            ("cannot allocate memory", "the host has no memory left"),
            (
                "failed to allocate memory (nomemoryerror)",
                "the container has no memory left",
            ),
            (
                "reaped #<process::status: pid * sigkill",
                "a worker was killed, most likely for memory",
            ),
        ],
        cure: "give the service more memory (mem_limit, deploy.resources) or fewer workers; while both pools run a host in both needs twice",
    },
    Rule {
        signs: &[
            (
                "permission denied @ * - * (errno::eacces)",
                "the app may not use {2}",
            ),
            (
                "open() \"*\" failed (13: permission denied)",
                "nginx may not open {1}",
            ),
            ("exec: \"*\": permission denied", "{1} is not executable"),
            ("exec *: permission denied", "{1} is not executable"),
            (
                "mkdir() \"*\" failed (13: permission denied)",
                "nginx may not make {1}",
            ),
        ],
        cure: "give it to the user that the container runs as (COPY --chown in the Dockerfile, chmod +x for a script); a bind mount keeps the host's owner",
    },
    Rule {
        signs: &[
            (
                "exec: \"*\": executable file not found in $path",
                "the image has no program {1}",
            ),
            (
                "exec: \"*\": stat *: no such file or directory",
                "the image has no file {1}",
            ),
            (
                "exec *: no such file or directory",
                "the image has no {1}, or not the interpreter that its first line names",
            ),
            (
                "cannot load such file -- * (loaderror)",
                "the image has no Ruby file or gem {1}",
            ),
            (
                "could not find * in any of the sources",
                "the image lacks the gem {1}",
            ),
            (
                "could not find * in locally installed gems",
                "the image lacks the gem {1}",
            ),
        ],
        cure: "look at how the image is built: run the command in it (docker run --rm -it IMAGE sh) and add what is missing to the Dockerfile or Gemfile",
    },
    Rule {
        signs: &[(
            "host not found in upstream \"*\"",
            "nginx does not find {1} in the Compose network",
        )],
        cure: "name the service as in the Compose file, in the same network, and make nginx wait for it (depends_on)",
    },
    Rule {
        signs: &[("blocked hosts: *", "Rails refuses the Host header {1}")],
        cure: "set host_header in the check to a name that config.hosts has, or let the path through (config.host_authorization = { exclude: ... })",
    },
    Rule {
        signs: &[(
            "timeout (*), killing",
            "a Unicorn worker hung for {1} and was killed",
        )],
        cure: "find what the worker waits for (a database lock, an API, the disk); raise timeout in unicorn.rb only if the request is meant to take that long",
    },
    Rule {
        signs: &[
            (
                "socketerror: getaddrinfo: *",
                "a name is unknown in the container ({1})",
            ),
            (
                "getaddrinfo: name or service not known",
                "a name is unknown in the container",
            ),
            (
                "temporary failure in name resolution",
                "a name cannot be looked up in the container",
            ),
        ],
        cure: "check that the service is in the same Compose network under this name, or that the host's DNS knows it",
    },
    Rule {
        signs: &[("[emerg] *", "nginx refuses its configuration: {1}")],
        cure: "correct the configuration in the image, and let the image's build run nginx -t",
    },
];

/// Lines that tell what a cause did to somebody else.
pub(super) const SYMPTOMS: &[Rule] = &[
    Rule {
        signs: &[
            (
                "connect() failed (111: connection refused) while connecting to upstream",
                "nginx runs, but the app behind it does not listen",
            ),
            (
                "no live upstreams while connecting to upstream",
                "nginx runs, but no app behind it answers",
            ),
            (
                "upstream prematurely closed connection",
                "nginx runs, but the app behind it hangs up",
            ),
        ],
        cure: "read the app's log below: it ended, still boots, or listens on another port or only on 127.0.0.1",
    },
    Rule {
        signs: &[(
            "upstream timed out (110: *) while reading response header",
            "nginx runs, but the app behind it does not answer in time",
        )],
        cure: "find what the app waits for: a database lock, an API, or all of its workers being busy",
    },
];
