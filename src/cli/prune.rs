//! `pointsman prune`: a run for each pool, under the lock and the fence.

use super::context::App;
use super::outcome::Outcome;
use crate::inventory::Pool;
use crate::plan::Intent;
use crate::steps::End;

pub(super) async fn run(app: &App) -> Outcome {
    for pool in Pool::ALL {
        let outcome = super::run::run(app, Intent::Prune { pool }, None).await;
        if outcome.end != End::Done {
            return outcome;
        }
    }
    Outcome::done()
}
