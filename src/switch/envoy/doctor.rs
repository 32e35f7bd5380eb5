//! What `doctor` says of a router that runs Envoy.

use super::{Envoy, read};
use crate::remote::Output;
use crate::switch::Finding;

const CONFIG: &str = "`pointsman switch config` prints the lines that it needs";

/// Every finding, in the order in which they are mended.
pub(super) fn findings(envoy: &Envoy, router: &str, output: &Output) -> Vec<Finding> {
    let good = |what: String| Finding::good(router, what);
    let bad = |what: String, hint: String| Finding::bad(router, what, hint);
    if output.section("end").is_none() {
        return vec![bad(
            format!("cannot be looked at: {}", output.complaint()),
            "run doctor again".to_owned(),
        )];
    }
    let text = |section: &str| output.section(section).unwrap_or_default().trim();
    let (folder, user) = (&envoy.settings.folder, text("user"));
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
            "install util-linux, coreutils and awk".to_owned(),
        )
    });
    found.push(match text("folder") {
        "writable" => good(format!("{user} may replace the runtime file in {folder}")),
        _ => bad(
            format!("expected a folder {folder} that {user} may write, found none"),
            format!("as root: install -d -m 755 -o {user} {folder}"),
        ),
    });
    match (text("why"), read::routes(output)) {
        ("", Ok(view)) => {
            found.push(good(format!("Envoy says that it uses {}", view.live)));
            if let Some(drift) = view.drift() {
                found.push(bad(drift, format!("does Envoy watch {}? {CONFIG}", envoy.file())));
            }
        }
        ("", Err(problem)) => found.push(bad(problem, CONFIG.to_owned())),
        (why, _) => found.push(bad(why.to_owned(), CONFIG.to_owned())),
    }
    found
}
