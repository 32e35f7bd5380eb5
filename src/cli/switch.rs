//! `pointsman switch config`

use super::args::{Switch, SwitchCommand};
use super::context::App;
use super::outcome::Outcome;
use crate::switch::connector_for;

pub(super) fn run(app: &App, args: &Switch) -> Result<Outcome, Outcome> {
    let inventory = app.inventory()?;
    match args.command {
        SwitchCommand::Config => {
            let config = connector_for(&inventory).config(&inventory);
            app.data("switch_config", &config, &config);
            Ok(Outcome::done())
        }
    }
}
