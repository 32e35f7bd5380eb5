//! What `doctor` says of a router that runs kamal-proxy.

use super::{KamalProxy, read};
use crate::remote::Output;
use crate::switch::Finding;

const CONFIG: &str = "`pointsman switch config` prints the command that sets the service up";

/// Every finding, in the order in which they are mended.
pub(super) fn findings(proxy: &KamalProxy, router: &str, output: &Output) -> Vec<Finding> {
    let good = |what: String| Finding::good(router, what);
    let bad = |what: String, hint: &str| Finding::bad(router, what, hint);
    if output.section("end").is_none() {
        return vec![bad(
            format!("cannot be looked at: {}", output.complaint()),
            "run doctor again",
        )];
    }
    let text = |section: &str| output.section(section).unwrap_or_default().trim();
    let mut found = vec![match text("tool") {
        "" => bad(
            "expected perl, python3 or curl to ask servers over HTTP, found none of them".to_owned(),
            "install one, e.g. `apt-get install curl`",
        ),
        tool => good(format!("asks over HTTP by {tool}")),
    }];
    let missing = text("tools").lines().collect::<Vec<_>>().join(", ");
    found.push(if missing.is_empty() {
        good("has the tools that a flip needs".to_owned())
    } else {
        bad(
            format!("expected {missing}, found none"),
            "install util-linux, coreutils, sed, grep and awk",
        )
    });
    if !text("why").is_empty() {
        found.push(bad(text("why").to_owned(), CONFIG));
        return found;
    }
    found.push(match text("many") {
        "yes" => good("kamal-proxy deploys to several targets at once".to_owned()),
        _ => bad(
            "expected a kamal-proxy that deploys to several targets at once, found an older one".to_owned(),
            "install kamal-proxy 0.9 or newer",
        ),
    });
    if let Err(problem) = proxy.refuse() {
        found.push(bad(problem, "change the inventory"));
    }
    if !text("options").is_empty() {
        found.push(bad(
            text("options").to_owned(),
            "write all options of the service into [switch.kamal_proxy] options",
        ));
    }
    match read::routes(output) {
        Err(problem) => found.push(bad(problem, CONFIG)),
        Ok(view) => {
            found.push(good(format!("kamal-proxy routes to {}", view.live)));
            if let Some(drift) = view.drift() {
                found.push(bad(
                    drift,
                    "does [switch.kamal_proxy] state print its state file?",
                ));
            }
        }
    }
    found
}
