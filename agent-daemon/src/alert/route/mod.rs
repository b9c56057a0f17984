//! Whom to tell what, once: routes, groups, silences, inhibitions, maintenance, rates.
//!
//! The [`Router`] takes the engine's alerts and returns [`Notification`]s. Each has an id that is made of what it
//! says and of how many came before it for its group: after a crash the same message has the same id, so a
//! receiver can tell a repetition. One message of a group is on its way at a time; it is tried again, unchanged,
//! until it is delivered or too old, and what changed meanwhile is the next message. An alert counts as told only
//! when the message that held it was delivered, so nothing is lost; told alerts are told again only when they
//! resolve, or after `repeat_interval`.
//!
//! What is muted is not told: neither that it fires, nor again. That an alert resolved which was told is never
//! muted. An alert that fires and resolves before its group's first message is never told.

mod config;
mod group;
mod mute;
mod rate;
mod router;
mod schedule;
mod silence;
#[cfg(test)]
mod tests;

/// The routes that are in force unless the configuration says otherwise, in the form of [`Config::parse`].
pub const DEFAULT_ROUTES: &str = include_str!("../default_routes.yaml");

pub use config::{Config, GroupBy, Inhibition, Route};
pub use group::{Notification, Status};
pub use mute::Muted;
pub use rate::Rate;
pub use router::{Delivery, Router, Saved};
pub use schedule::Maintenance;
pub use silence::{Silence, SilenceError};
