//! `pointsman completions SHELL` and `pointsman man`

use clap::CommandFactory as _;

use super::args::{Cli, Completions, Man};
use super::outcome::Outcome;

pub(super) fn completions(args: &Completions) -> Outcome {
    clap_complete::generate(
        args.shell,
        &mut Cli::command(),
        "pointsman",
        &mut anstream::stdout(),
    );
    Outcome::done()
}

pub(super) fn man(args: &Man) -> Outcome {
    let written = match &args.output {
        Some(folder) => {
            std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        }
        None => clap_mangen::Man::new(Cli::command()).render(&mut anstream::stdout()),
    };
    match written {
        Ok(()) => Outcome::done(),
        Err(error) => Outcome::invalid(format!("the manual could not be written: {error}")),
    }
}
