//! `[migrate]`: what is run once per deploy before the cold pool starts.

use std::time::Duration;

/// The `[migrate]` table.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// Compose service whose image and settings run it.
    pub service: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Longest that it may take (default 10 min).
    pub timeout: Duration,
    /// Env variable of the env file that holds the database's URL (default `DATABASE_URL`).
    pub database_url: String,
    /// Longest to wait until the database accepts connections (default 30 s).
    pub wait: Duration,
}
