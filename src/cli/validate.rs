//! `pointsman validate`

use super::args::Validate;
use super::context::App;
use super::outcome::Outcome;
use crate::inventory::{Pool, schema};

pub(super) fn run(app: &App, args: &Validate) -> Outcome {
    if args.schema {
        let schema = schema();
        app.data(
            "schema",
            &schema,
            &serde_json::to_string_pretty(&schema).unwrap_or_default(),
        );
        return Outcome::done();
    }
    match app.inventory() {
        Ok(inventory) => {
            let text = format!(
                "{} is valid: {} in {}, {} hosts blue, {} green, {} routers, {} checks",
                inventory.file,
                inventory.app.name,
                inventory.env,
                inventory.hosts(Pool::Blue).len(),
                inventory.hosts(Pool::Green).len(),
                inventory.switch.routers.len(),
                inventory.checks.len(),
            );
            app.data("valid", &text, &text);
            Outcome::done()
        }
        Err(outcome) => outcome,
    }
}
