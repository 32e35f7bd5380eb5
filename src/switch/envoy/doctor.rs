//! What `doctor` says of a router that runs Envoy.

use super::{Envoy, read};
use crate::remote::Output;
use crate::switch::Finding;
use crate::switch::look::Look;

const CONFIG: &str = "`pointsman switch config` prints the lines that it needs";

/// Every finding, in the order in which they are mended.
pub(super) fn findings(envoy: &Envoy, router: &str, output: &Output) -> Vec<Finding> {
    let mut look = match Look::at(router, output) {
        Ok(look) => look,
        Err(findings) => return findings,
    };
    look.fetcher();
    look.tools("util-linux, coreutils and awk");
    look.folder("replace the runtime file", &envoy.settings.folder);
    match (look.text("why"), read::routes(output)) {
        ("", Ok(view)) => {
            look.good(format!("Envoy says that it uses {}", view.live));
            if let Some(drift) = view.drift() {
                look.bad(drift, format!("does Envoy watch {}? {CONFIG}", envoy.file()));
            }
        }
        ("", Err(problem)) => look.bad(problem, CONFIG),
        (why, _) => look.bad(why, CONFIG),
    }
    look.findings
}
