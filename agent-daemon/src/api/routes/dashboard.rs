//! What a dashboard needs, in one answer.

use std::{cmp::Ordering, collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use axum::{Json, extract::State as Shared};
use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::{
    api::{
        dto::{
            agent::AgentStateDto,
            dashboard::{
                AgentRowDto, CauseAmountDto, DashboardDto, HostDto, ProcessRowDto, SeriesDto, short,
            },
            dashboard_operations::DashboardOperationsDto,
            status::OwnUsageDto,
        },
        error::Problem,
        extract::StrictQuery,
        openapi::Refusals,
        state::State,
    },
    model::{
        agent::Agent,
        id::{AgentId, ProcessId},
        off_cpu::WaitCause,
        time::Timestamp,
    },
    store::{
        ProcessCounts, Store,
        query::{
            AgentAmounts, Amounts, Buckets, CauseAmount, Dashboard, DashboardFold, GroupBy, OperationFilter,
            operation_summary,
        },
    },
    telemetry::Reading,
};

/// The longest range, hours: the longest history that can be configured.
const MAX_HOURS: u32 = 744;

/// Functions, processes, calls and endpoints that are shown of each kind.
const MOST: usize = 20;

/// Agents that are shown.
const MOST_AGENTS: usize = 256;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// How many hours back; 1 if absent, 744 at most.
    #[param(minimum = 1, maximum = 744)]
    hours: Option<u32>,
}

/// The dashboard
///
/// The host, its agents, where their time went and how that changed, the heaviest functions, processes and syscalls,
/// the slowest endpoints of applications, losses, and what agentperf costs. Answered from sums that are kept beside the history, so that it is cheap to ask
/// again and again.
#[utoipa::path(get, path = "/api/v1/dashboard", tag = "reports", params(Params),
    responses((status = 200, body = DashboardDto, description = "Everything at a glance"), Refusals))]
pub(super) async fn dashboard(
    Shared(state): Shared<State>,
    StrictQuery(Params { hours }): StrictQuery<Params>,
) -> Result<Json<DashboardDto>, Problem> {
    let hours = hours.unwrap_or(1);
    if !(1..=MAX_HOURS).contains(&hours) {
        return Err(Problem::bad_request(format_args!("`hours` must be 1 to {MAX_HOURS}")));
    }
    let buckets = Buckets::back_from(Timestamp::now(), hours);
    let seen = state.fold(move |store| Ok(Seen::read(store, buckets)?)).await?;
    Ok(Json(seen.answer(&state, &buckets)))
}

/// What the store says.
struct Seen {
    agents: Vec<Agent>,
    dashboard: Dashboard,
    counts: FxHashMap<AgentId, ProcessCounts>,
    processes: Vec<ProcessRowDto>,
    operations: DashboardOperationsDto,
}

impl Seen {
    fn read(store: &dyn Store, buckets: Buckets) -> Result<Self, crate::store::StoreError> {
        let mut fold = DashboardFold::new(buckets);
        store.summarize(buckets.range, &mut |agent, summary| fold.add(agent, summary))?;
        let dashboard = fold.finish(MOST);
        let row = |((agent, id), ns): &((AgentId, ProcessId), f64)| {
            let process = store.process(agent, *id)?;
            Ok(ProcessRowDto {
                agent: agent.to_string(),
                pid: id.pid(),
                comm: process.as_ref().map(|p| p.comm.clone()),
                cpu_seconds: short(*ns),
                peak_rss_bytes: process.map(|p| p.peak_rss_bytes),
            })
        };
        let processes = dashboard.processes.iter().map(row).collect::<Result<_, _>>()?;
        let counts = store.count_processes(buckets.range)?.into_iter().collect();
        let filter = OperationFilter::default();
        let operations = operation_summary(store, buckets.range, &filter, GroupBy::Endpoint)?;
        let operations = DashboardOperationsDto::new(&operations, MOST);
        Ok(Self { agents: store.agents(), dashboard, counts, processes, operations })
    }

    fn answer(self, state: &State, buckets: &Buckets) -> DashboardDto {
        let reading = Reading::take();
        let losses = state.telemetry.losses.all().into_iter().filter(|(_, n)| *n > 0);
        let mut agents: Vec<_> = self.agents.iter().filter_map(|agent| self.row(agent)).collect();
        agents.sort_by(by_cpu_time);
        let agents_total = agents.len();
        agents.truncate(MOST_AGENTS);
        let dashboard = &self.dashboard;
        DashboardDto {
            from: buckets.range.from,
            to: buckets.range.to,
            host: HostDto::new(&state.host, &reading),
            totals: (&total(dashboard)).into(),
            series: SeriesDto::new(buckets, &dashboard.series),
            causes: CauseAmountDto::all(&causes(dashboard)),
            agents,
            agents_total,
            functions_cpu: dashboard.cpu.iter().map(Into::into).collect(),
            functions_off_cpu: dashboard.off_cpu.iter().map(Into::into).collect(),
            syscalls: dashboard.calls.iter().map(Into::into).collect(),
            losses: losses.map(|(name, n)| (name.to_owned(), n)).collect(),
            own: OwnUsageDto {
                cpu_seconds: reading.own.cpu_seconds,
                rss_bytes: reading.own.rss_bytes,
                unwind_table_bytes: state.telemetry.unwind_table_bytes.load(Relaxed),
            },
            operations: self.operations,
            processes: self.processes,
        }
    }

    /// The agent's row, if it is watched or did something.
    fn row(&self, agent: &Agent) -> Option<AgentRowDto> {
        let nothing = AgentAmounts::default();
        let amounts = match self.dashboard.agents.get(&agent.id) {
            Some(amounts) => amounts,
            None if agent.ended.is_none() => &nothing,
            None => return None,
        };
        let counts = self.counts.get(&agent.id).copied().unwrap_or_default();
        Some(AgentRowDto {
            id: agent.id.to_string(),
            name: agent.name.clone(),
            pid: agent.root.pid(),
            state: if agent.ended.is_some() { AgentStateDto::Ended } else { AgentStateDto::Live },
            totals: (&amounts.total).into(),
            causes: CauseAmountDto::all(&amounts.causes),
            // What the store has not seen end lives only as long as its agent is watched.
            processes_live: if agent.ended.is_some() { 0 } else { counts.live },
            processes_ended: counts.ended,
            cpu_seconds_series: amounts.cpu_ns.iter().map(|ns| short(*ns)).collect(),
        })
    }
}

fn by_cpu_time(a: &AgentRowDto, b: &AgentRowDto) -> Ordering {
    let key = |row: &AgentRowDto| row.totals.cpu_seconds + row.totals.blocked_seconds * 1e-9;
    key(b).total_cmp(&key(a)).then_with(|| a.id.cmp(&b.id))
}

fn total(dashboard: &Dashboard) -> Amounts {
    dashboard.series.iter().fold(Amounts::default(), |sum, bucket| sum.with(bucket))
}

fn causes(dashboard: &Dashboard) -> BTreeMap<WaitCause, CauseAmount> {
    let mut all: BTreeMap<WaitCause, CauseAmount> = BTreeMap::new();
    for (cause, amount) in dashboard.agents.values().flat_map(|agent| &agent.causes) {
        let sum = all.entry(*cause).or_default();
        *sum = sum.with(amount);
    }
    all
}
