//! `pointsman simulate`: what happens to this inventory when runs die, race and lose messages.

use std::fmt::Write as _;
use std::time::Instant;

use super::args::Simulate;
use super::context::App;
use super::outcome::Outcome;
use crate::fleet::End;
use crate::inventory::Inventory;
use crate::simulate::{Protection, campaign, simulate};

/// Most violations that are listed: the first ones tell enough.
const LISTED: usize = 10;

pub(super) fn run(app: &App, args: &Simulate) -> Result<Outcome, Outcome> {
    let inventory = app.inventory()?;
    match args.seed {
        Some(seed) => one(app, &inventory, seed, args.without),
        None => many(app, &inventory, args),
    }
}

/// One seed, and its story.
fn one(app: &App, inventory: &Inventory, seed: u64, without: Option<Protection>) -> Result<Outcome, Outcome> {
    let outcome = simulate(inventory, seed, without, true);
    let mut text = outcome.story.join("\n");
    for violation in &outcome.violations {
        let _ = write!(text, "\nviolation, {violation}");
    }
    let violations: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
    let data = serde_json::json!({ "seed": seed, "story": outcome.story, "violations": violations });
    app.data("simulation", &data, &text);
    match violations.len() {
        0 => Ok(Outcome::done()),
        count => Err(Outcome::ending(
            End::Failed,
            format!("seed {seed}: {count} times an invariant did not hold"),
        )),
    }
}

/// Many seeds, and what did not hold in which.
fn many(app: &App, inventory: &Inventory, args: &Simulate) -> Result<Outcome, Outcome> {
    let since = Instant::now();
    let tally = campaign(
        inventory,
        args.from..args.from.saturating_add(args.seeds),
        args.without,
    );
    let mut text = format!(
        "{} seeds in {:.1} s: {} messages arrived, {} runs were killed, {} seeds broke an invariant\n",
        tally.seeds,
        since.elapsed().as_secs_f64(),
        tally.events,
        tally.kills,
        tally.violations.len()
    );
    for (seed, violation) in tally.violations.iter().take(LISTED) {
        let _ = writeln!(text, "seed {seed}, {violation}");
    }
    let violations: Vec<_> = tally
        .violations
        .iter()
        .map(|(seed, violation)| serde_json::json!({ "seed": seed, "violation": violation.to_string() }))
        .collect();
    let data = serde_json::json!({
        "seeds": tally.seeds, "events": tally.events, "kills": tally.kills, "violations": violations,
    });
    app.data("simulation", &data, &text);
    let Some((seed, _)) = tally.violations.first() else {
        return Ok(Outcome::done());
    };
    let without = args
        .without
        .and_then(|without| clap::ValueEnum::to_possible_value(&without))
        .map_or(String::new(), |value| format!(" --without {}", value.get_name()));
    Err(
        Outcome::ending(End::Failed, "an invariant did not hold").hint(format!(
            "pointsman -e {} simulate --seed {seed}{without} tells what happens in it",
            inventory.env
        )),
    )
}
