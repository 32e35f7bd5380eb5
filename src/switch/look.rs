//! What `doctor` finds on routers of every kind, before it comes to the program that runs there.

use super::Finding;
use crate::remote::Output;

/// One router's answer, and what was found in it so far, in the order in which it is mended.
pub(super) struct Look<'a> {
    router: &'a str,
    pub(super) output: &'a Output,
    /// What was found.
    pub(super) findings: Vec<Finding>,
}

impl<'a> Look<'a> {
    /// An answer that came whole.
    ///
    /// # Errors
    /// The only finding about one that did not.
    pub(super) fn at(router: &'a str, output: &'a Output) -> Result<Look<'a>, Vec<Finding>> {
        let mut look = Look {
            router,
            output,
            findings: Vec::new(),
        };
        if output.section("end").is_none() {
            look.bad(
                format!("cannot be looked at: {}", output.complaint()),
                "run doctor again",
            );
            return Err(look.findings);
        }
        Ok(look)
    }

    pub(super) fn text(&self, section: &str) -> &'a str {
        self.output.section(section).unwrap_or_default().trim()
    }

    pub(super) fn good(&mut self, what: impl Into<String>) {
        self.findings.push(Finding::good(self.router, what));
    }

    pub(super) fn bad(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.findings.push(Finding::bad(self.router, what, hint));
    }

    /// What asks over HTTP there.
    pub(super) fn fetcher(&mut self) {
        match self.text("tool") {
            "" => self.bad(
                "expected perl, python3 or curl to ask over HTTP, found none of them",
                "install one, e.g. `apt-get install curl`",
            ),
            tool => self.good(format!("asks over HTTP by {tool}")),
        }
    }

    /// The commands that a flip calls; these packages have them.
    pub(super) fn tools(&mut self, packages: &str) {
        let missing = self.text("tools").lines().collect::<Vec<_>>().join(", ");
        if missing.is_empty() {
            self.good("has the tools that a flip needs");
        } else {
            self.bad(
                format!("expected {missing}, found none"),
                format!("install {packages}"),
            );
        }
    }

    /// The folder of the file that a flip replaces: who may write there may do `what` in it.
    pub(super) fn folder(&mut self, what: &str, folder: &str) {
        let user = self.text("user");
        match self.text("folder") {
            "writable" => self.good(format!("{user} may {what} in {folder}")),
            _ => self.bad(
                format!("expected a folder {folder} that {user} may write, found none"),
                format!("as root: install -d -m 755 -o {user} {folder}"),
            ),
        }
    }
}
