//! `pointsman rollback [TAG]`

use super::args::Rollback;
use super::context::App;
use super::outcome::Outcome;
use crate::inventory::parse_tag;
use crate::plan::Intent;

pub(super) async fn run(app: &App, args: &Rollback) -> Result<Outcome, Outcome> {
    if let Some(tag) = &args.tag {
        parse_tag(tag).map_err(|error| Outcome::invalid(error.to_string()))?;
    }
    super::run::run(
        app,
        Intent::Rollback {
            tag: args.tag.clone(),
        },
        None,
        &args.lock,
    )
    .await
}
