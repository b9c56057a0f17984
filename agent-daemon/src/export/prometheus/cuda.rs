//! The series of calls of CUDA. An agent that has made none has none.

use super::{
    agent_totals::AgentTotals,
    families::Family,
    series::{Series, seconds},
};
use crate::{model::cuda::CudaCall, store::summary::Cuda};

/// The series of one agent's calls; `with` adds labels to the agent's.
pub(super) fn of(
    family: Family,
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
) -> Vec<Series> {
    match family {
        Family::AgentCudaCalls => by_call(totals, with, |calls| calls.calls),
        Family::AgentCudaErrors => by_call(totals, with, |calls| calls.errors),
        Family::AgentCudaBytes => by_call(totals, with, |calls| calls.bytes),
        Family::AgentCudaWaitSeconds => {
            let wait_ns = totals.cuda.iter().map(|calls| calls.wait_ns).fold(0, u64::saturating_add);
            let calls = totals.cuda.iter().any(|calls| calls.calls > 0 || calls.wait_ns > 0);
            calls.then(|| (with(&[]), seconds(wait_ns))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn by_call(
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
    value: impl Fn(&Cuda) -> u64,
) -> Vec<Series> {
    let calls = CudaCall::ALL.iter().zip(&totals.cuda).filter(|(_, calls)| calls.calls > 0);
    calls.map(|(call, calls)| (with(&[call.name().to_owned()]), value(calls) as f64)).collect()
}
