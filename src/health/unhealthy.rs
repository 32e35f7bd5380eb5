//! Why a host is not healthy, explained as an operator would.

use std::fmt;
use std::time::Duration;

use super::diagnosis::Diagnosis;

/// Why a host is not healthy.
#[derive(Debug, Clone)]
pub struct Unhealthy {
    /// The host.
    pub host: String,
    /// The check that failed.
    pub check: String,
    /// What was expected.
    pub expected: String,
    /// What was found last.
    pub found: String,
    /// How its failed attempts ended, with their number.
    pub attempts: Vec<String>,
    /// How long was waited.
    pub waited: Duration,
    /// The service whose log is shown.
    pub service: Option<String>,
    /// Its last lines.
    pub logs: Vec<String>,
    /// What it comes from, where that is known.
    pub diagnosis: Option<Diagnosis>,
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unhealthy {
            host,
            check,
            expected,
            found,
            ..
        } = self;
        writeln!(
            f,
            "{host}: {check} is not healthy after {:.1} s",
            self.waited.as_secs_f64()
        )?;
        writeln!(f, "  {expected}")?;
        writeln!(f, "  found    {found}")?;
        if !self.attempts.is_empty() {
            writeln!(f, "  attempts {}", self.attempts.join(", "))?;
        }
        if let Some(diagnosis) = &self.diagnosis {
            writeln!(f, "  cause    {}", diagnosis.what)?;
            writeln!(f, "  cure     {}", diagnosis.cure)?;
        }
        if !self.logs.is_empty() {
            writeln!(
                f,
                "  last {} log lines of {}:",
                self.logs.len(),
                self.service.as_deref().unwrap_or("its services")
            )?;
            for line in &self.logs {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Unhealthy {}
