//! The note: what pointsman keeps beside a switch that is an API, where no guard keeps files. Each one that is written is
//! another than all before it, so that comparing it with what was read tells whether anybody wrote in between.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::compose::Release;
use crate::inventory::Pool;
use crate::observe::state::PoolClaim;
use crate::observe::{Owner, ServerState};

/// The format of notes that are written; a newer one is refused.
const FORMAT: u32 = 1;

/// What stands beside the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// [`FORMAT`].
    #[serde(rename = "pointsman")]
    format: u32,
    /// The app, and the environment: a note of another one is never written over.
    site: String,
    /// Notes that were written before this one.
    pub writes: u64,
    /// The fencing number; 0 where no run ever came.
    pub epoch: u64,
    /// The run that holds the lock, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What it wrote about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Pools that a run is changing, and which.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<Pool, String>,
    /// The release that each pool was last proven with, without what tells of its files: a note may be public.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proven: BTreeMap<Pool, Release>,
    /// Until when resolvers that keep to a TTL may still lead clients to a pool, by the operator's clock.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cached: BTreeMap<Pool, Timestamp>,
    /// Until when answers may be kept that were given out with a TTL that was lowered since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_until: Option<Timestamp>,
    /// Pools whose hosts were told to hand requests on to the other pool, and not yet to stop.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub handing_on: BTreeSet<Pool>,
}

impl Note {
    /// One that says nothing yet.
    pub fn new(site: &str) -> Note {
        Note {
            format: FORMAT,
            site: site.to_owned(),
            writes: 0,
            epoch: 0,
            run: None,
            owner: None,
            claims: BTreeMap::new(),
            proven: BTreeMap::new(),
            cached: BTreeMap::new(),
            long_until: None,
            handing_on: BTreeSet::new(),
        }
    }

    /// Reads what stands there; nothing is a note that says nothing yet.
    ///
    /// # Errors
    /// In words, when it is no note of this environment, or of a newer pointsman.
    pub fn parse(text: Option<&str>, site: &str) -> Result<Note, String> {
        let Some(text) = text else {
            return Ok(Note::new(site));
        };
        let shown: String = text.chars().take(80).collect();
        let note: Note = serde_json::from_str(text).map_err(|error| {
            format!("expected a note of pointsman beside the switch, found {shown:?} ({error})")
        })?;
        if note.format > FORMAT {
            return Err(format!(
                "the note beside the switch has format {}, expected at most {FORMAT}: a newer pointsman wrote it",
                note.format
            ));
        }
        if note.site != site {
            return Err(format!(
                "the note beside the switch is of {}, expected one of {site}",
                note.site
            ));
        }
        Ok(note)
    }

    /// The text of the next note with this content.
    pub fn next(&self) -> (Note, String) {
        let mut note = self.clone();
        note.writes += 1;
        for release in note.proven.values_mut() {
            // A zone is public: nothing that tells of the files, or lets a guess at a secret be tried.
            release.env_keys.clear();
            release.env_sha256 = None;
            release.compose_sha256.clear();
        }
        let text = serde_json::to_string(&note).unwrap_or_default();
        (note, text)
    }

    /// As a server's state would say it.
    pub fn state(&self) -> ServerState {
        let claim = |run: &String| PoolClaim { run: run.clone() };
        ServerState {
            epoch: self.epoch,
            holder: self.run.clone(),
            owner: self.owner.clone(),
            claims: self
                .claims
                .iter()
                .map(|(pool, run)| (*pool, claim(run)))
                .collect(),
            proven: self.proven.clone(),
            ..ServerState::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_note_is_another_one() {
        let note = Note::new("shop/production");
        let (next, text) = note.next();
        assert_eq!(Note::parse(Some(&text), "shop/production"), Ok(next.clone()));
        assert_ne!(next.next().1, text);
        insta::assert_snapshot!(text, @r#"{"pointsman":1,"site":"shop/production","writes":1,"epoch":0}"#);
    }

    #[test]
    fn what_is_no_note_of_ours_is_said() {
        let wrong = |text| Note::parse(Some(text), "shop/production").expect_err("no note");
        insta::assert_snapshot!(wrong("v=spf1 -all"), @r#"expected a note of pointsman beside the switch, found "v=spf1 -all" (expected value at line 1 column 1)"#);
        insta::assert_snapshot!(wrong(r#"{"pointsman":2,"site":"shop/production","writes":1,"epoch":0}"#), @"the note beside the switch has format 2, expected at most 1: a newer pointsman wrote it");
        insta::assert_snapshot!(wrong(r#"{"pointsman":1,"site":"shop/staging","writes":1,"epoch":0}"#), @"the note beside the switch is of shop/staging, expected one of shop/production");
    }
}
