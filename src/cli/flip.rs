//! `pointsman flip`

use super::args::Flip;
use super::context::App;
use super::outcome::Outcome;
use crate::plan::Intent;

pub(super) async fn run(app: &App, args: &Flip) -> Result<Outcome, Outcome> {
    let wish = args.lock.wish(Intent::Flip { to: args.to }, &[]);
    super::run::run(app, wish, None, args.lock.wait).await
}
