//! `[state]`: where the environment's lock and journal are kept for a whole team.

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio_postgres::config::Host;

use super::check::Checker;
use super::diagnostic::Mistake;
use super::grammar::Grammar;
use super::node::Node;

/// Where the lock and the journal are kept.
#[derive(Debug, Clone, Default)]
pub enum State {
    /// On the routers only; no service is needed.
    #[default]
    Servers,
    /// In PostgreSQL, `store = "postgres"`.
    Postgres(PostgresState),
    /// In etcd, `store = "etcd"`.
    Etcd(EtcdState),
}

/// How the PostgreSQL server is reached.
#[derive(Debug, Clone)]
pub struct PostgresState {
    /// `postgresql://...` without its `sslmode`; may hold a password.
    pub url: SecretString,
    /// What the URL says of TLS.
    pub ssl_mode: SslMode,
    /// PEM file of the CA that signed the server's certificate; `None`: this machine's CAs.
    pub ca_file: Option<Utf8PathBuf>,
}

/// `sslmode` of a PostgreSQL URL, with the meaning that libpq gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server has it; its certificate is not looked at.
    Prefer,
    /// TLS or nothing; the certificate is looked at only if `ca_file` is given.
    Require,
    /// TLS or nothing; the certificate must be good, and be the host's.
    VerifyFull,
}

/// How the etcd cluster is reached.
#[derive(Debug, Clone)]
pub struct EtcdState {
    /// Base URLs of the members, in the order of the file.
    pub endpoints: Vec<String>,
    /// Name and password, where the cluster asks for them.
    pub login: Option<(String, SecretString)>,
    /// PEM file of the CA that signed the members' certificates; `None`: this machine's CAs.
    pub ca_file: Option<Utf8PathBuf>,
}

/// Where the lock and the journal are kept. Leave it out and the routers keep them, which needs no service. A team that
/// runs PostgreSQL or etcd can keep them there; the servers' own fence stays in force.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StateTable {
    /// Which store. Only the keys of the chosen one are used.
    #[schemars(example = &"postgres")]
    store: StoreName,
    /// For PostgreSQL: `postgresql://[user[:password]@]host[:port]/database[?sslmode=...]`; `sslmode` is `disable`, `prefer` (the default), `require` or `verify-full`.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::Secret), example = &"${STATE_URL}")]
    url: Option<SecretString>,
    /// For etcd: the members' client URLs.
    #[schemars(length(min = 1), extend("items" = {"type": "string", "grammar": Grammar::Url}), example = ["https://etcd1.example.com:2379"])]
    endpoints: Option<Vec<String>>,
    /// For etcd: login name. Both or neither of name and password are given.
    #[schemars(extend("grammar" = Grammar::Login), example = &"pointsman")]
    username: Option<String>,
    /// For etcd: password.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::Secret), example = &"${ETCD_PASSWORD}")]
    password: Option<SecretString>,
    /// PEM file of the CA that signed the store's certificates, relative to the file that names it.
    #[schemars(with = "Option<String>", extend("grammar" = Grammar::File), example = &"ca.pem")]
    ca_file: Option<Utf8PathBuf>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("examples" = ["postgres"]))]
enum StoreName {
    Servers,
    Postgres,
    Etcd,
}

impl StateTable {
    /// Only the chosen store's settings stay. `None` when what it needs is missing: [`check`] says so first.
    fn into_state(self) -> Option<State> {
        Some(match self.store {
            StoreName::Servers => State::Servers,
            StoreName::Postgres => {
                let (url, ssl_mode) = parse_url(self.url?.expose_secret()).ok()?;
                State::Postgres(PostgresState {
                    url,
                    ssl_mode,
                    ca_file: self.ca_file,
                })
            }
            StoreName::Etcd => State::Etcd(EtcdState {
                endpoints: self.endpoints?,
                login: self.username.zip(self.password),
                ca_file: self.ca_file,
            }),
        })
    }
}

/// Reads the table as what it means.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<State, D::Error> {
    let table = StateTable::deserialize(from)?;
    table
        .into_state()
        .ok_or_else(|| D::Error::custom("`[state]` lacks what its store needs"))
}

/// What is wrong with a URL: what was expected and found there, never its text.
struct Malformed {
    expected: &'static str,
    found: &'static str,
    help: &'static str,
}

/// Takes `sslmode` out of a PostgreSQL URL, as no library knows all of its values, and reads the rest.
fn parse_url(text: &str) -> Result<(SecretString, SslMode), Malformed> {
    let shape = |found| Malformed {
        expected: "`postgresql://[user[:password]@]host[:port]/database[?sslmode=...]`",
        found,
        help: "characters such as `@`, `/` and `?` in a password are percent-encoded: `%40`, `%2F`, `%3F`",
    };
    if !["postgresql://", "postgres://"]
        .iter()
        .any(|s| text.starts_with(s))
    {
        return Err(shape("something else"));
    }
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    let mut mode = SslMode::Prefer;
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.strip_prefix("sslmode=") {
            None => kept.push(pair),
            Some("disable") => mode = SslMode::Disable,
            Some("prefer") => mode = SslMode::Prefer,
            Some("require") => mode = SslMode::Require,
            Some("verify-full") => mode = SslMode::VerifyFull,
            Some(_) => {
                return Err(Malformed {
                    expected: "`sslmode` to be `disable`, `prefer`, `require` or `verify-full`",
                    found: "another",
                    help: "libpq's `allow` and `verify-ca` are not taken: use `prefer` or `verify-full`",
                });
            }
        }
    }
    let rest = if kept.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", kept.join("&"))
    };
    let config: tokio_postgres::Config = rest.parse().map_err(|_| shape("a URL that cannot be read"))?;
    let nameless = |host: &Host| matches!(host, Host::Tcp(name) if name.is_empty());
    if config.get_hosts().is_empty() || config.get_hosts().iter().any(nameless) {
        return Err(shape("no host"));
    }
    // Without one, the server takes the user's name, and a typing error would be a new, empty store.
    if config.get_dbname().is_none() {
        return Err(shape("no database"));
    }
    Ok((SecretString::from(rest), mode))
}

/// What the schema cannot tell.
pub(super) fn check(checker: &mut Checker<'_>) {
    let Some(state) = checker.root.get(&["state"]) else {
        return;
    };
    let needed = match state.text(&["store"]) {
        Some("postgres") => ("url", "url = \"${STATE_URL}\""),
        Some("etcd") => ("endpoints", "endpoints = [\"https://etcd1.example.com:2379\"]"),
        _ => ("store", ""),
    };
    if needed.0 != "store" && state.get(&[needed.0]).is_none() {
        let store = state.text(&["store"]).unwrap_or_default();
        let place = state.get(&["store"]).map_or(&state.place, |node| &node.place);
        checker.mistakes.add(
            Mistake::at(
                place,
                format!("state.{}", needed.0),
                format!("`state.{}` is missing", needed.0),
            )
            .expected(format!("where the {store} servers are"))
            .found("none")
            .help(format!("add `{}`", needed.1)),
        );
    }
    if let Some((node, text)) = state.get(&["url"]).zip(state.text(&["url"]))
        && let Err(malformed) = parse_url(text)
    {
        checker.mistakes.add(
            Mistake::at(&node.place, "state.url", "`state.url` is malformed")
                .expected(malformed.expected)
                .found(malformed.found)
                .help(malformed.help),
        );
    }
    login(checker, state);
}

/// Name and password come together.
fn login(checker: &mut Checker<'_>, state: &Node) {
    let (given, lacking, variable) = match (state.get(&["username"]), state.get(&["password"])) {
        (Some(given), None) => ((given, "username"), "password", "ETCD_PASSWORD"),
        (None, Some(given)) => ((given, "password"), "username", "ETCD_USER"),
        _ => return,
    };
    checker.mistakes.add(
        Mistake::at(
            &given.0.place,
            format!("state.{lacking}"),
            format!("`state.{lacking}` is missing"),
        )
        .expected("both or neither of `username` and `password`")
        .found(format!("only `{}`", given.1))
        .help(format!("add `{lacking} = \"${{{variable}}}\"`")),
    );
}

#[cfg(test)]
mod tests;
