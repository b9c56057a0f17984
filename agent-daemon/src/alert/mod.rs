//! The alert engine: rules over series, what is wrong now, and whom to tell, once.
//!
//! Nothing here but [`live`], [`channel`] and [`reaction`] reads a clock, a file or the network. The caller passes the time and a [`Source`] of series to
//! [`Engine::evaluate`], passes what it says to [`Router::update`], hands on what [`Router::due`] returns, and tells
//! the router how that went. State is saved and restored as values that serde can write.
//!
//! | module | what |
//! |---|---|
//! | [`expr`] | the expression language: parser and checks |
//! | [`eval`] | evaluation over series, bounded |
//! | [`detect`] | anomalies and forecasts |
//! | [`template`] | texts with values in them |
//! | [`rule`] | files of rules |
//! | [`state`] | from a condition to an alert: pending, firing, resolved, flapping |
//! | [`route`] | grouping, deduplication, inhibition, silences, maintenance, rates |
//! | [`channel`] | whom to tell, and how: webhooks, chats, mail, pagers, commands |
//! | [`check`] | tests of rules |
//! | [`history`] | the series that rules look at, remembered |
//! | [`diagnosis`] | what an agent did when an alert began to fire |
//! | [`reaction`] | what alerts do by themselves: profiles, dumps, limits, pauses |
//! | [`live`] | the daemon's rounds, state, files and receivers |

pub mod channel;
pub mod check;
pub mod detect;
pub mod diagnosis;
pub mod error;
pub mod eval;
pub mod expr;
pub mod history;
pub mod labels;
pub mod live;
pub mod matcher;
pub mod reaction;
pub mod route;
pub mod rule;
pub mod state;
pub mod template;

pub use check::check_rules;
pub use eval::Source;
pub use route::Router;
pub use rule::RuleSet;
pub use state::Engine;
