//! `pointsman validate`

use super::args::Validate;
use super::context::App;
use super::outcome::Outcome;
use crate::inventory::{Pool, schema};

pub(super) fn run(app: &App, args: &Validate) -> Result<Outcome, Outcome> {
    if args.schema {
        let schema = schema();
        app.data(
            "schema",
            &schema,
            &serde_json::to_string_pretty(&schema).unwrap_or_default(),
        );
        return Ok(Outcome::done());
    }
    let inventory = app.inventory()?;
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
    Ok(Outcome::done())
}
