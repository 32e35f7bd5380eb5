//! `pointsman plan TAG`

use std::sync::Arc;

use super::args::Plan;
use super::context::App;
use super::outcome::Outcome;
use crate::inventory::parse_tag;
use crate::plan::Intent;

pub(super) async fn run(app: &App, args: &Plan) -> Result<Outcome, Outcome> {
    parse_tag(&args.tag).map_err(|error| Outcome::invalid(error.to_string()))?;
    let (inventory, sessions) = app.open()?;
    let intent = Intent::Deploy {
        tag: args.tag.clone(),
        flip: !args.no_flip,
    };
    let plan = super::run::make(app, &Arc::new(inventory), &sessions, &intent, None).await?;
    if let Some(file) = &args.output {
        let text = serde_json::to_string_pretty(&plan).unwrap_or_default();
        std::fs::write(file, text + "\n").map_err(|error| Outcome::invalid(format!("{file}: {error}")))?;
    }
    app.data("plan", &plan, &plan.to_string());
    Ok(Outcome::done())
}
