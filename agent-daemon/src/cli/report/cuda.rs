//! What an agent asked of CUDA, and how long it waited for the GPU.

use std::fmt::Write;

use super::{
    super::{
        table::{Align, Table},
        units::{bytes, percent, seconds},
    },
    render::word,
};
use crate::api::dto::cuda::CudaReportDto;

/// The calls by kind, and what came of them; nothing of an agent that has not called.
pub(super) fn cuda(report: &CudaReportDto) -> String {
    if report.calls.is_empty() {
        return String::new();
    }
    let calls: u64 = report.calls.iter().map(|calls| calls.count).sum();
    let waits = &report.waits;
    let mut out = format!("\nCUDA  {calls} calls, {} waiting for the GPU\n", seconds(waits.seconds));
    let columns = ["CALLS", "ERRORS", "BYTES", "TIME", "MAX"].map(|title| (title, Align::Right));
    let columns: Vec<_> = columns.into_iter().chain([("KIND", Align::Left)]).collect();
    let mut table = Table::new(&columns);
    for calls in &report.calls {
        table.row(vec![
            calls.count.to_string(),
            calls.errors.to_string(),
            bytes(calls.bytes),
            calls.total_seconds.map_or_else(|| "-".to_owned(), seconds),
            calls.max_seconds.map_or_else(|| "-".to_owned(), seconds),
            word(&calls.call),
        ]);
    }
    out.push_str(&table.render("  "));
    if let Some(asleep) = waits.asleep_seconds.filter(|_| waits.seconds > 0.0) {
        let spun = (waits.seconds - asleep).max(0.0);
        let _ = writeln!(out, "  {} of the waits on a CPU, {} asleep", seconds(spun), seconds(asleep));
    }
    if let Some(gpus) = &report.gpus {
        let _ = writeln!(
            out,
            "  GPU busy {}; idle while the agent worked {} at least",
            percent(gpus.busy_share, 1.0),
            percent(gpus.idle_while_working_share, 1.0)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::dto::cuda::{CudaCallsDto, CudaGpusDto, CudaWaitsDto},
        model::{cuda::CudaCall, host::gpu::GpuProcess},
        store::{fixture, query::AgentGpu},
    };

    #[test]
    fn waits_are_told_apart_and_idleness_is_the_rest() {
        let second = 1_000_000_000;
        let sums = [
            fixture::cuda(1, CudaCall::Launch, 1000),
            crate::model::cuda::CudaStat {
                total_ns: 3 * second,
                ..fixture::cuda(1, CudaCall::Synchronize, 2)
            },
        ];
        let waits = CudaWaitsDto::new(&sums, 10 * second, Some(second));
        let process = GpuProcess { busy_ns: Some(4 * second), ..GpuProcess::default() };
        let gpus = [AgentGpu { uuid: "GPU-0".to_owned(), name: String::new(), processes: vec![process] }];
        let mut report = CudaReportDto {
            agent: "1-1".to_owned(),
            covered: None,
            watched: true,
            calls: sums.iter().map(|sum| CudaCallsDto::new(sum, None, None)).collect(),
            gpus: CudaGpusDto::new(&gpus, 10 * second, &waits),
            waits,
        };
        let text = cuda(&report);
        for expected in [
            "CUDA  1002 calls, 3.00 s waiting for the GPU",
            "2.00 s of the waits on a CPU, 1.00 s asleep",
            "GPU busy 40.0 %; idle while the agent worked 30.0 % at least",
        ] {
            assert!(text.contains(expected), "{text}");
        }
        assert_eq!(CudaGpusDto::new(&[], 10 * second, &report.waits), None);
        report.calls.clear();
        assert_eq!(cuda(&report), "");
    }
}
