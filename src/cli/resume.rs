//! `pointsman resume [RUN]` and `pointsman abort [RUN]`.

use super::args::TakeOver;
use super::context::App;
use super::outcome::Outcome;
use crate::plan::Intent;

pub(super) async fn resume(app: &App, args: &TakeOver) -> Result<Outcome, Outcome> {
    super::run::take_over(app, args.run.as_deref(), |run| Intent::Resume { run }).await
}

pub(super) async fn abort(app: &App, args: &TakeOver) -> Result<Outcome, Outcome> {
    super::run::take_over(app, args.run.as_deref(), |run| Intent::Abort { run }).await
}
