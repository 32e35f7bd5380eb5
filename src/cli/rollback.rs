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
    let intent = Intent::Rollback {
        tag: args.tag.clone(),
    };
    super::run::run(app, args.lock.wish(intent, &args.without), None, args.lock.wait).await
}
