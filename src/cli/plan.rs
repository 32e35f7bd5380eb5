//! `pointsman plan TAG`

use std::sync::Arc;

use super::args::Plan;
use super::context::App;
use super::outcome::Outcome;
use crate::inventory::parse_tag;
use crate::plan::Intent;

pub(super) async fn run(app: &App, args: &Plan) -> Outcome {
    if let Err(error) = parse_tag(&args.tag) {
        return Outcome::invalid(error.to_string());
    }
    let inventory = match app.inventory() {
        Ok(inventory) => Arc::new(inventory),
        Err(outcome) => return outcome,
    };
    let sessions = match app.sessions(&inventory) {
        Ok(sessions) => sessions,
        Err(outcome) => return outcome,
    };
    let intent = Intent::Deploy {
        tag: args.tag.clone(),
        flip: !args.no_flip,
    };
    let plan = match super::run::make(app, &inventory, &sessions, &intent, None).await {
        Ok(plan) => plan,
        Err(outcome) => return outcome,
    };
    if let Some(file) = &args.output {
        let text = serde_json::to_string_pretty(&plan).unwrap_or_default();
        if let Err(error) = std::fs::write(file, text + "\n") {
            return Outcome::invalid(format!("{file}: {error}"));
        }
    }
    app.data("plan", &plan, &plan.to_string());
    Outcome::done()
}
