//! What reports of calls are asked by: a range, and whether processes are told apart.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    api::{error::Problem, range::RangeQuery},
    model::{
        agent::Agent,
        time::{TimeRange, Timestamp},
    },
    store::query::By,
};

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// How far back, such as `60s`.
    since: Option<String>,
    /// Start of the range; without any range, since the agent was attached.
    from: Option<String>,
    /// End of the range.
    to: Option<String>,
    /// What the calls are summed over; all processes if absent.
    #[param(inline)]
    by: Option<Over>,
}

/// What calls are summed over.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Over {
    /// All processes of the agent.
    Agent,
    /// Each process by itself.
    Process,
}

impl Params {
    /// The range as of now.
    pub(super) fn range(&self, agent: &Agent) -> Result<TimeRange, Problem> {
        let Self { since, from, to, .. } = self;
        let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
        range.resolve(agent, Timestamp::now())
    }

    /// What the calls are summed over.
    pub(super) fn by(&self) -> By {
        match self.by {
            Some(Over::Process) => By::Process,
            Some(Over::Agent) | None => By::Agent,
        }
    }
}
