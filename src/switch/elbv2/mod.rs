//! Application and Network Load Balancers of AWS: the weights of two target groups in one listener or rule.
//!
//! This API has no compare-and-set: a change reads, compares, and writes, and what somebody else writes in the moment
//! between is written over. That moment is short (one call), and what stands there is read back; a fence it is not.
//! Note and weights are two calls, the note first: where the second one fails, the first is taken back.

mod actions;
mod calls;
mod config;
mod doctor;
mod note;
mod query;

use std::collections::BTreeMap;

use async_trait::async_trait;

use self::actions::{Actions, Groups};
use self::calls::{Found, Place};
use self::note::Tags;
use super::api::{Api, ApiError, Change, Seen};
use super::aws::{Client, Service};
use super::{Finding, Route, RouterView};
use crate::inventory::provider::Aws;
use crate::inventory::{Inventory, Pool};

/// How often tags that do not fit together are read again: AWS may show a write of many tags in parts.
const LOOKS: u32 = 3;

/// Pause between two such looks.
const LOOK: std::time::Duration = std::time::Duration::from_millis(500);

/// One listener or rule, and the two target groups that it forwards to.
pub struct Elbv2 {
    client: Client,
    place: Place,
    groups: Groups,
    /// Hosts of each pool, by the inventory.
    hosts: BTreeMap<Pool, usize>,
}

/// What decides where requests go, at one moment.
struct Look {
    found: Found,
    actions: Actions,
    tags: Tags,
    note: Option<String>,
}

impl Look {
    /// What a change expects to find: the actions letter by letter, and which note counts.
    fn raw(&self) -> Vec<String> {
        let note = self.tags.get(note::KEY).map(|head| format!("note={head}"));
        self.actions.raw.iter().cloned().chain(note).collect()
    }
}

impl Elbv2 {
    /// A way to the listener or rule of these settings; nobody is asked yet.
    ///
    /// # Errors
    /// [`ApiError::Refused`] where a setting is missing or no ARN of the right kind, or where there are no keys.
    pub fn new(settings: &Aws, inventory: &Inventory) -> Result<Elbv2, ApiError> {
        let table = Service::Elbv2.table();
        let arn = |key: &str, value: &Option<String>, kinds: &[&str]| {
            let value = value.as_deref().unwrap_or_default();
            if kinds.iter().any(|kind| value.contains(kind)) {
                return Ok(value.to_owned());
            }
            Err(ApiError::Refused {
                problem: format!(
                    "expected an ARN with {} in `{table}.{key}`, found {value:?}",
                    kinds.join(" or ")
                ),
                hint:
                    "`aws elbv2 describe-listeners`, `describe-rules` and `describe-target-groups` print them"
                        .to_owned(),
            })
        };
        let listener = arn("listener", &settings.listener, &[":listener/", ":listener-rule/"])?;
        let groups = Groups {
            blue: arn("blue", &settings.blue, &[":targetgroup/"])?,
            green: arn("green", &settings.green, &[":targetgroup/"])?,
        };
        if groups.blue == groups.green {
            return Err(ApiError::Refused {
                problem: format!("expected two target groups, found {} for both pools", groups.blue),
                hint: format!("give `{table}.blue` and `{table}.green` a target group of its own each"),
            });
        }
        let hosts = inventory.pools.iter().map(|(pool, hosts)| (*pool, hosts.len()));
        Ok(Elbv2 {
            client: Client::new(Service::Elbv2, settings)?,
            place: Place::of(listener),
            groups,
            hosts: hosts.collect(),
        })
    }

    fn refused(&self, problem: &str, hint: &str) -> ApiError {
        ApiError::Refused {
            problem: format!("{}: {}: {problem}", self.client.at, self.place.arn),
            hint: hint.to_owned(),
        }
    }

    /// Actions and note. Tags that do not fit together are read again.
    async fn look(&self) -> Result<Look, ApiError> {
        let mut looks = 1;
        loop {
            let (found, tags) = futures::try_join!(self.found(), self.tags())?;
            let actions = found.actions(&self.groups).map_err(|problem| {
                self.refused(
                    &problem,
                    "pointsman did not write this and leaves it as it is: let the action forward to the two target \
                     groups, as `pointsman switch config` shows",
                )
            })?;
            match note::read(&tags) {
                Ok(note) => {
                    return Ok(Look {
                        found,
                        actions,
                        tags,
                        note,
                    });
                }
                Err(_) if looks < LOOKS => {
                    looks += 1;
                    tokio::time::sleep(LOOK).await;
                }
                Err(problem) => {
                    let untag = format!(
                        "somebody else changed the tags of pointsman. See that no run is at work, then take the note \
                         away: `aws elbv2 remove-tags --resource-arns {} --tag-keys {}`",
                        self.place.arn,
                        note::KEY
                    );
                    return Err(self.refused(&problem, &untag));
                }
            }
        }
    }

    /// Looks again, and compares with what was seen.
    async fn expect(&self, seen: &[String]) -> Result<Look, ApiError> {
        let look = self.look().await?;
        let now = look.raw();
        if now == seen {
            return Ok(look);
        }
        let only = |these: &[String], those: &[String]| {
            let words: Vec<String> = these
                .iter()
                .filter(|line| !those.contains(line))
                .cloned()
                .collect();
            if words.is_empty() {
                "nothing".to_owned()
            } else {
                words.join(", ")
            }
        };
        Err(ApiError::Stale {
            problem: format!(
                "{}: expected {}, found {} instead",
                self.place.arn,
                only(seen, &now),
                only(&now, seen)
            ),
        })
    }

    /// Writes the note: its pieces, which count for nothing yet, then the one tag that makes them count.
    async fn write_note(&self, seen: &Seen, text: &str) -> Result<(Look, note::Written), ApiError> {
        let look = self.expect(&seen.raw).await?;
        self.untag(&note::garbage(&look.tags)).await?;
        let kept: Tags = {
            let garbage = note::garbage(&look.tags);
            let tags = look.tags.iter().filter(|(key, _)| !garbage.contains(key));
            tags.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let written = note::write(&kept, text).map_err(|problem| {
            self.refused(
                &problem,
                "AWS allows 50 tags at a listener or rule: take away some that are not pointsman's",
            )
        })?;
        // Whether these came to be does not matter: nothing names them. So this is never in doubt.
        self.tag(&written.pieces).await.map_err(certain)?;
        // As late as can be: what is written between this look and the next call is not noticed.
        let look = match self.expect(&seen.raw).await {
            Ok(look) => look,
            Err(error) => {
                // They are in nobody's way, and the next write takes away what stays of them.
                let _ = self.untag(&keys(&written.pieces)).await;
                return Err(certain(error));
            }
        };
        let head = Tags::from([(note::KEY.to_owned(), written.head.clone())]);
        self.tag(&head).await?;
        Ok((look, written))
    }

    /// The note counts, but the weights were refused: what stood there before is put back.
    async fn take_back(&self, look: &Look, written: &note::Written, error: ApiError) -> ApiError {
        let back = match look.tags.get(note::KEY) {
            Some(head) => {
                self.tag(&Tags::from([(note::KEY.to_owned(), head.clone())]))
                    .await
            }
            None => self.untag(&[note::KEY.to_owned()]).await,
        };
        match back {
            Ok(()) => {
                let _ = self.untag(&keys(&written.pieces)).await;
                error
            }
            Err(second) => ApiError::InDoubt {
                problem: format!(
                    "{error}; the note was written before, and could not be taken back: {second}"
                ),
            },
        }
    }

    /// Reads back what was written, a few times: AWS may show it late.
    async fn confirm(&self, head: &str, to: Option<&Route>) -> Result<(), ApiError> {
        let mut looks = 1;
        loop {
            let problem = match self.look().await {
                Ok(look) => match wrong(&look, head, to) {
                    None => return Ok(()),
                    Some(problem) => problem,
                },
                Err(error) => error.to_string(),
            };
            if looks == LOOKS {
                return Err(ApiError::InDoubt {
                    problem: format!("{}: the change was accepted, but {problem}", self.place.arn),
                });
            }
            looks += 1;
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What is not as it was written, in words.
fn wrong(look: &Look, head: &str, to: Option<&Route>) -> Option<String> {
    let found = look.tags.get(note::KEY).map_or("none", String::as_str);
    if found != head {
        return Some(format!(
            "expected the note {head}, found {found}: somebody else writes at the same time"
        ));
    }
    to.filter(|to| !look.actions.route.same_as(to))
        .map(|to| format!("expected {to}, found {}", look.actions.route))
}

fn keys(tags: &Tags) -> Vec<String> {
    tags.keys().cloned().collect()
}

/// What has no effect whether it was done or not is not in doubt.
fn certain(error: ApiError) -> ApiError {
    match error {
        ApiError::InDoubt { problem } => ApiError::Unreachable {
            problem,
            hint: "nothing was changed: try again".to_owned(),
        },
        error => error,
    }
}

#[async_trait]
impl Api for Elbv2 {
    async fn read(&self) -> Result<Seen, ApiError> {
        let (look, blue, green) = futures::try_join!(
            self.look(),
            self.servers(&self.groups.blue),
            self.servers(&self.groups.green)
        )?;
        Ok(Seen {
            view: RouterView {
                live: look.actions.route,
                // A listener has no file beside it: what it does is what stands there.
                persisted: Some(look.actions.route),
                workers: Vec::new(),
                problems: Vec::new(),
                backends: BTreeMap::from([(Pool::Blue, blue), (Pool::Green, green)]),
                left_out: BTreeMap::new(),
                caches: None,
            },
            raw: look.raw(),
            note: look.note,
            ttl: None,
            unasked: None,
        })
    }

    async fn change(&self, seen: &Seen, change: &Change<'_>) -> Result<(), ApiError> {
        let (look, written) = self.write_note(seen, change.note).await?;
        if let Some(to) = &change.to
            && let Err(error) = self.modify(&look.found, &self.groups, to).await
        {
            return Err(if error.is_in_doubt() {
                error
            } else {
                self.take_back(&look, &written, error).await
            });
        }
        // What stays of them is in nobody's way, and the next write takes it away.
        let _ = self.untag(&written.old).await;
        self.confirm(&written.head, change.to.as_ref()).await
    }

    async fn doctor(&self) -> Vec<Finding> {
        self.findings().await
    }

    fn config(&self, inventory: &Inventory) -> String {
        config::text(&self.place, &self.groups, inventory)
    }
}
