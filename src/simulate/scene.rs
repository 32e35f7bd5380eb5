//! One seed: several commands, some at once, killed or put to sleep at any point; then the storm ends, and what is
//! unfinished is finished or undone.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;
use rand::Rng as _;

use super::fleet::SimFleet;
use super::judge::Violation;
use super::world::{Protection, World};
use crate::fleet::End;
use crate::inventory::{Inventory, Pool};
use crate::journal::Log;
use crate::plan::{Intent, Plan, Wish};
use crate::report::Sink;
use crate::run::{self, Request};

/// How a seed went.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// Messages that arrived.
    pub events: u64,
    /// Runs that were killed.
    pub kills: u32,
    /// What happened, a line each, where it was asked for.
    pub story: Vec<String>,
}

/// Most commands of one seed while the storm lasts.
const COMMANDS: u32 = 4;
/// Rounds in which what is unfinished must end once the storm is over: a takeover that itself finds nothing wrong
/// takes one; the rest is for those that a late message met.
const ROUNDS: u32 = 6;
/// A run that takes more turns than this hangs.
const TURNS: u32 = 20_000;

type Running = Pin<Box<dyn Future<Output = Option<(String, Plan, End)>>>>;

/// The operator's own disk, which may be full at any line.
struct Disk(SimFleet);

impl Log for Disk {
    fn append(&mut self, _: &str) -> io::Result<()> {
        let mut world = self.0.world();
        if world.rough && world.chance(300) {
            world.tell(|| "      the local journal cannot be written".to_owned());
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// Plays one seed; the same seed is always played the same. `without` takes a protection out.
pub fn simulate(inventory: &Inventory, seed: u64, without: Option<Protection>, story: bool) -> Outcome {
    let world = Arc::new(Mutex::new(World::new(inventory, seed, without, story)));
    let mut scene = Scene {
        inventory: Arc::new(inventory.clone()),
        fleet: SimFleet(world),
        runs: 0,
        kills: 0,
    };
    scene.storm();
    scene.calm();
    let kills = scene.kills;
    let world = scene.fleet.0.lock().unwrap_or_else(PoisonError::into_inner);
    Outcome {
        violations: world.violations.clone(),
        events: world.events,
        kills,
        story: world.story.clone().unwrap_or_default(),
    }
}

struct Scene {
    inventory: Arc<Inventory>,
    fleet: SimFleet,
    runs: u32,
    kills: u32,
}

impl Scene {
    fn with<T>(&self, ask: impl FnOnce(&mut World) -> T) -> T {
        ask(&mut self.fleet.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, runs: usize, what: &str) {
        if runs > 0 {
            self.with(|world| world.tell(|| format!("      {runs} {what}")));
        }
    }

    /// The run that holds the lock, if any: what the first router says counts.
    fn holder(&self) -> Option<String> {
        self.with(|world| {
            let first = world.inventory.switch.routers.first()?;
            world.servers[&first.name].holder.clone()
        })
    }

    fn wish(&mut self) -> Wish {
        let holder = self.holder();
        let (own, takes_over) =
            self.with(|world| (world.rng.random_range(0..10), world.rng.random_range(0..10)));
        let tag = format!("v{}", self.runs + 1);
        let intent = match own {
            0..=6 => Intent::Deploy { tag, flip: own != 1 },
            7 => Intent::Flip { to: None },
            _ => Intent::Rollback { tag: None },
        };
        match (holder, takes_over) {
            (Some(run), 0..=2) => Intent::Resume { run }.into(),
            (Some(run), 3..=5) => Intent::Abort { run }.into(),
            (steal, _) => Wish {
                without: self.without(&intent),
                steal,
                ..Wish::from(intent)
            },
        }
    }

    /// The host that is away, where a deploy may go on without it.
    fn without(&self, intent: &Intent) -> Vec<String> {
        self.with(|world| {
            let hot = world.servers.values().find_map(|server| server.route);
            let cold = hot.map_or(Pool::Blue, Pool::other);
            let away = world
                .away
                .clone()
                .filter(|away| world.inventory.hosts(cold).iter().any(|host| host.name == *away));
            let deploys = matches!(intent, Intent::Deploy { .. });
            away.into_iter().filter(|_| deploys).collect()
        })
    }

    fn begin(&mut self, wish: Wish) -> Running {
        self.runs += 1;
        let id = format!("r{}", self.runs);
        let (inventory, fleet) = (self.inventory.clone(), self.fleet.clone());
        Box::pin(async move {
            let mut wish = wish;
            for number in 1..=run::PLANS {
                let id = run::numbered(&id, number);
                let tell = |words: String| fleet.world().tell(|| format!("      {id}: {words}"));
                tell(in_words(&wish));
                let plan = match run::make(&inventory, &fleet, &wish, &id, "simulation").await {
                    Ok(plan) => plan,
                    Err(refusal) => {
                        tell(format!("refused: {refusal:?}"));
                        return None;
                    }
                };
                let steps: Vec<_> = plan.steps.iter().map(|step| step.action.name()).collect();
                tell(format!("{} → {}: {}", plan.from, plan.to, steps.join(", ")));
                let (_keep, stop) = tokio::sync::watch::channel(false);
                let request = Request {
                    inventory: inventory.clone(),
                    fleet: Arc::new(fleet.clone()),
                    run: id.clone(),
                    who: "simulation".to_owned(),
                    sink: Sink::silent(),
                    stop,
                    now: || Timestamp::UNIX_EPOCH,
                };
                let ran = run::run(&request, plan, Box::new(Disk(fleet.clone())), false).await;
                let finished = ran.finished;
                tell(format!(
                    "ended as {:?}: {}",
                    finished.end,
                    finished.message.unwrap_or_default()
                ));
                if !finished.stale || number == run::PLANS {
                    return Some((id, ran.plan, finished.end));
                }
                wish = wish.again(&id);
            }
            None
        })
    }

    /// Commands one after the other or at once; each may be killed, or sleep until others are done.
    fn storm(&mut self) {
        let mut asleep: Vec<Running> = Vec::new();
        for _ in 0..COMMANDS {
            self.somebody_is_away();
            let wish = self.wish();
            let mut running = vec![self.begin(wish)];
            if self.with(|world| world.chance(4)) {
                let wish = self.wish();
                running.push(self.begin(wish));
            }
            if self.with(|world| world.chance(2)) {
                running.append(&mut asleep);
            }
            let fate = self.with(|world| world.rng.random_range(0..6));
            let turns = self.with(|world| world.rng.random_range(1..160));
            match fate {
                0 => self.drive(&mut running, TURNS),
                1 => {
                    self.drive(&mut running, turns);
                    self.tell(running.len(), "put to sleep");
                    asleep.append(&mut running);
                }
                _ => {
                    self.drive(&mut running, turns);
                    self.tell(running.len(), "killed");
                    self.kills += u32::try_from(running.len()).unwrap_or(0);
                    running.clear();
                }
            }
        }
        // Who slept goes on at last.
        self.tell(asleep.len(), "awake again");
        self.drive(&mut asleep, TURNS);
    }

    /// A host that cannot be reached for a while, and comes back with what it ran.
    fn somebody_is_away(&self) {
        self.with(|world| {
            let names: Vec<String> = Pool::ALL
                .into_iter()
                .flat_map(|pool| world.inventory.hosts(pool).iter().map(|host| host.name.clone()))
                .collect();
            world.away = if world.chance(4) {
                let at = world.rng.random_range(0..names.len());
                Some(names[at].clone())
            } else {
                None
            };
            if let Some(away) = world.away.clone() {
                world.tell(|| format!("      {away} cannot be reached"));
            }
        });
    }

    /// Messages arrive again; what is unfinished must end, and all must be well.
    fn calm(&mut self) {
        self.with(|world| {
            world.rough = false;
            world.away = None;
            world.tell(|| "      the storm is over".to_owned());
            for message in std::mem::take(&mut world.late) {
                world.arrive(&message);
            }
        });
        for round in 0..ROUNDS {
            let Some(run) = self.holder() else { break };
            let wish = if round % 2 == 0 {
                Intent::Resume { run }
            } else {
                Intent::Abort { run }
            };
            let mut running = vec![self.begin(wish.into())];
            self.drive(&mut running, TURNS);
        }
        let left = self.holder();
        self.with(|world| {
            let routes: std::collections::BTreeSet<_> =
                world.servers.values().filter_map(|server| server.route).collect();
            let mut problems = Vec::new();
            problems.extend(left.map(|run| format!("run {run} could be neither finished nor undone")));
            if routes.len() > 1 {
                problems.push("the routers are split at the end".to_owned());
            }
            let event = world.events;
            for problem in problems {
                world.violations.push(Violation {
                    event,
                    cause: "the end".to_owned(),
                    problem,
                });
            }
        });
    }

    /// Gives turns, in an order that the seed chooses, until all have ended or so many turns are over.
    fn drive(&mut self, running: &mut Vec<Running>, turns: u32) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..turns {
            if running.is_empty() {
                return;
            }
            let at = self.with(|world| world.rng.random_range(0..running.len()));
            if let Poll::Ready(ended) = running[at].as_mut().poll(&mut cx) {
                drop(running.swap_remove(at));
                if let Some((run, plan, end)) = ended {
                    self.said(&run, &plan, end);
                }
            }
            self.with(|world| {
                if !world.late.is_empty() && world.chance(25) {
                    let at = world.rng.random_range(0..world.late.len());
                    let message = world.late.swap_remove(at);
                    world.arrive(&message);
                }
            });
        }
        if turns == TURNS && !running.is_empty() {
            self.violate("a run does not end".to_owned(), "turns");
        }
    }

    /// A wrong last message is a failed run (invariant 14): it is compared with the routers, unless a newer run has
    /// fenced them since.
    fn said(&self, run: &str, plan: &Plan, end: End) {
        let expected = match (end, &plan.taken) {
            (End::Done, Some(taken)) if taken.back || !taken.plan.flips => taken.plan.from,
            (End::Done, Some(taken)) => taken.plan.to,
            (End::Done, None) if plan.flips => plan.to,
            (End::Done | End::Failed | End::RolledBack, None) => plan.from,
            _ => return,
        };
        let wrong = self.with(|world| {
            world
                .servers
                .iter()
                .filter(|(_, server)| server.fenced_by == run)
                .find(|(_, server)| server.route.is_some_and(|pool| pool != expected))
                .map(|(name, _)| name.clone())
        });
        if let Some(router) = wrong {
            let command = plan.intent.command();
            self.violate(
                format!("{command} ended as {end:?}, but {router} does not route to {expected}"),
                "a last message",
            );
        }
    }

    fn violate(&self, problem: String, cause: &str) {
        self.with(|world| {
            let event = world.events;
            world.violations.push(Violation {
                event,
                cause: cause.to_owned(),
                problem,
            });
        });
    }
}

/// `deploy v1 --steal r2`
fn in_words(wish: &Wish) -> String {
    let mut words = wish.intent.command().to_owned();
    match &wish.intent {
        Intent::Deploy { tag, flip } => {
            words.push_str(&format!(" {tag}{}", if *flip { "" } else { " --no-flip" }));
        }
        Intent::Resume { run } | Intent::Abort { run } => words.push_str(&format!(" {run}")),
        Intent::Flip { .. } | Intent::Rollback { .. } | Intent::Prune { .. } => {}
    }
    if let Some(run) = &wish.steal {
        words.push_str(&format!(" --steal {run}"));
    }
    words
}

#[cfg(test)]
mod tests;
