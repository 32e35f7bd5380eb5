//! Cloudflare's DNS by its API, version 4: records with ids, and one batch for all changes.
//!
//! What it gives: a batch is made in one database transaction; where one of its parts fails, none is made.
//!
//! **A comparison of ids.** Every change takes away all records of each text set (the note) by their ids and writes them
//! anew, even where the text stays the same: a note is used up by the first change that read it. Cloudflare fails a batch
//! that deletes an id that is gone, so of two runs that read the same note only one succeeds, and the other is told that
//! it is stale, however late it comes. This covers all that pointsman writes, since its every change carries the note.
//! It does not cover
//! - the first note of all: nothing stands there to be used up, so two runs that both begin can both succeed, and two
//!   notes stand there;
//! - edits in place by somebody else (the dashboard, another tool): they keep the id. Those are seen only if they come
//!   before this change reads.
//!
//! **No gap of its own making.** The database is changed at once, but its changes then reach Cloudflare's servers record
//! by record ("the propagation of changes is not atomic", say its documents on batches). So an address is changed in its
//! place, by its id, and never deleted and made anew; some servers may give out addresses of both pools for a moment.
//! Where a CNAME took the place of addresses, or they its, one would have to go before the other comes, and a server of
//! theirs might answer for a moment that there is none: such a change is refused.

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

use super::web::sets::{self, Record};
use super::web::{Fault, Key, Provider, Web, text};
use super::{Kind, RecordSet, Replace, Zone};
use crate::inventory::provider::Token;
use crate::switch::Finding;
use crate::switch::api::ApiError;

const CLOUDFLARE: Provider = Provider {
    name: "Cloudflare",
    endpoint: Some("https://api.cloudflare.com/client/v4"),
    key: Key::Bearer,
    credentials: "make a token with the permissions Zone:Read and DNS:Edit for this zone, and let `token` be it",
    zone: "let `zone` be a zone of this account, and let the token have the permission Zone:Read for it",
};

/// Until 2026 a record took 2,048 characters, as documented; by now 4,096 bytes as sent over DNS. With the quotes of its
/// eight strings this stays below both.
const LONGEST_TEXT: usize = 2_000;

/// What the TTL 1 ("automatic") stands for, in seconds.
const AUTOMATIC: u32 = 300;

/// Records in one answer.
const PAGE: &str = "100";

/// The credentials were refused: bad format of a header (6003, 6111), no credentials (9106), not allowed (9109), unknown
/// (10000).
const CREDENTIALS: [i64; 5] = [6003, 6111, 9106, 9109, 10000];

/// Somebody else wrote: the record is gone (81044), or stands there already (81057, 81058).
const STALE: [i64; 3] = [81044, 81057, 81058];

/// Nothing is at this path: the id of the zone is none (any more).
const NO_ROUTE: [i64; 2] = [7000, 7003];

/// One zone of one account.
pub struct Cloudflare {
    web: Web,
    zone: String,
    /// Its id at Cloudflare, once asked for: it never changes.
    id: OnceCell<String>,
}

impl Cloudflare {
    /// The zone `zone` of the account that the token belongs to. Nothing is sent.
    ///
    /// # Errors
    /// [`ApiError::Refused`] where the settings cannot be used.
    pub fn new(settings: &Token, zone: &str) -> Result<Cloudflare, ApiError> {
        Ok(Cloudflare {
            web: Web::new(&CLOUDFLARE, settings)?,
            zone: sets::name(zone),
            id: OnceCell::new(),
        })
    }

    /// Cloudflare's errors have numbers that say more than the status.
    fn told(&self, fault: Fault) -> ApiError {
        let Fault::Said(said) = fault else {
            return self.web.told(fault);
        };
        let codes = said.codes();
        let any = |of: &[i64]| codes.iter().any(|code| of.contains(code));
        // A server's error says nothing of what was done, whatever number it has.
        if said.status.is_server_error() {
            return self.web.told(Fault::Said(said));
        }
        if any(&STALE) {
            return ApiError::Stale {
                problem: "records that were to be replaced are gone or were written meanwhile".to_owned(),
            };
        }
        if any(&CREDENTIALS) {
            return self.web.no_credentials(&said);
        }
        if any(&NO_ROUTE) || said.status == StatusCode::NOT_FOUND {
            return self.web.no_zone(&self.zone);
        }
        self.web.told(Fault::Said(said))
    }

    /// The result of an answer, which says itself whether it is a success.
    fn result(&self, answer: Result<Json, Fault>, changes: bool) -> Result<Json, ApiError> {
        let answer = answer.map_err(|fault| self.told(fault))?;
        match answer["success"].as_bool() {
            Some(true) => Ok(answer),
            // Its errors come with a status of their own; one that says yes and no at once is neither.
            _ if changes => Err(ApiError::InDoubt {
                problem: format!("{}: expected success or errors, found neither", self.web.at),
            }),
            _ => Err(self
                .web
                .strange("expected an answer of Cloudflare, found something else")),
        }
    }

    async fn id(&self) -> Result<&str, ApiError> {
        let id = self.id.get_or_try_init(async || {
            let answer = self.web.ask(&["zones"], &[("name", &self.zone)]).await;
            let answer = self.result(answer, false)?;
            let zones = answer["result"].as_array().into_iter().flatten();
            let mut named = zones.filter(|zone| zone["name"] == self.zone.as_str());
            let id = named.next().and_then(|zone| zone["id"].as_str());
            id.map(str::to_owned).ok_or_else(|| self.web.no_zone(&self.zone))
        });
        id.await.map(String::as_str)
    }

    /// All records of known types at these names, asked name by name.
    async fn find(&self, names: &[&str]) -> Result<Vec<Record>, ApiError> {
        let id = self.id().await?;
        let mut records = Vec::new();
        for name in names {
            let mut page = 1u64;
            loop {
                let number = page.to_string();
                let query = [("name", *name), ("per_page", PAGE), ("page", &number)];
                let answer = self.web.ask(&["zones", id, "dns_records"], &query).await;
                let answer = self.result(answer, false)?;
                let Some(result) = answer["result"].as_array() else {
                    return Err(self.web.strange("expected records of Cloudflare, found none"));
                };
                for record in result {
                    records.extend(self.take(name, record)?);
                }
                let pages = answer["result_info"]["total_pages"].as_u64().unwrap_or(1);
                if page >= pages {
                    break;
                }
                page += 1;
            }
        }
        Ok(records)
    }

    fn take(&self, wanted: &str, record: &Json) -> Result<Option<Record>, ApiError> {
        let known = (
            record["id"].as_str(),
            record["name"].as_str().map(sets::name),
            record["type"].as_str().and_then(sets::kind),
            record["content"].as_str(),
        );
        let (Some(id), Some(name), Some(kind), Some(content)) = known else {
            return Ok(None);
        };
        if name != wanted {
            return Ok(None);
        }
        if record["proxied"] == true {
            return Err(self.web.refused(
                format!("{kind} of {name} is proxied: Cloudflare answers with its own addresses, and a change of the record is not seen in DNS"),
                "set the record to \"DNS only\", or let pointsman switch behind it",
            ));
        }
        let content = match kind {
            Kind::Txt => text::plain(content),
            _ => content.to_owned(),
        };
        let ttl = record["ttl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok());
        Ok(Some(Record {
            id: id.to_owned(),
            name,
            kind,
            ttl: match ttl.unwrap_or_default() {
                1 => AUTOMATIC,
                ttl => ttl,
            },
            value: sets::value(kind, &content),
        }))
    }
}

#[async_trait]
impl Zone for Cloudflare {
    async fn read(&self, names: &[&str]) -> Result<Vec<RecordSet>, ApiError> {
        Ok(sets::together(&self.find(names).await?))
    }

    async fn replace(&self, sets: &[Replace]) -> Result<(), ApiError> {
        sets::all_within(&self.zone, sets)?;
        let mut new = sets.iter().filter_map(|replace| replace.new.as_ref());
        if let Some(set) = new.find(|set| set.ttl == 1) {
            return Err(self.web.refused(
                format!(
                    "TTL 1 of {} means automatic there, which is {AUTOMATIC} s",
                    set.name
                ),
                "give a TTL of 60 s or more",
            ));
        }
        let found = self.find(&sets::names(sets)).await?;
        sets::compare(sets, &sets::together(&found))?;
        if let Some(name) = sets::changes_type(sets) {
            return Err(self.web.refused(
                format!(
                    "a change between CNAME and addresses may leave {name} without a record for a moment"
                ),
                "let both pools have addresses, or both a CNAME",
            ));
        }
        let Some(batch) = batch(sets, &found) else {
            return Ok(());
        };
        let path = ["zones", self.id().await?, "dns_records", "batch"];
        let answer = self.web.change(&Method::POST, &path, Some(&batch)).await;
        self.result(answer, true).map(drop)
    }

    fn longest_text(&self) -> usize {
        LONGEST_TEXT
    }

    async fn doctor(&self) -> Vec<Finding> {
        let looked = self.find(&[&self.zone]).await.map(drop);
        vec![self.web.finding(looked, &format!("zone {}", self.zone))]
    }
}

/// All changes as one batch; `None` where nothing changes.
fn batch(sets: &[Replace], found: &[Record]) -> Option<Json> {
    let stands = sets::together(found);
    let changes = sets.iter().any(|replace| {
        let stands = |set: &RecordSet| {
            stands.iter().any(|s| {
                s.name == set.name && s.kind == set.kind && s.ttl == set.ttl && s.values == set.values
            })
        };
        match (&replace.old, &replace.new) {
            (Some(_), None) => true,
            (_, Some(new)) => !stands(new),
            (None, None) => false,
        }
    });
    if !changes {
        return None;
    }
    let (mut deletes, mut patches, mut posts) = (Vec::new(), Vec::new(), Vec::new());
    for replace in sets {
        let Some((name, kind)) = sets::place(replace) else {
            continue;
        };
        let old: Vec<&Record> = found
            .iter()
            .filter(|r| r.name == name && r.kind == kind)
            .collect();
        let nothing = (&[][..], 0);
        let (values, ttl) = replace.new.as_ref().map_or(nothing, |new| (&new.values, new.ttl));
        let body = |value: &str| {
            let content = match kind {
                Kind::Txt => text::quoted(value),
                _ => value.to_owned(),
            };
            json!({ "name": name, "type": kind.as_str(), "content": content, "ttl": ttl, "proxied": false })
        };
        // The note's ids are what is compared; addresses stay where they are.
        let steps = if kind == Kind::Txt {
            sets::Steps {
                create: values.iter().map(String::as_str).collect(),
                delete: old,
                ..sets::Steps::default()
            }
        } else {
            sets::steps(&old, values, ttl)
        };
        deletes.extend(steps.delete.iter().map(|record| json!({ "id": record.id })));
        patches.extend(steps.update.iter().map(|(record, value)| {
            let mut body = body(value);
            body["id"] = Json::from(record.id.as_str());
            body
        }));
        posts.extend(steps.create.iter().map(|value| body(value)));
    }
    Some(json!({ "deletes": deletes, "patches": patches, "posts": posts }))
}
