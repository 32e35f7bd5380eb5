//! Amazon Route 53: a public hosted zone, changed by batches that compare what they replace.
//!
//! A batch is done as a whole or not at all, and a DELETE in it must name the set as it stands: so a change is the
//! provider's own compare-and-set. What is listed includes what was accepted and is not on all servers yet.

mod answer;
mod batch;
mod text;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use http::Method;
use roxmltree::Document;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use self::answer::{HostedZone, Listed, Next, Page};
use super::zone::{Kind, RecordSet, Replace, Zone};
use crate::inventory::Pool;
use crate::inventory::provider::Aws;
use crate::switch::Finding;
use crate::switch::api::ApiError;
use crate::switch::aws::{Body, Call, Client, Fault, Said, Service, xml};

/// Version of the API, in each path.
const VERSION: &str = "/2013-04-01";

/// Longest wait until a change is on all servers of Route 53; most are within seconds.
const IN_SYNC: Duration = Duration::from_secs(60);

/// Pause between two looks. An account may ask five times a second in all.
const LOOK: Duration = Duration::from_secs(2);

/// Route 53 takes 4,000 characters in a value, and does not say whether quotes and backslashes count: room for them.
const LONGEST_TEXT: usize = 3_000;

/// What Route 53 says of a DELETE or CREATE that does not find what it expects.
const STALE: [&str; 3] = ["was not found", "values provided do not match", "already exists"];

/// Where a set stands: name, type, and whose it is where several stand side by side.
type Place = (String, Kind, Option<Pool>);

fn place(set: &RecordSet) -> Place {
    (set.name.clone(), set.kind, set.share.map(|share| share.pool))
}

/// One public hosted zone.
pub struct Route53 {
    client: Client,
    zone: String,
    /// As the inventory has it.
    given: Option<String>,
    /// The id, once it was looked up.
    id: OnceCell<String>,
    /// The sets of the last look, letter by letter. A DELETE has to name them so, and people write what pointsman
    /// would not: capitals, long forms of addresses, strings cut elsewhere.
    seen: Mutex<HashMap<Place, Listed>>,
}

impl Route53 {
    /// The zone of this name; it is asked for at the first use.
    ///
    /// # Errors
    /// [`ApiError::Refused`] where there are no keys, or where the endpoint is no URL.
    pub fn new(settings: &Aws, zone: &str) -> Result<Route53, ApiError> {
        Ok(Route53 {
            client: Client::new(Service::Route53, settings)?,
            zone: zone.trim_end_matches('.').to_ascii_lowercase(),
            given: settings.hosted_zone.clone(),
            id: OnceCell::new(),
            seen: Mutex::default(),
        })
    }

    /// What the keys have to be allowed, as an IAM policy: nothing but this one zone, where its id was given.
    pub fn policy(&self) -> String {
        let zone = self.given.as_deref().unwrap_or("*");
        let allow = |actions: &[&str], resource: &str| serde_json::json!({ "Effect": "Allow", "Action": actions, "Resource": resource });
        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [
                allow(
                    &[
                        "route53:GetHostedZone",
                        "route53:ListResourceRecordSets",
                        "route53:ChangeResourceRecordSets",
                    ],
                    &format!("arn:{}:route53:::hostedzone/{zone}", self.client.partition()),
                ),
                allow(&["route53:ListHostedZonesByName"], "*"),
                allow(
                    &["route53:GetChange"],
                    &format!("arn:{}:route53:::change/*", self.client.partition()),
                ),
            ],
        });
        format!("{policy:#}")
    }

    /// The id of the hosted zone. One that was given is looked at too: at a wrong one every name would seem free.
    async fn id(&self) -> Result<&str, ApiError> {
        let id = self.id.get_or_try_init(|| async {
            match &self.given {
                Some(id) => self.given_zone(id).await,
                None => self.found_zone().await,
            }
        });
        id.await.map(String::as_str)
    }

    async fn given_zone(&self, id: &str) -> Result<String, ApiError> {
        let answer = self.ask(&format!("/hostedzone/{id}"), Vec::new()).await?;
        match self.zones(&answer)?.first() {
            Some(zone) if zone.name == self.zone && !zone.private => Ok(zone.id.clone()),
            found => Err(ApiError::Refused {
                problem: format!(
                    "{}: expected {id} to be the public hosted zone of {}, found {}",
                    self.client.at,
                    self.zone,
                    in_words(found)
                ),
                hint: "check `switch.aws.hosted_zone`: `aws route53 list-hosted-zones` lists them".to_owned(),
            }),
        }
    }

    async fn found_zone(&self) -> Result<String, ApiError> {
        let parameters = vec![("dnsname".to_owned(), format!("{}.", self.zone))];
        let answer = self.ask("/hostedzonesbyname", parameters).await?;
        // They come in order of their names, beginning with this one.
        let mut zones = self.zones(&answer)?;
        zones.retain(|zone| zone.name == self.zone);
        let public: Vec<&HostedZone> = zones.iter().filter(|zone| !zone.private).collect();
        match public.as_slice() {
            [zone] => Ok(zone.id.clone()),
            _ => Err(ApiError::Refused {
                problem: format!(
                    "{}: expected one public hosted zone {}, found {}",
                    self.client.at,
                    self.zone,
                    in_words(&zones)
                ),
                hint: "name its id in `switch.aws.hosted_zone`, and check whose keys these are".to_owned(),
            }),
        }
    }

    fn zones(&self, answer: &str) -> Result<Vec<HostedZone>, ApiError> {
        Ok(answer::zones(&self.tree(answer, false)?))
    }

    fn tree<'a>(&self, answer: &'a str, changes: bool) -> Result<Document<'a>, ApiError> {
        xml::parse(answer, &self.client.at, changes).map_err(|fault| self.client.verdict(fault))
    }

    async fn ask(&self, path: &str, parameters: Vec<(String, String)>) -> Result<String, ApiError> {
        let call = Call {
            method: Method::GET,
            path: &format!("{VERSION}{path}"),
            parameters,
            body: Body::None,
            changes: false,
        };
        let answer = self.client.call(&call).await;
        answer.map_err(|fault| self.verdict(fault))
    }

    /// What stands at one name.
    async fn at(&self, id: &str, name: &str) -> Result<Page, ApiError> {
        let mut all = Page::default();
        let mut from = Next {
            name: format!("{name}."),
            kind: String::new(),
            identifier: None,
        };
        loop {
            let mut parameters = vec![("name".to_owned(), from.name)];
            if !from.kind.is_empty() {
                parameters.push(("type".to_owned(), from.kind));
            }
            parameters.extend(
                from.identifier
                    .map(|identifier| ("identifier".to_owned(), identifier)),
            );
            let answer = self.ask(&format!("/hostedzone/{id}/rrset"), parameters).await?;
            let page = answer::page(&self.tree(&answer, false)?, name);
            all.sets.extend(page.sets);
            all.strange.extend(page.strange);
            match page.next {
                Some(next) => from = next,
                None => return Ok(all),
            }
        }
    }

    /// The values of a set as they stand there, where the last look saw that set; else as pointsman writes them.
    fn written(&self, set: &RecordSet) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(&place(set)) {
            Some(listed) if listed.set == *set => listed.written.clone(),
            _ => batch::plain(set),
        }
    }

    fn verdict(&self, fault: Fault) -> ApiError {
        match fault {
            Fault::Said(said) if said.code == "NoSuchHostedZone" => ApiError::Refused {
                problem: format!("{}: {}", self.client.at, said.in_words()),
                hint: "check `switch.aws.hosted_zone`, and whose keys these are: `aws route53 list-hosted-zones` \
                       lists the zones"
                    .to_owned(),
            },
            Fault::Said(said) if said.code == "InvalidChangeBatch" => self.of_a_batch(&said),
            fault => self.client.verdict(fault),
        }
    }

    /// Nothing of the batch was done: because something else stands there, or because it can never be.
    fn of_a_batch(&self, said: &Said) -> ApiError {
        let problem = format!("{}: {}", self.client.at, said.in_words());
        let stale = |message: &String| STALE.iter().any(|words| message.contains(words));
        if !said.messages.is_empty() && said.messages.iter().all(stale) {
            return ApiError::Stale { problem };
        }
        ApiError::Refused {
            problem,
            hint: format!(
                "look at what stands at the name: \
                 `aws route53 list-resource-record-sets --hosted-zone-id {}`",
                self.id.get().map_or("ID", String::as_str)
            ),
        }
    }

    /// Waits until a change is on all servers of Route 53, at most [`IN_SYNC`]. A change that was accepted is done and
    /// spreads by itself, so neither the end of the wait nor a question without answer is an error: whoever has to know
    /// asks the authoritative servers.
    async fn in_sync(&self, change: &str) {
        let until = Instant::now() + IN_SYNC;
        while Instant::now() < until {
            match self.ask(&format!("/change/{change}"), Vec::new()).await {
                Ok(answer) => {
                    let document = Document::parse(&answer).ok();
                    if let Some((_, true)) = document.as_ref().and_then(answer::change) {
                        return;
                    }
                }
                // Keys that may not ask would get no better answer later.
                Err(ApiError::Refused { .. }) => return,
                Err(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// `Z1 (example.com, private)`.
fn in_words<'a>(zones: impl IntoIterator<Item = &'a HostedZone>) -> String {
    let words: Vec<String> = zones
        .into_iter()
        .map(|zone| {
            let kind = if zone.private { "private" } else { "public" };
            format!("{} ({}, {kind})", zone.id, zone.name)
        })
        .collect();
    if words.is_empty() {
        return "none".to_owned();
    }
    words.join(", ")
}

#[async_trait]
impl Zone for Route53 {
    async fn read(&self, names: &[&str]) -> Result<Vec<RecordSet>, ApiError> {
        let id = self.id().await?;
        let pages = try_join_all(names.iter().map(|name| self.at(id, name))).await?;
        let strange: Vec<String> = pages.iter().flat_map(|page| page.strange.clone()).collect();
        if !strange.is_empty() {
            return Err(ApiError::Refused {
                problem: format!(
                    "{}: expected plain records, found {}",
                    self.client.at,
                    strange.join("; ")
                ),
                hint: "pointsman did not write these and leaves them as they are: replace them by plain records, or let \
                       them point at a name of its own that pointsman changes"
                    .to_owned(),
            });
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(name, ..), _| !names.contains(&name.as_str()));
        let mut sets = Vec::new();
        for listed in pages.into_iter().flat_map(|page| page.sets) {
            sets.push(listed.set.clone());
            seen.insert(place(&listed.set), listed);
        }
        Ok(sets)
    }

    async fn replace(&self, sets: &[Replace]) -> Result<(), ApiError> {
        // A pair of nothing and nothing has no name, and a batch cannot be empty.
        if sets.iter().all(|set| set.old.is_none() && set.new.is_none()) {
            return Ok(());
        }
        let id = self.id().await?;
        let call = Call {
            method: Method::POST,
            path: &format!("{VERSION}/hostedzone/{id}/rrset/"),
            parameters: Vec::new(),
            body: Body::Xml(batch::document(sets, &|set| self.written(set))),
            changes: true,
        };
        let answer = self.client.call(&call).await;
        let answer = answer.map_err(|fault| self.verdict(fault))?;
        let document = self.tree(&answer, true)?;
        match answer::change(&document) {
            Some((_, true)) => Ok(()),
            Some((change, false)) => {
                // Nobody but pointsman reads the note, and it reads where it writes.
                let led = sets
                    .iter()
                    .filter_map(|set| set.new.as_ref().or(set.old.as_ref()));
                if led.into_iter().any(|set| set.kind != Kind::Txt) {
                    self.in_sync(&change).await;
                }
                Ok(())
            }
            None => Err(ApiError::InDoubt {
                problem: format!("{}: expected the id of the change, found none", self.client.at),
            }),
        }
    }

    fn weighs(&self) -> bool {
        true
    }

    fn longest_text(&self) -> usize {
        LONGEST_TEXT
    }

    async fn doctor(&self) -> Vec<Finding> {
        let server = self.zone.as_str();
        let bad = |error: ApiError| {
            let hint = error.hint().unwrap_or_default().to_owned();
            Finding::bad(server, error.to_string(), hint)
        };
        let zone = match self.id().await {
            Ok(id) => match self.at(id, &self.zone).await {
                Ok(_) => Finding::good(
                    server,
                    format!("hosted zone {id}: found, and these keys can list its records"),
                ),
                Err(error) => bad(error),
            },
            Err(error) => bad(error),
        };
        vec![zone, self.client.clock(server)]
    }
}
