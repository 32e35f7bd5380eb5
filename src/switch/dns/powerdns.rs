//! PowerDNS Authoritative by its HTTP API: record sets are read and replaced as sets, all in one request.
//!
//! What it gives: PowerDNS makes one PATCH in one transaction of its backend, so all sets change or none, and no answer
//! over DNS is empty in between; also not where an address takes the place of a CNAME.
//!
//! What it does not give:
//! - A comparison. A change is read, compared and written in two requests, so fencing is *none*. Of two runs that both
//!   read before either writes, both succeed, and the later write stands, with its note: the earlier run learns of it
//!   when it reads back. The window is the time between two requests, milliseconds mostly; a run that was stopped within
//!   it (a suspended laptop) can still write later what it compared before.
//! - The new answer from the first moment on. PowerDNS empties its caches when it changes a set, but a question that was
//!   under way puts the old answer back into them, whole, for `cache-ttl` (20 s unless set). Under constant questions
//!   that was measured after one change in eight; so the caches are emptied once more after each change, and whoever
//!   waits for the old answer to end still has to add `cache-ttl`. Further servers that share its database know nothing
//!   of a change and keep what they gave out for `query-cache-ttl` and `cache-ttl` (20 s each unless set).
//! - A record that is switched off ("disabled") is not given out and not seen; it goes with the first change of its set.

use async_trait::async_trait;
use http::Method;
use serde_json::{Value as Json, json};

use super::web::sets::{self, Record};
use super::web::{Key, Provider, Web, text};
use super::{Kind, RecordSet, Replace, Zone};
use crate::inventory::provider::Token;
use crate::switch::Finding;
use crate::switch::api::ApiError;

const POWERDNS: Provider = Provider {
    name: "PowerDNS",
    endpoint: None,
    key: Key::XApiKey,
    credentials: "let `token` be `api-key` of pdns.conf, and `webserver-allow-from` name this machine",
    zone: "let `zone` be one of `pdnsutil list-all-zones`, and `server` the server's id (localhost)",
};

/// A byte may be written as four characters, and the schema of the MySQL backend keeps 64,000 of them.
const LONGEST_TEXT: usize = 16_000;

/// One zone of one PowerDNS.
pub struct Powerdns {
    web: Web,
    server: String,
    zone: String,
}

impl Powerdns {
    /// The zone `zone` of the server that these settings name. Nothing is sent.
    ///
    /// # Errors
    /// [`ApiError::Refused`] where the settings cannot be used.
    pub fn new(settings: &Token, zone: &str) -> Result<Powerdns, ApiError> {
        Ok(Powerdns {
            web: Web::new(&POWERDNS, settings)?,
            server: settings.server.clone(),
            zone: sets::name(zone),
        })
    }

    async fn get(&self, query: &[(&str, &str)]) -> Result<Json, ApiError> {
        let zone = format!("{}.", self.zone);
        let path = ["api", "v1", "servers", &self.server, "zones", &zone];
        let answer = self.web.ask(&path, query).await;
        let answer = answer.map_err(|fault| self.web.told(fault))?;
        match answer["name"].as_str() {
            Some(name) if sets::name(name) == self.zone => Ok(answer),
            _ => Err(self
                .web
                .strange("expected a zone of PowerDNS, found something else")),
        }
    }

    /// Asked name by name: a zone may have many thousand records. Versions that know no filter answer with all of them.
    async fn find(&self, names: &[&str]) -> Result<Vec<RecordSet>, ApiError> {
        let mut records = Vec::new();
        for name in names {
            let answer = self.get(&[("rrset_name", &format!("{name}."))]).await?;
            let Some(rrsets) = answer["rrsets"].as_array() else {
                return Err(self.web.strange("expected record sets of PowerDNS, found none"));
            };
            let found = rrsets.iter().flat_map(records_of);
            records.extend(found.filter(|record| record.name == *name));
        }
        Ok(sets::together(&records))
    }

    /// What a question that was under way put back into the caches is taken out again. The change is made whatever
    /// becomes of this: without it the old answer ends some seconds later.
    async fn flush(&self, name: &str) {
        let path = ["api", "v1", "servers", &self.server, "cache", "flush"];
        let name = format!("{name}.");
        let _ = self.web.tell(&Method::PUT, &path, &[("domain", &name)]).await;
    }
}

#[async_trait]
impl Zone for Powerdns {
    async fn read(&self, names: &[&str]) -> Result<Vec<RecordSet>, ApiError> {
        self.find(names).await
    }

    async fn replace(&self, sets: &[Replace]) -> Result<(), ApiError> {
        sets::all_within(&self.zone, sets)?;
        let names = sets::names(sets);
        let stands = self.find(&names).await?;
        sets::compare(sets, &stands)?;
        let rrsets = rrsets(sets, &stands);
        if rrsets.is_empty() {
            return Ok(());
        }
        let zone = format!("{}.", self.zone);
        let path = ["api", "v1", "servers", &self.server, "zones", &zone];
        let body = json!({ "rrsets": rrsets });
        let answer = self.web.change(&Method::PATCH, &path, Some(&body)).await;
        answer.map_err(|fault| self.web.told(fault))?;
        for name in names {
            self.flush(name).await;
        }
        Ok(())
    }

    fn longest_text(&self) -> usize {
        LONGEST_TEXT
    }

    async fn doctor(&self) -> Vec<Finding> {
        let at = &self.web.at;
        let zone = match self.get(&[("rrsets", "false")]).await {
            Ok(zone) => zone,
            Err(error) => {
                let hint = error.hint().unwrap_or_default().to_owned();
                return vec![Finding::bad(at, error.to_string(), hint)];
            }
        };
        let kind = zone["kind"].as_str().unwrap_or("unknown");
        let mut findings = vec![Finding::good(
            at,
            format!("takes the key; zone {} is there ({kind})", self.zone),
        )];
        // Its newer versions say Secondary; a consumer is one that a catalog made.
        if matches!(kind, "Slave" | "Secondary" | "Consumer") {
            findings.push(Finding::bad(
                at,
                format!("zone {} is a copy: what is changed in it is lost", self.zone),
                "let `endpoint` name the PowerDNS that is the zone's primary",
            ));
        }
        let is_primary = matches!(kind, "Master" | "Primary" | "Producer");
        if is_primary && zone["soa_edit_api"].as_str().unwrap_or_default().is_empty() {
            findings.push(Finding::bad(
                at,
                format!(
                    "changes of zone {} leave its serial as it is: its secondaries never see them",
                    self.zone
                ),
                format!("pdnsutil set-meta {} SOA-EDIT-API DEFAULT", self.zone),
            ));
        }
        findings
    }
}

/// The records of one set as PowerDNS writes it.
fn records_of(rrset: &Json) -> Vec<Record> {
    let (Some(name), Some(kind), Some(ttl)) = (
        rrset["name"].as_str().map(sets::name),
        rrset["type"].as_str().and_then(sets::kind),
        rrset["ttl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok()),
    ) else {
        return Vec::new();
    };
    let all = rrset["records"].as_array().into_iter().flatten();
    let given_out = all.filter(|record| record["disabled"] != true);
    let contents = given_out.filter_map(|record| record["content"].as_str());
    let record = |content: &str| Record {
        id: String::new(),
        name: name.clone(),
        kind,
        ttl,
        value: match kind {
            Kind::Txt => text::plain(content),
            _ => sets::value(kind, content),
        },
    };
    contents.map(record).collect()
}

/// The sets that change, as PowerDNS wants them. It goes through them in order, and refuses a CNAME beside another
/// record even for a moment, so those that go come first.
fn rrsets(sets: &[Replace], stands: &[RecordSet]) -> Vec<Json> {
    let mut gone = Vec::new();
    let mut put = Vec::new();
    for replace in sets {
        let Some((name, kind)) = sets::place(replace) else {
            continue;
        };
        let stands = stands.iter().find(|set| set.name == name && set.kind == kind);
        let fqdn = format!("{name}.");
        match &replace.new {
            None if stands.is_some() => {
                gone.push(json!({ "name": fqdn, "type": kind.as_str(), "changetype": "DELETE" }));
            }
            None => {}
            Some(new) if stands.is_some_and(|set| set.ttl == new.ttl && set.values == new.values) => {}
            Some(new) => {
                let records = new.values.iter().map(|value| content(kind, value));
                let records: Vec<Json> = records
                    .map(|content| json!({ "content": content, "disabled": false }))
                    .collect();
                put.push(json!({
                    "name": fqdn, "type": kind.as_str(), "ttl": new.ttl, "changetype": "REPLACE", "records": records,
                }));
            }
        }
    }
    gone.extend(put);
    gone
}

fn content(kind: Kind, value: &str) -> String {
    match kind {
        Kind::A | Kind::Aaaa => value.to_owned(),
        Kind::Cname => format!("{value}."),
        Kind::Txt => text::quoted(value),
    }
}
