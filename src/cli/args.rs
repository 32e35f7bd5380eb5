//! What can be typed. The arguments' docs are the help.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::inventory::{Pool, parse_duration};
use crate::plan::{Intent, Wish};
use crate::simulate::Protection;

/// Blue/green deploys over SSH: deploy to the cold pool, prove it, flip, roll back at once
#[derive(Debug, Parser)]
#[command(
    name = "pointsman",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(super) struct Cli {
    /// The environment: `production` means inventory/production.toml
    #[arg(short, long, global = true, value_name = "ENV", env = "POINTSMAN_ENV")]
    pub env: Option<String>,
    /// An inventory file, instead of an environment's name
    #[arg(short, long, global = true, value_name = "FILE", conflicts_with = "env")]
    pub inventory: Option<Utf8PathBuf>,
    /// One JSON event per line on standard output; the last one is `finished`
    #[arg(long, global = true)]
    pub json: bool,
    /// More words: each progress of each host
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Fewer words: failures, the receipt and the last line
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Write the run's receipt into this file, as JSON
    #[arg(long, global = true, value_name = "FILE")]
    pub receipt: Option<Utf8PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check the inventory, offline; report every mistake with its place
    Validate(Validate),
    /// Look at every server, router and the registry; say what is missing and how to mend it
    Doctor,
    /// Say which pool is hot as read from each router, and how every host is
    Status,
    /// Show the steps that `deploy TAG` would take now
    Plan(Plan),
    /// Deploy a tag to the cold pool, prove it, and make it hot
    Deploy(Deploy),
    /// Make the proven cold pool hot
    Flip(Flip),
    /// Go back to the standby, or to a retained release
    Rollback(Rollback),
    /// Finish an unfinished run, from any machine
    Resume(TakeOver),
    /// Undo an unfinished run, from any machine
    Abort(TakeOver),
    /// List past runs, or show one
    History(History),
    /// List the releases that could be rolled back to
    Releases,
    /// Play runs that die, race and lose messages against the real planner, on this inventory; touches no server
    Simulate(Simulate),
    /// Look at, take or give back the environment's lock
    Lock(Lock),
    /// Show the last log lines of the containers
    Logs(Logs),
    /// Run a command in a container on each host
    Exec(Exec),
    /// Remove old releases and their images
    Prune,
    /// Work with the switch
    Switch(Switch),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write the manual pages
    Man(Man),
}

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Print the inventory's JSON Schema, for editors, instead
    #[arg(long)]
    pub schema: bool,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    /// The tag to deploy
    pub tag: String,
    /// Keep the plan, for `deploy --plan FILE`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<Utf8PathBuf>,
    /// Plan a deploy that stops at a proven cold pool
    #[arg(long)]
    pub no_flip: bool,
    /// Plan a deploy without this host of the cold pool
    #[arg(long, value_name = "HOST")]
    pub without: Vec<String>,
    /// A variable that the hot release has and this one is meant not to have
    #[arg(long, value_name = "NAME")]
    pub drop_env: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Deploy {
    /// The tag to deploy
    #[arg(required_unless_present = "plan", conflicts_with = "plan")]
    pub tag: Option<String>,
    /// Stop at a proven cold pool; `flip` then makes it hot
    #[arg(long)]
    pub no_flip: bool,
    /// Leave this host of the cold pool out: no router sends it requests until a deploy with it succeeds
    #[arg(long, value_name = "HOST")]
    pub without: Vec<String>,
    /// A variable that the hot release has and this one is meant not to have
    #[arg(long, value_name = "NAME", conflicts_with = "plan")]
    pub drop_env: Vec<String>,
    /// Execute a plan that `plan -o FILE` kept; refused when the world has changed since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_flip", "without"])]
    pub plan: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub lock: LockArgs,
}

/// What to do where another run holds the lock.
#[derive(Debug, Default, Args)]
pub(super) struct LockArgs {
    /// Wait for the lock while another run holds it: so long (`10m`), or a day
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true,
          default_missing_value = "24h", value_parser = duration)]
    pub wait: Option<Duration>,
    /// Take the lock over from this run, and fence it
    #[arg(long, value_name = "RUN")]
    pub steal: Option<String>,
}

impl LockArgs {
    /// What is wanted, by the leave that was given.
    pub(super) fn wish(&self, intent: Intent, without: &[String]) -> Wish {
        Wish {
            steal: self.steal.clone(),
            without: without.to_vec(),
            ..Wish::from(intent)
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// How many seeds to play
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub from: u64,
    /// Play this seed alone, and tell what happens in it
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from"])]
    pub seed: Option<u64>,
    /// Take a protection out, to see what it is for: this must find something
    #[arg(long, value_name = "PROTECTION")]
    pub without: Option<Protection>,
}

#[derive(Debug, Args)]
pub(super) struct TakeOver {
    /// The run, which is then taken over at once; without it, the one that holds the lock, once it is silent
    pub run: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Flip {
    /// The pool to make hot; needed where the routers disagree
    #[arg(long, value_name = "POOL", value_parser = pool)]
    pub to: Option<Pool>,
    #[command(flatten)]
    pub lock: LockArgs,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The release to go back to, by its tag; the standby otherwise
    pub tag: Option<String>,
    /// Where the release has to be started again: leave this host of the pool out
    #[arg(long, value_name = "HOST")]
    pub without: Vec<String>,
    #[command(flatten)]
    pub lock: LockArgs,
}

#[derive(Debug, Args)]
pub(super) struct History {
    /// The run to show
    pub run: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Lock {
    #[command(subcommand)]
    pub command: LockCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum LockCommand {
    /// Say who holds the lock
    Status,
    /// Take the lock by hand: no run starts until it is released
    Acquire {
        /// Why, for those who find it locked
        #[arg(short, long)]
        message: String,
    },
    /// Give back a lock: one taken by hand, or one that a dead run left
    Release {
        /// The run that holds it, when it was not taken by hand
        run: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Only this service
    pub service: Option<String>,
    /// Only this pool; the hot one otherwise
    #[arg(long, value_name = "POOL", value_parser = pool)]
    pub pool: Option<Pool>,
    /// Only this host
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Lines of each container
    #[arg(short = 'n', long, default_value_t = 50)]
    pub lines: u32,
}

#[derive(Debug, Args)]
pub(super) struct Exec {
    /// The Compose service in whose container it runs
    pub service: String,
    /// Only on the first host
    #[arg(long)]
    pub once: bool,
    /// The pool; the hot one otherwise
    #[arg(long, value_name = "POOL", value_parser = pool)]
    pub pool: Option<Pool>,
    /// Only this host
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Longest that it may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Switch {
    #[command(subcommand)]
    pub command: SwitchCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SwitchCommand {
    /// Print the router configuration that pointsman needs
    Config,
    /// List the connectors: how each is fenced, what it can do, what it was proven against
    List,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write one page per command into this folder; the main page goes to standard output otherwise
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<Utf8PathBuf>,
}

fn pool(word: &str) -> Result<Pool, String> {
    Pool::ALL
        .into_iter()
        .find(|pool| pool.as_str() == word)
        .ok_or_else(|| "expected blue or green".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("expected a duration like 30s, 10m or 2h, found {text:?}"))
}
