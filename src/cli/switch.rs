//! `pointsman switch`: the router configuration, and the connectors.

use super::args::{Switch, SwitchCommand};
use super::context::App;
use super::outcome::Outcome;
use crate::switch::{CONNECTORS, api_for, connector_for};

pub(super) fn run(app: &App, args: &Switch) -> Result<Outcome, Outcome> {
    match args.command {
        SwitchCommand::Config => {
            let inventory = app.inventory()?;
            let config = match (connector_for(&inventory), api_for(&inventory)?) {
                (Some(connector), _) => connector.config(&inventory),
                (None, Some(api)) => api.config(&inventory),
                (None, None) => String::new(),
            };
            app.data("switch_config", &config, &config);
            Ok(Outcome::done())
        }
        SwitchCommand::List => {
            app.data("switch_list", &CONNECTORS, &table());
            Ok(Outcome::done())
        }
    }
}

/// The connectors, a line each, in columns.
fn table() -> String {
    let yes = |can: bool| if can { "yes" } else { "no" };
    let heads = [
        "CONNECTOR",
        "FENCING",
        "CANARY",
        "DRAIN COUNT",
        "LEAVES OUT",
        "A CLIENT MOVES",
        "PROVEN AGAINST",
    ];
    let mut rows = vec![heads];
    rows.extend(CONNECTORS.map(|about| {
        [
            about.connector,
            about.fencing.words(),
            yes(about.canary),
            about.drain.words(),
            yes(about.leaves_out),
            about.all_moved,
            about.proven,
        ]
    }));
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default())
        .collect();
    let line = |row: &[&str; 7]| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
