//! One name whose records are one pool's or the other's, at any provider: what it leads to, whether all authoritative
//! servers say so, and the one change that leads it elsewhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::OnceCell;

use super::note;
use super::records::{self, classify};
use super::zone::{Kind, RecordSet, Replace, Zone};
use super::{ask, place};
use crate::health::direct::{self, Asked};
use crate::inventory::dns::Dns;
use crate::inventory::{Inventory, Pool, Router};
use crate::switch::api::{Api, ApiError, Change, Seen};
use crate::switch::servers::health;
use crate::switch::{BackendServer, Finding, Route, RouterView, Worker, whole};

/// Longest that an authoritative server may take to answer one question.
const ASK: Duration = Duration::from_secs(2);

/// The switch that a name is.
pub struct Name {
    dns: Dns,
    zone: Arc<dyn Zone>,
    router: Router,
    health: String,
    /// The authoritative servers, found once.
    servers: OnceCell<Result<Vec<(String, SocketAddr)>, String>>,
}

impl Name {
    /// The name of `[switch.dns]`, in a zone.
    ///
    /// # Errors
    /// [`ApiError::Refused`] when the environment has no router to stand for it.
    pub fn new(dns: &Dns, zone: Arc<dyn Zone>, inventory: &Inventory) -> Result<Name, ApiError> {
        let Some(router) = inventory.switch.routers.first() else {
            return Err(ApiError::Refused {
                problem: "the environment has no name".to_owned(),
                hint: "give `switch.dns.name`".to_owned(),
            });
        };
        Ok(Name {
            dns: dns.clone(),
            zone,
            router: router.clone(),
            health: health(inventory).0.to_owned(),
            servers: OnceCell::new(),
        })
    }

    /// The zone's authoritative servers: those of the inventory, else its NS records'.
    async fn servers(&self) -> Result<&[(String, SocketAddr)], String> {
        // Also that they cannot be found is found out once: each look would wait for it again.
        let found = self
            .servers
            .get_or_init(|| async {
                if self.dns.nameservers.is_empty() {
                    let resolvers = place::all(&self.dns.resolvers).await?;
                    return ask::nameservers(&self.dns.zone, &resolvers).await;
                }
                let places = place::all(&self.dns.nameservers).await?;
                Ok(self.dns.nameservers.iter().cloned().zip(places).collect())
            })
            .await;
        found.as_deref().map_err(Clone::clone)
    }

    /// What the other authoritative servers give out that is not what stands there: `(server, route)`, problems, and the
    /// highest TTL.
    /// Where requests are shared, either pool's records are as they should be.
    async fn secondaries(&self, set: &RecordSet, route: &Route) -> (Vec<Worker>, Vec<String>, u32) {
        let live = route.live;
        // Where they cannot be found, plans and `doctor` say so; the provider's own word stays.
        let servers = self.servers().await.unwrap_or_default();
        let answers = join_all(servers.iter().map(|(name, address)| async move {
            (
                name,
                ask::ask(*address, &self.dns.name, set.kind, false, ASK).await,
            )
        }))
        .await;
        let (mut workers, mut problems, mut ttl) = (Vec::new(), Vec::new(), set.ttl);
        for (server, answer) in answers {
            match answer {
                Ok(Some(answer)) => {
                    ttl = ttl.max(answer.ttl);
                    match classify(&self.dns, answer.kind, &answer.values, live) {
                        Some(pool) if route.settled().is_none_or(|all| pool == all) => {}
                        Some(pool) => workers.push(Worker {
                            pid: server.clone(),
                            route: Route::all(pool),
                        }),
                        None => problems.push(format!(
                            "{server} gives out {}, which is neither pool's",
                            answer.values.join(", ")
                        )),
                    }
                }
                Ok(None) => match self.other_kind(server, servers, set.kind, live).await {
                    Some(worker) => workers.push(worker),
                    None => problems.push(format!("{server} gives out no {} record", set.kind)),
                },
                // Nobody is led anywhere by a server that does not answer.
                Err(_) => {}
            }
        }
        (workers, problems, ttl)
    }

    /// A server that still has the other pool's records, where those are of another type.
    async fn other_kind(
        &self,
        server: &str,
        servers: &[(String, SocketAddr)],
        kind: Kind,
        live: Pool,
    ) -> Option<Worker> {
        let (_, address) = servers.iter().find(|(name, _)| name == server)?;
        let others = records::wanted(&self.dns, live.other(), 0);
        let other = others.iter().find(|set| set.kind != kind)?;
        let answer = ask::ask(*address, &self.dns.name, other.kind, false, ASK)
            .await
            .ok()??;
        let pool = classify(&self.dns, answer.kind, &answer.values, live)?;
        Some(Worker {
            pid: server.to_owned(),
            route: Route::all(pool),
        })
    }

    /// Servers that still give out records of a type that only the other pool has.
    async fn left_over(&self, sets: &[RecordSet], live: Pool) -> Vec<Worker> {
        let other = records::wanted(&self.dns, live.other(), 0);
        let only = other
            .iter()
            .filter(|set| sets.iter().all(|now| now.kind != set.kind));
        let servers = self.servers().await.unwrap_or_default();
        let asked = only.flat_map(|set| servers.iter().map(move |server| (set, server)));
        let answers = join_all(asked.map(|(set, (name, address))| async move {
            let answer = ask::ask(*address, &self.dns.name, set.kind, false, ASK)
                .await
                .ok()??;
            // Where a CNAME stands it is what every type is answered with.
            (answer.kind == set.kind && answer.values == set.values).then(|| Worker {
                pid: name.clone(),
                route: Route::all(live.other()),
            })
        }))
        .await;
        answers.into_iter().flatten().collect()
    }

    /// Both pools' addresses, asked for their own answers at the name's URL, from here as clients would.
    async fn backends(&self) -> BTreeMap<Pool, Vec<BackendServer>> {
        let pools = Pool::ALL.map(|pool| async move {
            let asked = self.dns.records(pool).iter().map(|record| async move {
                let said = direct::ask(&self.router, &self.health, record, Asked::Itself).await;
                let up = matches!(said, Ok((100..=499, _)));
                BackendServer {
                    name: record.clone(),
                    status: match said {
                        Ok((status, _)) if up => format!("UP ({status})"),
                        Ok((status, _)) => format!("DOWN (status {status})"),
                        Err(problem) => format!("DOWN ({problem})"),
                    },
                    up,
                    active: true,
                    sessions: 0,
                    queued: 0,
                }
            });
            (pool, join_all(asked).await)
        });
        join_all(pools).await.into_iter().collect()
    }

    /// Where these records lead, and whether they are whole. The pool that most of them are of, where the name is half of
    /// each, as a provider leaves it that changes one record after the other, and `flip --to` makes it whole.
    fn route_of(&self, sets: &[RecordSet]) -> Result<(Route, bool), ApiError> {
        if let Some(route) = records::route_of(&self.dns, sets) {
            return Ok((route, true));
        }
        let is = |pool: &Pool| records::same(sets, &records::wanted(&self.dns, *pool, 0));
        let plain = sets.iter().all(|set| set.share.is_none());
        if let Some(pool) = Pool::ALL.into_iter().find(is).filter(|_| plain) {
            return Ok((Route::all(pool), true));
        }
        if plain && records::all_ours(&self.dns, sets) {
            let of = |pool: Pool| -> usize {
                let wanted = records::wanted(&self.dns, pool, 0);
                let all = sets
                    .iter()
                    .flat_map(|set| set.values.iter().map(move |value| (set.kind, value)));
                all.filter(|(kind, value)| {
                    wanted
                        .iter()
                        .any(|set| set.kind == *kind && set.values.contains(value))
                })
                .count()
            };
            let most = if of(Pool::Green) > of(Pool::Blue) {
                Pool::Green
            } else {
                Pool::Blue
            };
            return Ok((Route::all(most), false));
        }
        Err({
            let found: Vec<String> = sets.iter().map(ToString::to_string).collect();
            let found = if found.is_empty() {
                "none".to_owned()
            } else {
                found.join("; ")
            };
            ApiError::Refused {
                problem: format!(
                    "{}: expected the records of blue ({}) or of green ({}), found {found}: pointsman did not write these, and changes none of them",
                    self.dns.name,
                    self.dns.blue.join(", "),
                    self.dns.green.join(", ")
                ),
                hint:
                    "set the name to one pool's records by hand, once; `pointsman switch config` prints them"
                        .to_owned(),
            }
        })
    }

    /// What a change replaces.
    fn sets(&self, seen: &Seen, change: &Change<'_>) -> Result<Vec<Replace>, ApiError> {
        let before = records::parse(&seen.raw);
        let policy = self.dns.ttl_s();
        let old_note = before.iter().find(|set| set.name == self.dns.note).cloned();
        let new_note = RecordSet {
            name: self.dns.note.clone(),
            kind: Kind::Txt,
            ttl: policy,
            values: note::split(change.note, self.zone.longest_text()),
            share: None,
        };
        let mut sets = vec![Replace {
            old: old_note,
            new: Some(new_note),
        }];
        let old: Vec<RecordSet> = before
            .into_iter()
            .filter(|set| set.name == self.dns.name)
            .collect();
        let to = change.to.or(change.ttl.map(|_| seen.view.live));
        if let Some(to) = to {
            let ttl = change.ttl.unwrap_or(policy);
            let new = match to.settled() {
                None if self.zone.weighs() => {
                    records::weighed(&self.dns, &to, ttl).ok_or_else(|| ApiError::Refused {
                        problem: format!(
                            "{}: a share is by type of record, and the pools have not the same types: blue {}, green {}",
                            self.dns.name,
                            self.dns.blue.join(", "),
                            self.dns.green.join(", ")
                        ),
                        hint: "give both pools records of the same types".to_owned(),
                    })?
                }
                _ => {
                    let pool = whole(&to).map_err(|problem| ApiError::Refused {
                        problem,
                        hint: String::new(),
                    })?;
                    records::wanted(&self.dns, pool, ttl)
                }
            };
            sets.extend(records::replaced(&old, &new));
        }
        Ok(sets)
    }

    /// Whether a flip to the other pool would be taken.
    async fn doctor_flip(&self, seen: &Seen) -> Vec<Finding> {
        // Another note than the one that stands there: what stays as it is is only compared.
        let note = format!("{}.", seen.note.as_deref().unwrap_or_default());
        let change = Change {
            note: &note,
            to: Some(Route::all(seen.view.live.live.other())),
            ttl: None,
        };
        match self.sets(seen, &change) {
            Ok(sets) => self.zone.doctor_flip(&sets).await,
            Err(error) => vec![bad(&self.router.name, &error)],
        }
    }
}

fn bad(name: &str, error: &ApiError) -> Finding {
    Finding::bad(name, error.to_string(), error.hint().unwrap_or("see the error"))
}

#[async_trait]
impl Api for Name {
    async fn read(&self) -> Result<Seen, ApiError> {
        let (seen, backends) = futures::future::join(self.glance(), self.backends()).await;
        let mut seen = seen?;
        seen.view.backends = backends;
        Ok(seen)
    }

    async fn glance(&self) -> Result<Seen, ApiError> {
        let names = [self.dns.name.as_str(), self.dns.note.as_str()];
        let (texts, sets): (Vec<RecordSet>, Vec<RecordSet>) = self
            .zone
            .read(&names)
            .await?
            .into_iter()
            .filter(|set| (set.kind == Kind::Txt) == (set.name == self.dns.note))
            .partition(|set| set.kind == Kind::Txt);
        let note = texts
            .first()
            .map(|set| note::join(&set.values))
            .transpose()
            .map_err(|problem| ApiError::Refused {
                problem: format!("{}: {problem}", self.dns.note),
                hint: "give another name with `switch.dns.note`, or take that text away".to_owned(),
            })?;
        let (route, whole) = self.route_of(&sets)?;
        let (mut workers, mut problems) = (Vec::new(), Vec::new());
        if !whole {
            let found: Vec<String> = sets.iter().map(ToString::to_string).collect();
            problems.push(format!(
                "the name has records of both pools: {}",
                found.join("; ")
            ));
        }
        let mut ttl = sets.iter().map(|set| set.ttl).max().unwrap_or_default();
        // Where both pools' sets stand side by side, each server is asked once for each type.
        let first =
            |(number, set): &(usize, &RecordSet)| sets[..*number].iter().all(|other| other.kind != set.kind);
        let asked = sets.iter().enumerate().filter(first).map(|(_, set)| set);
        for set in asked.filter(|_| whole) {
            let (lagging, wrong, highest) = self.secondaries(set, &route).await;
            workers.extend(lagging);
            problems.extend(wrong);
            ttl = ttl.max(highest);
        }
        if let Some(live) = route.settled() {
            workers.extend(self.left_over(&sets, live).await);
        }
        Ok(Seen {
            view: RouterView {
                live: route,
                persisted: Some(route),
                workers,
                problems,
                backends: BTreeMap::new(),
                left_out: BTreeMap::new(),
                caches: None,
            },
            note,
            ttl: Some(ttl),
            unasked: self.servers().await.err(),
            raw: sets.iter().chain(&texts).flat_map(records::lines).collect(),
        })
    }

    async fn change(&self, seen: &Seen, change: &Change<'_>) -> Result<(), ApiError> {
        self.zone.replace(&self.sets(seen, change)?).await
    }

    async fn doctor(&self) -> Vec<Finding> {
        let name = &self.router.name;
        let mut findings = self.zone.doctor().await;
        match self.read().await {
            Ok(seen) => {
                findings.extend(self.doctor_flip(&seen).await);
                let live = seen.view.live.live;
                let all_up = seen.view.up(live) == self.dns.records(live).len();
                let words = format!(
                    "{name} leads to {}, TTL {} s: {}",
                    seen.view.live,
                    seen.ttl.unwrap_or_default(),
                    seen.view.servers_in_words(live)
                );
                findings.push(if all_up {
                    Finding::good(name, words)
                } else {
                    let hint =
                        "see that clients can reach these addresses from here, at the port of [switch] url";
                    Finding::bad(name, words, hint)
                });
                if let Some(drift) = seen.view.drift() {
                    findings.push(Finding::bad(
                        name,
                        drift,
                        "wait for the secondaries, or see why they lag",
                    ));
                }
            }
            Err(error) => findings.push(bad(name, &error)),
        }
        match self.servers().await {
            Ok(servers) => {
                for (server, address) in servers {
                    let asked = ask::ask(*address, &self.dns.name, Kind::A, false, ASK).await;
                    findings.push(match asked {
                        Ok(_) => Finding::good(name, format!("{server} ({address}) answers")),
                        Err(problem) => Finding::bad(
                            name,
                            format!("{server} ({address}) does not answer: {problem}"),
                            "it is left out of what a flip waits for until it answers",
                        ),
                    });
                }
            }
            Err(problem) => findings.push(Finding::bad(
                name,
                format!(
                    "the authoritative servers of {} cannot be found: {problem}",
                    self.dns.zone
                ),
                "give them with `switch.dns.nameservers`",
            )),
        }
        findings
    }

    fn config(&self, _: &Inventory) -> String {
        records::first_time(&self.dns)
    }
}
