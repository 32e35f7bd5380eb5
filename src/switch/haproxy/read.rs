//! Reads what our scripts print of the routes.

use std::collections::BTreeMap;

use crate::remote::Output;
use crate::switch::{RouterView, Worker};

/// The routes that `print_routes` of routes.sh printed, without servers.
pub(super) fn routes(output: &Output) -> Result<RouterView, String> {
    if output.section("end").is_none() {
        return Err("the answer was cut".to_owned());
    }
    let text = |name: &str| output.section(name).unwrap_or_default().trim();
    if text("live").is_empty() {
        return Err("expected a value in the map, found none".to_owned());
    }
    let live = text("live").parse()?;
    let persisted = match text("file") {
        "" => None,
        value => Some(value.parse()?),
    };
    let workers = text("workers")
        .lines()
        .map(|line| {
            let (pid, value) = line.split_once(' ').unwrap_or((line, ""));
            Ok(Worker {
                pid: pid.to_owned(),
                route: value.parse()?,
            })
        })
        .collect::<Result<_, String>>()?;
    Ok(RouterView {
        live,
        persisted,
        workers,
        problems: text("problems").lines().map(str::to_owned).collect(),
        backends: BTreeMap::new(),
        left_out: BTreeMap::new(),
        caches: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Pool;

    const MOVED: &str = "\n@@pm:live\ngreen:green:0\n\n@@pm:file\ngreen:green:0\n\n@@pm:workers\n812 blue:blue:0\n\n@@pm:problems\n\n@@pm:end\n";

    fn printed(stdout: &str) -> Output {
        Output {
            stdout: stdout.to_owned(),
            ..Output::default()
        }
    }

    #[test]
    fn reads_routes_of_all_workers() {
        let view = routes(&printed(MOVED)).expect("routes");
        assert_eq!(view.live.settled(), Some(Pool::Green));
        assert_eq!((view.workers.len(), view.problems.len()), (1, 0));
        assert!(!view.is_all(Pool::Green), "the old worker still serves blue");
        let doubtful = MOVED.replace("problems\n", "problems\nworker 9 did not say\n");
        assert_eq!(
            routes(&printed(&doubtful)).expect("routes").problems,
            ["worker 9 did not say"]
        );
    }

    #[test]
    fn nothing_is_guessed() {
        let wrong = |text: &str| routes(&printed(text)).expect_err("no routes");
        insta::assert_snapshot!(wrong(&MOVED.replace("@@pm:end\n", "")), @"the answer was cut");
        insta::assert_snapshot!(wrong(&MOVED.replace("live\ngreen:green:0", "live\n")), @"expected a value in the map, found none");
        insta::assert_snapshot!(wrong(&MOVED.replace("812 blue:blue:0", "812")), @r#"expected blue:blue:0 or the like in the map, found """#);
        insta::assert_snapshot!(wrong(&MOVED.replace("file\ngreen", "file\nred")), @r#"expected blue:blue:0 or the like in the map, found "red:green:0""#);
    }
}
