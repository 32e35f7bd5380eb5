//! What `doctor` says of a router that looks at a flag.

use super::{FlagFile, read};
use crate::remote::Output;
use crate::switch::Finding;
use crate::switch::look::Look;

const CONFIG: &str = "`pointsman switch config` prints the lines that it needs";

/// Every finding, in the order in which they are mended.
pub(super) fn findings(flag: &FlagFile, router: &str, output: &Output) -> Vec<Finding> {
    let mut look = match Look::at(router, output) {
        Ok(look) => look,
        Err(findings) => return findings,
    };
    let (program, flags) = (flag.program.name(), &flag.settings.flags);
    look.fetcher();
    look.tools("util-linux, coreutils, libc-bin and awk");
    look.folder("set the flag", flags);
    match look.text("program") {
        pool @ ("blue" | "green") => look.good(format!("{program} says that it uses {pool}")),
        words => look.bad(words, CONFIG),
    }
    if let Some(drift) = read::routes(output).ok().and_then(|view| view.drift()) {
        look.bad(drift, format!("does {program} look into {flags}? {CONFIG}"));
    }
    look.findings
}
