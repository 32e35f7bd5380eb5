//! DigitalOcean's DNS by its API, version 2: records with ids, changed one by one.
//!
//! What it gives: little. There is no batch, so a change of several records is *not* made as one, and there is no
//! comparison: fencing is *none*.
//! - Two runs that both read before either writes can both write; the records of one may end up with the note of the
//!   other. The window is as long as the whole change: one request for each record that differs.
//! - A change that breaks off in the middle leaves some records changed and others not. That is told as in doubt, never
//!   as refused, and says which requests were done.
//!
//! What is made sure by order: the note is written first, so whoever reads it knows of the change that is under way.
//! Then addresses are changed in their place, then missing ones are made, and only then surplus ones are taken away: the
//! name has a record at every moment, and no resolver ever keeps a negative answer. In between, addresses of both pools
//! are given out. A CNAME cannot stand beside addresses, and no document says that a record may change its type in its
//! place; so a change between the two is refused before anything is sent, rather than made with a gap.

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde_json::{Value as Json, json};

use super::web::sets::{self, Record};
use super::web::{Fault, Key, Provider, Web};
use super::{Kind, RecordSet, Replace, Zone};
use crate::inventory::provider::Token;
use crate::switch::Finding;
use crate::switch::api::ApiError;

const DIGITALOCEAN: Provider = Provider {
    name: "DigitalOcean",
    endpoint: Some("https://api.digitalocean.com"),
    key: Key::Bearer,
    credentials: "make a token with the scopes domain:read, domain:create, domain:update and domain:delete, \
                  and let `token` be it",
    zone: "let `zone` be a domain of this account: `doctl compute domain list`",
};

/// The limit is in no document; others found 512 characters with quotes and escapes, which may double a text.
const LONGEST_TEXT: usize = 250;

/// The lowest TTL that it takes, in seconds.
const LOWEST_TTL: u32 = 30;

/// Records in one answer: the most that it gives.
const PAGE: usize = 200;

/// One domain of one account.
pub struct Digitalocean {
    web: Web,
    zone: String,
}

/// One request of a change.
struct Call<'a> {
    method: Method,
    id: Option<&'a str>,
    /// What the record is to be; `None` where it is taken away.
    record: Option<Wanted<'a>>,
    /// For messages: `A 192.0.2.1 at www.example.com`.
    what: String,
}

#[derive(Clone, Copy)]
struct Wanted<'a> {
    name: &'a str,
    kind: Kind,
    ttl: u32,
    value: &'a str,
}

impl Digitalocean {
    /// The domain `zone` of the account that the token belongs to. Nothing is sent.
    ///
    /// # Errors
    /// [`ApiError::Refused`] where the settings cannot be used.
    pub fn new(settings: &Token, zone: &str) -> Result<Digitalocean, ApiError> {
        Ok(Digitalocean {
            web: Web::new(&DIGITALOCEAN, settings)?,
            zone: sets::name(zone),
        })
    }

    /// All records of known types at these names, asked name by name.
    async fn find(&self, names: &[&str]) -> Result<Vec<Record>, ApiError> {
        let mut records = Vec::new();
        for name in names {
            for page in 1.. {
                let (most, number) = (PAGE.to_string(), page.to_string());
                let query = [("name", *name), ("per_page", &*most), ("page", &*number)];
                let path = ["v2", "domains", &self.zone, "records"];
                let answer = self.web.ask(&path, &query).await;
                let answer = answer.map_err(|fault| self.web.told(fault))?;
                let Some(found) = answer["domain_records"].as_array() else {
                    return Err(self.web.strange("expected records of DigitalOcean, found none"));
                };
                let found = found.iter().filter_map(|record| self.record(record));
                records.extend(found.filter(|record| record.name == *name));
                // The link itself is not followed: the token goes nowhere but to `endpoint`.
                if !answer["links"]["pages"]["next"].is_string() {
                    break;
                }
            }
        }
        Ok(records)
    }

    /// A record as it writes them: names without the zone, `@` for the zone itself.
    fn record(&self, json: &Json) -> Option<Record> {
        let kind = json["type"].as_str().and_then(sets::kind)?;
        let name = match json["name"].as_str()? {
            "@" => self.zone.clone(),
            name => format!("{}.{}", sets::name(name), self.zone),
        };
        let data = match json["data"].as_str()? {
            "@" if kind == Kind::Cname => &self.zone,
            data => data,
        };
        Some(Record {
            id: json["id"].as_u64()?.to_string(),
            name,
            kind,
            ttl: json["ttl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok())?,
            value: sets::value(kind, data),
        })
    }

    fn body(&self, wanted: &Wanted<'_>) -> Json {
        let name = match wanted.name.strip_suffix(&self.zone) {
            Some("") | None => "@",
            Some(label) => label.trim_end_matches('.'),
        };
        let data = match wanted.kind {
            Kind::Cname => format!("{}.", wanted.value),
            _ => wanted.value.to_owned(),
        };
        json!({ "type": wanted.kind.as_str(), "name": name, "data": data, "ttl": wanted.ttl })
    }

    async fn make(&self, call: &Call<'_>) -> Result<(), ApiError> {
        let mut path = vec!["v2", "domains", &self.zone, "records"];
        path.extend(call.id);
        let body = call.record.as_ref().map(|wanted| self.body(wanted));
        let answer = self.web.change(&call.method, &path, body.as_ref()).await;
        let answer = answer.map_err(|fault| match fault {
            Fault::Said(said) if said.status == StatusCode::NOT_FOUND && call.id.is_some() => {
                ApiError::Stale {
                    problem: format!("the record of {} is gone", call.what),
                }
            }
            fault => self.web.told(fault),
        })?;
        let Some(wanted) = &call.record else {
            return Ok(());
        };
        // It does not keep every text as it was given, and may not keep every type.
        let kept = self.record(&answer["domain_record"]);
        let same = kept.as_ref().is_some_and(|kept| {
            kept.name == wanted.name
                && kept.kind == wanted.kind
                && kept.value == wanted.value
                && kept.ttl == wanted.ttl
        });
        if same {
            return Ok(());
        }
        let kept = kept.map_or_else(
            || "no record".to_owned(),
            |kept| format!("{} {}", kept.kind, sets::shown(&[kept.value])),
        );
        Err(ApiError::InDoubt {
            problem: format!("{}: wrote {}, and it answers {kept}", self.web.at, call.what),
        })
    }
}

#[async_trait]
impl Zone for Digitalocean {
    async fn read(&self, names: &[&str]) -> Result<Vec<RecordSet>, ApiError> {
        Ok(sets::together(&self.find(names).await?))
    }

    async fn replace(&self, sets: &[Replace]) -> Result<(), ApiError> {
        sets::all_within(&self.zone, sets)?;
        let mut new = sets.iter().filter_map(|replace| replace.new.as_ref());
        if let Some(set) = new.find(|set| set.ttl < LOWEST_TTL) {
            return Err(self.web.refused(
                format!("TTL {} s of {} is too low for it", set.ttl, set.name),
                "give a TTL of 30 s or more",
            ));
        }
        let found = self.find(&sets::names(sets)).await?;
        sets::compare(sets, &sets::together(&found))?;
        if let Some(name) = sets::changes_type(sets) {
            return Err(self.web.refused(
                format!(
                    "a change between CNAME and addresses would leave {name} without a record for a moment"
                ),
                "let both pools have addresses, or both a CNAME",
            ));
        }
        let calls = calls(sets, &found);
        for (done, call) in calls.iter().enumerate() {
            let Err(error) = self.make(call).await else {
                continue;
            };
            if done == 0 {
                return Err(error);
            }
            let made: Vec<&str> = calls[..done].iter().map(|call| call.what.as_str()).collect();
            return Err(ApiError::InDoubt {
                problem: format!(
                    "{done} of {} records were changed ({}), then not {}: {error}",
                    calls.len(),
                    made.join("; "),
                    call.what
                ),
            });
        }
        Ok(())
    }

    fn longest_text(&self) -> usize {
        LONGEST_TEXT
    }

    async fn doctor(&self) -> Vec<Finding> {
        let looked = self.find(&[&self.zone]).await.map(drop);
        vec![self.web.finding(looked, &format!("domain {}", self.zone))]
    }
}

/// The requests, in the order of this module's promise.
fn calls<'a>(sets: &'a [Replace], found: &'a [Record]) -> Vec<Call<'a>> {
    let (mut texts, mut puts, mut posts, mut deletes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
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
        let steps = sets::steps(&old, values, ttl);
        let what = |value: &str| format!("{kind} {} at {name}", sets::shown(&[value.to_owned()]));
        let wanted = |value: &'a str| Wanted {
            name,
            kind,
            ttl,
            value,
        };
        let update = steps.update.iter().map(|(record, value)| Call {
            method: Method::PUT,
            id: Some(&record.id),
            record: Some(wanted(value)),
            what: what(value),
        });
        let create = steps.create.iter().map(|value| Call {
            method: Method::POST,
            id: None,
            record: Some(wanted(value)),
            what: what(value),
        });
        let delete = steps.delete.iter().map(|record| Call {
            method: Method::DELETE,
            id: Some(&record.id),
            record: None,
            what: format!("no {}", what(&record.value)),
        });
        if kind == Kind::Txt {
            texts.extend(update.chain(create).chain(delete));
        } else {
            puts.extend(update);
            posts.extend(create);
            deletes.extend(delete);
        }
    }
    texts.extend(puts);
    texts.extend(posts);
    texts.extend(deletes);
    texts
}
