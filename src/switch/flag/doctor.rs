//! What `doctor` says of a router that looks at a flag.

use super::{FlagFile, read};
use crate::remote::Output;
use crate::switch::Finding;

const CONFIG: &str = "`pointsman switch config` prints the lines that it needs";

/// Every finding, in the order in which they are mended.
pub(super) fn findings(flag: &FlagFile, router: &str, output: &Output) -> Vec<Finding> {
    let good = |what: String| Finding::good(router, what);
    let bad = |what: String, hint: String| Finding::bad(router, what, hint);
    if output.section("end").is_none() {
        return vec![bad(
            format!("cannot be looked at: {}", output.complaint()),
            "run doctor again".to_owned(),
        )];
    }
    let text = |section: &str| output.section(section).unwrap_or_default().trim();
    let (program, flags, user) = (flag.program.name(), &flag.settings.flags, text("user"));
    let mut found = vec![match text("tool") {
        "" => bad(
            "expected perl, python3 or curl to ask over HTTP, found none of them".to_owned(),
            "install one, e.g. `apt-get install curl`".to_owned(),
        ),
        tool => good(format!("asks over HTTP by {tool}")),
    }];
    let missing = text("tools").lines().collect::<Vec<_>>().join(", ");
    found.push(if missing.is_empty() {
        good("has the tools that a flip needs".to_owned())
    } else {
        bad(
            format!("expected {missing}, found none"),
            "install util-linux, coreutils, libc-bin and awk".to_owned(),
        )
    });
    found.push(match text("folder") {
        "writable" => good(format!("{user} may set the flag in {flags}")),
        _ => bad(
            format!("expected a folder {flags} that {user} may write, found none"),
            format!("as root: install -d -m 755 -o {user} {flags}"),
        ),
    });
    found.push(match text("program") {
        pool @ ("blue" | "green") => good(format!("{program} says that it uses {pool}")),
        words => bad(words.to_owned(), CONFIG.to_owned()),
    });
    if let Some(drift) = read::routes(output).ok().and_then(|view| view.drift()) {
        found.push(bad(drift, format!("does {program} look into {flags}? {CONFIG}")));
    }
    found
}
