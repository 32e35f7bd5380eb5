//! The keys, and the lock's text.
//!
//! `/pointsman/APP/ENV/lock` holds the epoch and who has the lock; `.../heartbeat` what the holder does,
//! under a lease; `.../journal/RUN/SEQ` one line each, the number padded so that keys sort as lines do.

use serde::{Deserialize, Serialize};

use super::problem::Fault;
use crate::state::rules::Kept;
use crate::state::{Site, StoreError};

/// The lock's format; a newer one is refused.
const FORMAT: u32 = 1;

/// The keys of one environment. Names of apps and environments hold no `/`.
pub(super) struct Keys {
    pub(super) lock: String,
    pub(super) heartbeat: String,
    /// What the keys of all lines begin with.
    pub(super) journals: String,
}

impl Keys {
    pub(super) fn new(site: &Site) -> Keys {
        let base = format!("/pointsman/{}/{}", site.app, site.env);
        Keys {
            lock: format!("{base}/lock"),
            heartbeat: format!("{base}/heartbeat"),
            journals: format!("{base}/journal/"),
        }
    }

    /// What the keys of a run's lines begin with.
    pub(super) fn lines_of(&self, run: &str) -> String {
        format!("{}{run}/", self.journals)
    }

    pub(super) fn line(&self, run: &str, seq: u64) -> String {
        // 20 digits are the longest that a u64 has.
        format!("{}{seq:020}", self.lines_of(run))
    }

    /// The run that a line's key is of.
    pub(super) fn run_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&self.journals)?
            .rsplit_once('/')
            .map(|(run, _)| run)
    }
}

/// What the lock's key holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    v: u32,
    epoch: u64,
    run: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    owner: String,
}

impl Stored {
    pub(super) fn read(text: &str) -> Result<Stored, Fault> {
        let refused = |problem: String, hint: &str| {
            Fault::from(StoreError::Refused {
                problem: format!("etcd: {problem}"),
                hint: hint.to_owned(),
            })
        };
        // First only the format: a newer one may have any other field.
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        match serde_json::from_str::<Versioned>(text) {
            Ok(Versioned { v }) if v > FORMAT => {
                return Err(refused(
                    format!("the lock has format {v}; this pointsman knows up to {FORMAT}"),
                    "install the pointsman that the others use",
                ));
            }
            Ok(_) | Err(_) => {}
        }
        serde_json::from_str(text).map_err(|error| {
            refused(
                format!("the lock's key does not hold what pointsman writes: {error}"),
                "somebody else wrote there: look at it with `etcdctl get --prefix /pointsman/`",
            )
        })
    }

    pub(super) fn text(&self) -> String {
        // Numbers and strings only: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl From<&Kept> for Stored {
    fn from(kept: &Kept) -> Stored {
        Stored {
            v: FORMAT,
            epoch: kept.epoch,
            run: kept.run.clone(),
            owner: kept.owner.clone(),
        }
    }
}

impl From<Stored> for Kept {
    fn from(stored: Stored) -> Kept {
        Kept {
            epoch: stored.epoch,
            run: stored.run,
            owner: stored.owner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_lines_do_and_say_their_run() {
        let keys = Keys::new(&Site {
            app: "shop".to_owned(),
            env: "production".to_owned(),
        });
        assert_eq!(keys.lock, "/pointsman/shop/production/lock");
        let (nine, ten) = (keys.line("r1", 9), keys.line("r1", 10));
        assert!(nine < ten && keys.line("r1", u64::MAX) > ten);
        assert_eq!(keys.run_of(&ten), Some("r1"));
        assert_eq!(keys.run_of("/else"), None);
    }

    #[test]
    fn the_lock_reads_what_it_wrote_and_refuses_what_it_does_not_know() {
        let kept = Kept {
            epoch: 7,
            run: Some("r1".to_owned()),
            owner: "{\"run\":\"r1\"}".to_owned(),
        };
        let read = |text: &str| Stored::read(text).map(Kept::from);
        assert_eq!(read(&Stored::from(&kept).text()).ok(), Some(kept));
        assert_eq!(
            read(&Stored::from(&Kept::default()).text()).ok(),
            Some(Kept::default())
        );
        for (text, words) in [
            (r#"{"v":2,"leader":{}}"#, "format 2"),
            (r#"{"v":1,"epoch":-1,"run":null}"#, "does not hold"),
            ("", "does not hold"),
        ] {
            let said = read(text).err().map(|fault| fault.verdict("", "").to_string());
            assert!(said.as_ref().is_some_and(|said| said.contains(words)), "{said:?}");
        }
    }
}
