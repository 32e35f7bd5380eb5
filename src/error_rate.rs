//! When errors have risen: what a watch over a release and a bake after a flip decide by.

use std::collections::VecDeque;

/// So many of the last outcomes are looked at. At the prober's usual 50 requests a second they are less than half a
/// second, so a decision is made within that time.
const WINDOW: usize = 20;
/// So many failures among them are no accident: one request lost on the way to a router must not move traffic.
const RISEN: usize = 4;

/// The last outcomes of one kind of request.
#[derive(Debug, Clone, Default)]
pub struct ErrorRate {
    last: VecDeque<Option<String>>,
    risen: Option<String>,
}

impl ErrorRate {
    /// One more outcome: what went wrong, if anything did.
    pub fn add(&mut self, problem: Option<String>) {
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.last.push_back(problem);
        let problems: Vec<&String> = self.last.iter().flatten().collect();
        if let (None, RISEN.., Some(newest)) = (&self.risen, problems.len(), problems.last()) {
            let (bad, all) = (problems.len(), self.last.len());
            self.risen = Some(format!("{bad} of {all} requests failed, at last: {newest}"));
        }
    }

    /// What was seen when errors rose, if they ever did.
    pub fn risen(&self) -> Option<&str> {
        self.risen.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risen(outcomes: impl IntoIterator<Item = bool>) -> Option<String> {
        let mut rate = ErrorRate::default();
        for good in outcomes {
            rate.add((!good).then(|| "status 500".to_owned()));
        }
        rate.risen().map(str::to_owned)
    }

    #[test]
    fn a_few_together_are_a_rise_and_stay_one() {
        assert_eq!(risen([true, false, false, true, false]), None);
        let words = "4 of 6 requests failed, at last: status 500";
        assert_eq!(
            risen([true, false, false, true, false, false]).as_deref(),
            Some(words)
        );
        let then_well = [false; 4].into_iter().chain([true; 100]);
        assert!(risen(then_well).is_some(), "it is not forgotten");
    }

    #[test]
    fn now_and_then_is_none() {
        assert_eq!(risen((0..1000).map(|n| n % 7 != 0)), None);
    }
}
