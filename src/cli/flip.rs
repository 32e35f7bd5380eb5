//! `pointsman flip`

use super::args::Flip;
use super::context::App;
use super::outcome::Outcome;
use crate::plan::Intent;

pub(super) async fn run(app: &App, args: &Flip) -> Result<Outcome, Outcome> {
    super::run::run(app, Intent::Flip { to: args.to }, None, &args.lock).await
}
