//! How a plan is shown to people.

use std::fmt;

use super::Plan;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let old = self
            .old
            .as_ref()
            .map_or("nothing on record", |release| release.tag.as_str());
        writeln!(
            f,
            "{} of {} in {}: {} ({old}) is hot",
            self.intent.command(),
            self.app,
            self.environment,
            self.from
        )?;
        if let Some(how) = &self.how {
            writeln!(f, "{how}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        let width = self
            .steps
            .iter()
            .map(|step| step.action.name().len())
            .max()
            .unwrap_or(0);
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(
                f,
                "{:>3}. {:width$}  {}",
                number + 1,
                step.action.name(),
                step.words
            )?;
            writeln!(f, "     {:width$}  on {}", "", step.targets.join(", "))?;
        }
        writeln!(f, "release {}", self.release.id)?;
        for image in &self.release.images {
            writeln!(f, "  {}  {}@{}", image.service, image.reference, image.digest)?;
        }
        Ok(())
    }
}
