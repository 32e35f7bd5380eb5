//! `[registry]`: where the images come from.

use camino::Utf8PathBuf;
use secrecy::SecretString;

/// The `[registry]` table.
#[derive(Debug, Clone)]
pub struct Registry {
    /// `host` or `host:port`, as it stands before the first `/` of an image's name.
    pub server: String,
    /// Login name; both or neither of name and password are given.
    pub username: Option<String>,
    /// Password or token; goes to `docker login` by standard input only.
    pub password: Option<SecretString>,
    /// PEM file of the CA that signed the registry's certificate, absolute on this machine.
    pub ca: Option<Utf8PathBuf>,
}
