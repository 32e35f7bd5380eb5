//! What `doctor` says of a router that runs kamal-proxy.

use super::{KamalProxy, read};
use crate::remote::Output;
use crate::switch::Finding;
use crate::switch::look::Look;

const CONFIG: &str = "`pointsman switch config` prints the command that sets the service up";

/// Every finding, in the order in which they are mended.
pub(super) fn findings(proxy: &KamalProxy, router: &str, output: &Output) -> Vec<Finding> {
    let mut look = match Look::at(router, output) {
        Ok(look) => look,
        Err(findings) => return findings,
    };
    look.fetcher();
    look.tools("util-linux, coreutils, sed, grep and awk");
    if !look.text("why").is_empty() {
        look.bad(look.text("why"), CONFIG);
        return look.findings;
    }
    match look.text("many") {
        "yes" => look.good("kamal-proxy deploys to several targets at once"),
        _ => look.bad(
            "expected a kamal-proxy that deploys to several targets at once, found an older one",
            "install kamal-proxy 0.9 or newer",
        ),
    }
    if let Err(problem) = proxy.refuse() {
        look.bad(problem, "change the inventory");
    }
    if !look.text("options").is_empty() {
        look.bad(
            look.text("options"),
            "write all options of the service into [switch.kamal_proxy] options",
        );
    }
    match read::routes(output) {
        Err(problem) => look.bad(problem, CONFIG),
        Ok(view) => {
            look.good(format!("kamal-proxy routes to {}", view.live));
            if let Some(drift) = view.drift() {
                look.bad(drift, "does [switch.kamal_proxy] state print its state file?");
            }
        }
    }
    look.findings
}
