//! `pointsman plan TAG`

use std::sync::Arc;

use super::args::Plan;
use super::context::App;
use super::outcome::Outcome;
use crate::inventory::parse_tag;
use crate::plan::{Intent, Wish};
use crate::run;

pub(super) async fn run(app: &App, args: &Plan) -> Result<Outcome, Outcome> {
    parse_tag(&args.tag).map_err(|error| Outcome::invalid(error.to_string()))?;
    let (inventory, sessions) = app.open()?;
    let intent = Intent::Deploy {
        tag: args.tag.clone(),
        flip: !args.no_flip,
    };
    let inventory = Arc::new(inventory);
    let fleet = app.fleet(&inventory, sessions, None)?;
    let wish = Wish {
        without: args.without.clone(),
        drop_env: args.drop_env.clone(),
        ..Wish::from(intent)
    };
    let plan = run::make(&inventory, fleet.as_ref(), &wish, &app.run, &app.who)
        .await
        .map_err(|refusal| Outcome::of_refusal(&refusal, &inventory.env))?;
    if let Some(file) = &args.output {
        let text = serde_json::to_string_pretty(&plan).unwrap_or_default();
        std::fs::write(file, text + "\n").map_err(|error| Outcome::invalid(format!("{file}: {error}")))?;
    }
    app.data("plan", &plan, &plan.to_string());
    Ok(Outcome::done())
}
