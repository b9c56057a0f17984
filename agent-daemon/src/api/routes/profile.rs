//! Profiles of an agent, in the formats of others' tools.

use axum::{
    extract::State as Shared,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use rustc_hash::FxHashSet;
use serde::Deserialize;

use crate::{
    api::{
        dto::{
            CoveredDto,
            problem::ProblemDto,
            profile::{ProfileDto, ProfileFormatDto, ProfileStackDto, ProfileTypeDto},
            seconds,
        },
        error::Problem,
        extract::{AgentPath, StrictQuery},
        formats::{Subject, folded, pprof, speedscope, svg},
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::{
        id::ProcessId,
        probe::Probe,
        time::{TimeRange, Timestamp},
    },
    store::{
        Store,
        query::{self, CoveredFold, Profile, ProfileFold, ProfileKind, ProfileStack},
    },
};

/// A flame graph carries its own script and style; nothing else may run or load.
const SVG_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                          frame-ancestors 'none'; sandbox allow-scripts allow-modals";

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
    /// Only of the processes with this pid.
    pid: Option<u32>,
    /// What is weighed; `cpu` if absent.
    #[serde(default, rename = "type")]
    #[param(inline)]
    kind: ProfileTypeDto,
    /// How it is written; `pprof` if absent.
    #[serde(default)]
    #[param(inline)]
    format: ProfileFormatDto,
}

/// A profile
///
/// Stacks weighed by CPU time or by time off the CPU, all processes together unless `pid` names some.
#[utoipa::path(get, path = "/api/v1/agents/{id}/profile", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses(
        (status = 200, description = "The profile", content(
            (Vec<u8> = "application/octet-stream"),
            (String = "text/plain; charset=utf-8"),
            (String = "image/svg+xml"),
            (ProfileDto = "application/json"),
        )),
        (status = 409, body = ProblemDto, content_type = "application/problem+json", description = "The agent is not watched by this probe, and nothing is known from before"),
        AgentRefusals,
    ))]
pub(super) async fn profile(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Response, Problem> {
    let Params { since, from, to, pid, kind, format } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let (pid, kind, format) = (*pid, *kind, *format);
    let agent = state.agent(&id)?;
    let range = range.resolve(&agent, Timestamp::now())?;
    let fold = state.fold(move |store| {
        let processes = store.processes(&id, TimeRange::ALL)?;
        let of_pid = |pid| processes.iter().map(|p| p.id).filter(|id| id.pid() == pid).collect();
        let of: Option<FxHashSet<ProcessId>> = pid.map(of_pid);
        render(store, &Subject::new(agent, processes), (range, of.as_ref()), kind, format)
    });
    Ok(fold.await?.into_response())
}

/// A rendered profile and the headers that go with its format.
type Rendered = (HeaderMap, Vec<u8>);

fn render(
    store: &dyn Store,
    subject: &Subject,
    (range, of): (TimeRange, Option<&FxHashSet<ProcessId>>),
    kind: ProfileTypeDto,
    format: ProfileFormatDto,
) -> Result<Rendered, Problem> {
    let (wanted, probe) = match kind {
        ProfileTypeDto::Cpu => (ProfileKind::Cpu, Probe::Cpu),
        ProfileTypeDto::OffCpu => (ProfileKind::OffCpu, Probe::OffCpu),
    };
    let fold = (CoveredFold::default(), ProfileFold::new(wanted, of));
    let (covered, profile) = query::over(store, &subject.agent.id, range, fold)?;
    if profile.stacks.is_empty() && !subject.agent.probes.contains(probe) {
        return Err(not_watched(subject, probe));
    }
    let name = format!("{}-{}", probe.name(), subject.agent.id);
    let plain = |media_type| HeaderMap::from_iter([content_type(media_type)]);
    Ok(match format {
        ProfileFormatDto::Pprof => pprof_file(&profile, subject, &name)?,
        ProfileFormatDto::Folded => {
            (plain("text/plain; charset=utf-8"), folded::text(&profile, subject).into_bytes())
        }
        ProfileFormatDto::Svg => {
            let mut headers = plain("image/svg+xml");
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SVG_POLICY));
            (headers, svg::flame_graph(&profile, subject).map_err(|e| Problem::internal("svg", &e))?)
        }
        ProfileFormatDto::Speedscope => {
            let document = speedscope::document(&profile, subject);
            let mut headers = plain("application/json");
            headers.extend([attachment(&format!("{name}.speedscope.json"))?]);
            (headers, document.map_err(|e| Problem::internal("speedscope", &e))?)
        }
        ProfileFormatDto::Json => {
            let dto = json(&profile, subject, kind, covered.map(Into::into));
            let bytes = serde_json::to_vec(&dto).map_err(|e| Problem::internal("profile", &e))?;
            (plain("application/json"), bytes)
        }
    })
}

pub(super) fn not_watched(subject: &Subject, probe: Probe) -> Problem {
    let (id, name) = (&subject.agent.id, probe.name());
    let detail = format!("agent {id} is not watched by the probe {name}, and nothing is known from before");
    Problem::conflict("probe-off", "Probe is off", detail)
}

/// The CPU profile of some processes of the agent, as pprof clients fetch it.
pub(super) fn pprof_of(
    store: &dyn Store,
    subject: &Subject,
    range: TimeRange,
    of: &FxHashSet<ProcessId>,
) -> Result<Rendered, Problem> {
    let fold = ProfileFold::new(ProfileKind::Cpu, Some(of));
    let profile = query::over(store, &subject.agent.id, range, fold)?;
    pprof_file(&profile, subject, &format!("cpu-{}", subject.agent.id))
}

fn pprof_file(profile: &Profile, subject: &Subject, name: &str) -> Result<Rendered, Problem> {
    let bytes = pprof::gzipped(profile, subject).map_err(|e| Problem::internal("pprof", &e))?;
    let headers = [content_type(pprof::MEDIA_TYPE), attachment(&format!("{name}.pb.gz"))?];
    Ok((HeaderMap::from_iter(headers), bytes))
}

fn content_type(media_type: &'static str) -> (HeaderName, HeaderValue) {
    (header::CONTENT_TYPE, HeaderValue::from_static(media_type))
}

fn attachment(file: &str) -> Result<(HeaderName, HeaderValue), Problem> {
    let value = HeaderValue::from_str(&format!("attachment; filename=\"{file}\""));
    Ok((header::CONTENT_DISPOSITION, value.map_err(|e| Problem::internal("file name", &e))?))
}

fn json(
    profile: &Profile,
    subject: &Subject,
    kind: ProfileTypeDto,
    covered: Option<CoveredDto>,
) -> ProfileDto {
    let stack = |row: &ProfileStack| ProfileStackDto {
        pid: row.process.pid(),
        comm: subject.comm(row.process).map(str::to_owned),
        cause: row.cause.map(Into::into),
        count: row.count,
        seconds: seconds(row.ns),
        stack: row.stack.as_ref().into(),
    };
    ProfileDto {
        agent: subject.agent.id.to_string(),
        kind,
        covered,
        seconds: seconds(profile.stacks.iter().fold(0, |sum, s| sum.saturating_add(s.ns))),
        stacks: profile.stacks.iter().map(stack).collect(),
    }
}
