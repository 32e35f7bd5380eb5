//! `pointsman prune`: a run for each pool, under the lock and the fence.

use super::context::App;
use super::outcome::Outcome;
use crate::inventory::Pool;
use crate::plan::Intent;

pub(super) async fn run(app: &App) -> Result<Outcome, Outcome> {
    for pool in Pool::ALL {
        super::run::run(app, Intent::Prune { pool }.into(), None, None).await?;
    }
    Ok(Outcome::done())
}
