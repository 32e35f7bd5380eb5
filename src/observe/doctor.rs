//! What `doctor` finds: each server, router and the registry, with how to mend what is wrong.

use std::time::Duration;

use jiff::Timestamp;

use super::clock;
use super::cold::{Wanted, inspect_pool};
use crate::compose::registry::{Client, Ping};
use crate::http;
use crate::inventory::{Inventory, Pool, Router};
use crate::remote::{RemoteError, Script, Sessions};
use crate::switch::api::Api;
use crate::switch::{Connector, Finding};

/// Longest to wait for a router's answer over HTTP.
const ASK: Duration = Duration::from_secs(5);

/// Looks at one router: SSH, its program, and its URL as seen from here.
pub async fn router(sessions: &Sessions, connector: &dyn Connector, router: &Router) -> Vec<Finding> {
    let session = match sessions.connect(&router.server()).await {
        Ok(session) => session,
        Err(error) => return vec![unreachable(&router.name, &error)],
    };
    let mut findings = connector.doctor(&session, router).await;
    let before = Timestamp::now();
    if let Ok(output) = session.read(&Script::new("date +%s"), ASK).await {
        let clock = output.stdout.trim().parse().ok();
        let skew = clock.map(|clock| clock::skew(before, clock, clock, Timestamp::now()));
        findings.extend(skewed(&router.name, skew));
    }
    findings.push(answers(router).await);
    findings
}

/// Looks at a switch that is an API, and at its URL as seen from here.
pub async fn api(api: &dyn Api, router: &Router) -> Vec<Finding> {
    let mut findings = api.doctor().await;
    findings.push(answers(router).await);
    findings
}

/// Whether the prober will see anything.
async fn answers(router: &Router) -> Finding {
    let asked = match http::builder(ASK).build() {
        Ok(client) => client
            .get(&router.url)
            .send()
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match asked {
        Ok(()) => Finding::good(&router.name, format!("{} answers requests from here", router.url)),
        Err(problem) => Finding::bad(
            &router.name,
            format!("{} does not answer requests from here: {problem}", router.url),
            "the prober must reach it: check [switch] url, or the router's own",
        ),
    }
}

/// Looks at every host of both pools.
pub async fn hosts(inventory: &Inventory, sessions: &Sessions) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pool in Pool::ALL {
        let looked = match inspect_pool(inventory, sessions, pool, &Wanted::LastRetained).await {
            Ok(looked) => looked,
            Err(problem) => {
                return vec![Finding::bad(
                    "inventory",
                    problem,
                    "check [app] compose and env_file",
                )];
            }
        };
        for (name, facts) in looked {
            let facts = match facts {
                Ok(facts) => facts,
                Err(problem) => {
                    findings.push(Finding::bad(&name, problem, "try `ssh` to it by hand"));
                    continue;
                }
            };
            for problem in &facts.problems {
                findings.push(Finding::bad(&name, problem.clone(), "mend it on the host"));
            }
            if facts.problems.is_empty() {
                let free = facts.docker_free / (1 << 30);
                let (docker, arch) = facts.engine.clone().unwrap_or_default();
                let compose = facts
                    .compose
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), ToString::to_string);
                findings.push(Finding::good(
                    &name,
                    format!("{pool}: Docker {docker} ({arch}), {compose}, {free} GiB free"),
                ));
            }
            findings.extend(skewed(&name, facts.skew_s));
        }
    }
    findings
}

/// Logs in to the registry and looks for nothing.
pub async fn registry(inventory: &Inventory) -> Vec<Finding> {
    let Some(registry) = &inventory.registry else {
        return Vec::new();
    };
    let hint = "check [registry] server, username, password and ca";
    let pinged = match Client::new(Some(registry)) {
        Ok(client) => client.ping(&registry.server).await,
        Err(error) => Err(error),
    };
    let server = &registry.server;
    match pinged {
        Ok(Ping::LoggedIn) => vec![Finding::good("registry", format!("{server} takes the login"))],
        Ok(Ping::Open) => vec![Finding::good(
            "registry",
            format!("{server} answers without a login"),
        )],
        Ok(Ping::NeedsLogin) => {
            vec![Finding::bad(
                "registry",
                format!("{server} wants a login (401), none is given"),
                hint,
            )]
        }
        Err(error) => vec![Finding::bad("registry", error.to_string(), error.hint())],
    }
}

/// A clock that is off (FAULTS.md 17).
fn skewed(name: &str, skew: Option<i64>) -> Option<Finding> {
    clock::in_words(skew?).map(|words| Finding::bad(name, words, "run an NTP client"))
}

fn unreachable(name: &str, error: &RemoteError) -> Finding {
    let text = error.to_string();
    let what = text
        .strip_prefix(&format!("{name}: "))
        .unwrap_or(&text)
        .to_owned();
    match error {
        RemoteError::Connect { hint, .. } => Finding::bad(name, what, hint.clone()),
        _ => Finding::bad(name, what, "run doctor again"),
    }
}
