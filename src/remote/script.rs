//! Typed remote scripts: the only road to a shell.
//!
//! A script's body is `&'static str`, so no value can be pasted into it. Values reach it as
//! variables, functions and files that are quoted here, in one place.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Why a script could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// A shell cannot hold a NUL byte in a value.
    #[error("the value of {name} contains a NUL byte, which no shell can pass on")]
    Nul {
        /// The variable or argument.
        name: String,
    },
    /// Not a name that a shell takes.
    #[error("{name:?} is no name of an environment variable (letters, digits and _, no digit first)")]
    Name {
        /// What was given.
        name: String,
    },
}

/// A POSIX sh script with its values, to be run on one server.
///
/// The body sees: every [`Script::var`] as a variable; every [`Script::command`] as a function
/// that runs that command line (and appends its own arguments); every [`Script::file`] as a
/// function that writes those bytes to standard output; every [`Script::export`] in its
/// environment; and the helpers of `prelude.sh`.
#[derive(Clone)]
pub struct Script {
    body: &'static str,
    vars: Vec<(&'static str, String)>,
    commands: Vec<(&'static str, Vec<String>)>,
    exports: BTreeMap<String, String>,
    files: Vec<(&'static str, Vec<u8>)>,
}

/// Helpers that every script has: `section NAME` starts a part of the output (see
/// [`super::Output::section`]), `say_fail CODE TEXT...` ends with a message.
const PRELUDE: &str = include_str!("prelude.sh");

impl Script {
    /// A script with this body, run under `set -u` with `LC_ALL=C`.
    pub fn new(body: &'static str) -> Script {
        Script {
            body,
            vars: Vec::new(),
            commands: Vec::new(),
            exports: BTreeMap::new(),
            files: Vec::new(),
        }
    }

    /// Sets a shell variable to exactly `value`.
    #[must_use]
    pub fn var(mut self, name: &'static str, value: impl Into<String>) -> Script {
        self.vars.push((name, value.into()));
        self
    }

    /// Defines function `name` to run exactly this command line.
    #[must_use]
    pub fn command<I, S>(mut self, name: &'static str, argv: I) -> Script
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.commands
            .push((name, argv.into_iter().map(Into::into).collect()));
        self
    }

    /// Exports an environment variable whose name comes from the inventory.
    #[must_use]
    pub fn export(mut self, name: impl Into<String>, value: impl Into<String>) -> Script {
        self.exports.insert(name.into(), value.into());
        self
    }

    /// Defines function `name` to write exactly these bytes to standard output. They travel on
    /// the script's standard input, never in an argument list, so secrets may.
    #[must_use]
    pub fn file(mut self, name: &'static str, bytes: impl Into<Vec<u8>>) -> Script {
        self.files.push((name, bytes.into()));
        self
    }

    /// The whole text, to be given to `sh -s`. A cut text runs nothing: all of it is one function
    /// that only the last line calls.
    ///
    /// # Errors
    /// When a value cannot be passed by any shell (NUL) or an exported name is none.
    pub fn render(&self) -> Result<String, ScriptError> {
        self.wrapped("pm_main </dev/null\n")
    }

    /// As [`Script::render`], for a body that reads the channel's standard input itself.
    ///
    /// # Errors
    /// As [`Script::render`].
    pub(super) fn render_interactive(&self) -> Result<String, ScriptError> {
        self.wrapped("pm_main\n")
    }

    fn wrapped(&self, call: &str) -> Result<String, ScriptError> {
        Ok(format!(
            "pm_main() {{\n{}\n}}\n{call}",
            self.render_definitions()?
        ))
    }

    /// The values, helpers and body without the function around them: for the guard, which runs
    /// `prepare` and `commit` of an armed script in its own shell.
    ///
    /// # Errors
    /// As [`Script::render`].
    pub(super) fn render_definitions(&self) -> Result<String, ScriptError> {
        let mut out = String::with_capacity(self.body.len() + 1024);
        out.push_str("set -u\nLC_ALL=C; export LC_ALL\n");
        out.push_str(PRELUDE);
        for (name, bytes) in &self.files {
            // Base64 keeps any byte intact and cannot contain the delimiter's underscore.
            let _ = writeln!(out, "{name}() {{ base64 -d <<'PM_FILE_END'");
            let encoded = STANDARD.encode(bytes);
            for line in encoded.as_bytes().chunks(76) {
                out.push_str(std::str::from_utf8(line).unwrap_or_default());
                out.push('\n');
            }
            out.push_str("PM_FILE_END\n}\n");
        }
        for (name, argv) in &self.commands {
            let _ = write!(out, "{name}() {{");
            for arg in argv {
                out.push(' ');
                out.push_str(&quote(name, arg)?);
            }
            out.push_str(" \"$@\"; }\n");
        }
        for (name, value) in &self.exports {
            if !is_env_name(name) {
                return Err(ScriptError::Name { name: name.clone() });
            }
            let _ = writeln!(out, "{name}={}; export {name}", quote(name, value)?);
        }
        for (name, value) in &self.vars {
            let _ = writeln!(out, "{name}={}", quote(name, value)?);
        }
        out.push_str(self.body);
        Ok(out)
    }
}

impl std::fmt::Debug for Script {
    /// Names only: values and files may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script")
            .field("vars", &self.vars.iter().map(|(n, _)| n).collect::<Vec<_>>())
            .field("files", &self.files.iter().map(|(n, _)| n).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Whether a shell takes this as the name of an environment variable.
pub fn is_env_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// One word of a POSIX shell that stands for exactly `value`.
fn quote(name: &str, value: &str) -> Result<String, ScriptError> {
    shlex::try_quote(value)
        .map(|quoted| quoted.into_owned())
        .map_err(|_| ScriptError::Nul {
            name: name.to_owned(),
        })
}
