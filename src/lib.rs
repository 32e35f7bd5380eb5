//! pointsman moves live traffic from one pool of servers to the other: it deploys a new tag to the
//! cold pool, proves it healthy, then flips the switch so that the cold pool goes hot.
//!
//! Data flows one way: an [`inventory`] and what [`observe`] reads of the world go into the pure
//! planner ([`plan`]); [`run`] executes the plan through [`steps`] and writes the [`journal`]; steps act through a
//! [`fleet`], which is [`switch`], [`compose`] and [`health`] over [`remote`]; everything seen is an event of [`report`].

pub mod cli;
pub mod compose;
pub mod error_rate;
pub mod fleet;
pub mod health;
pub mod http;
pub mod inventory;
pub mod journal;
pub mod observe;
pub mod plan;
pub mod remote;
pub mod report;
pub mod run;
pub mod simulate;
pub mod state;
pub mod steps;
pub mod switch;
