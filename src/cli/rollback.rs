//! `pointsman rollback [TAG]`

use super::args::Rollback;
use super::context::App;
use super::outcome::Outcome;
use crate::inventory::parse_tag;
use crate::plan::Intent;

pub(super) async fn run(app: &App, args: &Rollback) -> Outcome {
    if let Some(Err(error)) = args.tag.as_deref().map(parse_tag) {
        return Outcome::invalid(error.to_string());
    }
    super::run::run(
        app,
        Intent::Rollback {
            tag: args.tag.clone(),
        },
        None,
    )
    .await
}
