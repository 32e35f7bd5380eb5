//! The command line: one file per command. Errors become exit codes and hints only here.

mod args;
mod completions;
mod context;
mod deploy;
mod doctor;
mod exec;
mod flip;
mod history;
mod lock;
mod logs;
mod outcome;
mod pick;
mod plan;
mod prune;
mod releases;
mod resume;
mod rollback;
mod run;
mod simulate;
mod status;
mod switch;
mod validate;

use clap::Parser as _;

use args::{Cli, Command};
use context::App;
use outcome::Outcome;

/// Parses the arguments, runs the command and returns the exit code.
pub async fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows where each goes.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let app = App::new(&cli);
    let outcome = dispatch(&cli, &app).await.unwrap_or_else(|outcome| outcome);
    app.finish(outcome).await
}

async fn dispatch(cli: &Cli, app: &App) -> Result<Outcome, Outcome> {
    match &cli.command {
        Command::Validate(args) => validate::run(app, args),
        Command::Doctor => doctor::run(app).await,
        Command::Status => status::run(app).await,
        Command::Plan(args) => plan::run(app, args).await,
        Command::Deploy(args) => deploy::run(app, args).await,
        Command::Flip(args) => flip::run(app, args).await,
        Command::Rollback(args) => rollback::run(app, args).await,
        Command::Resume(args) => resume::resume(app, args).await,
        Command::Abort(args) => resume::abort(app, args).await,
        Command::History(args) => history::run(app, args).await,
        Command::Releases => releases::run(app).await,
        Command::Simulate(args) => simulate::run(app, args),
        Command::Lock(args) => lock::run(app, args).await,
        Command::Logs(args) => logs::run(app, args).await,
        Command::Exec(args) => exec::run(app, args).await,
        Command::Prune => prune::run(app).await,
        Command::Switch(args) => switch::run(app, args),
        Command::Completions(args) => Ok(completions::completions(args)),
        Command::Man(args) => Ok(completions::man(args)),
    }
}
