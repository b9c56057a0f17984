//! Names of kernel functions, from /proc/kallsyms alone: no kernel image, no kcore. The table takes some 8 MB
//! and 60 ms to read, so that it is read at the first new address, and dropped when none came for [`IDLE`].
//!
//! Also knows which frames of a kernel stack are not the traced thread's doing, but the tracing itself.

use std::{
    fs,
    time::{Duration, Instant},
};

use blazesym::{
    MaybeDefault,
    symbolize::{
        Input, Symbolizer,
        source::{self, Source},
    },
};

use super::{demangle::cut, symbols::guarded};

/// How long the table is held after its last use.
const IDLE: Duration = Duration::from_secs(60);
/// Frames within which the tracing's own ones end.
const TRACER_DEPTH: usize = 16;

/// The kernel's symbols.
pub(super) struct KernelNames {
    loaded: Option<Loaded>,
}

struct Loaded {
    symbolizer: Symbolizer,
    /// The modules at the time; symbols have no sizes, so that code of a later one would get a wrong name.
    modules: Vec<u8>,
    used: Instant,
}

impl KernelNames {
    pub(super) fn new() -> Self {
        Self { loaded: None }
    }

    /// Names kernel addresses, one name each; `None` where the kernel hides its symbols from us.
    pub(super) fn names(&mut self, addresses: &[u64]) -> Vec<Option<String>> {
        let modules = fs::read("/proc/modules").unwrap_or_default();
        self.loaded = self.loaded.take().filter(|l| l.modules == modules);
        let loaded = self.loaded.get_or_insert_with(|| Loaded {
            symbolizer: Symbolizer::new(),
            modules,
            used: Instant::now(),
        });
        loaded.used = Instant::now();
        let kernel = source::Kernel {
            vmlinux: MaybeDefault::None,
            kaslr_offset: Some(0),
            debug_syms: false,
            ..source::Kernel::default()
        };
        let source = Source::Kernel(kernel);
        let found = guarded(|| loaded.symbolizer.symbolize(&source, Input::AbsAddr(addresses)));
        let Some(Ok(found)) = found else { return vec![None; addresses.len()] };
        found.iter().map(|s| s.as_sym().map(|s| cut(&s.name))).collect()
    }

    /// Lets go of the table if it was not used for a while; tells whether it did.
    pub(super) fn sweep(&mut self) -> bool {
        self.loaded.take_if(|l| l.used.elapsed() >= IDLE).is_some()
    }
}

/// How a stack was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Taken {
    /// By a timer, in whatever ran.
    OnCpu,
    /// By the scheduler, at switch-out.
    OffCpu,
}

/// How many of the innermost kernel frames belong to the tracing.
///
/// A stack taken at switch-out begins in the program that took it, and comes by the tracepoint's machinery to
/// `__schedule`. Which frames these are changes with the kernel, and a program that was replaced has no name
/// any more: the scheduler's own function is the landmark, and where it is missing the last frame that is known
/// to be the machinery's. A stack taken by a timer begins in the interrupted code; some kernels put the
/// interrupt's frames before it.
pub(super) fn tracer_frames(taken: Taken, names: &[Option<&str>]) -> usize {
    let innermost = names.iter().take(TRACER_DEPTH);
    let last = |is: fn(&str) -> bool| innermost.clone().rposition(|n| n.is_some_and(is)).map_or(0, |i| i + 1);
    match taken {
        Taken::OffCpu => match innermost.clone().position(|n| n.is_some_and(is_scheduler)) {
            Some(first) => first,
            None => last(is_tracer),
        },
        Taken::OnCpu if last(is_overflow) > 0 => last(|n| is_overflow(n) || is_interrupt(n)),
        Taken::OnCpu => 0,
    }
}

fn is_scheduler(name: &str) -> bool {
    name == "__schedule" || name.starts_with("__schedule.")
}

/// Programs, their helpers, and what calls them from a tracepoint.
fn is_tracer(name: &str) -> bool {
    ["bpf_", "__bpf_", "___bpf_", "__traceiter_", "trace_call_bpf", "perf_trace_", "perf_call_bpf", "ftrace_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// What handles the overflow of a performance counter, or the timer that stands in for one.
fn is_overflow(name: &str) -> bool {
    name.contains("perf_event_overflow")
        || ["bpf_overflow_handler", "perf_swevent_", "cpu_clock_event_", "bpf_get_stack"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// What leads from an interrupt to its handler.
fn is_interrupt(name: &str) -> bool {
    let parts = ["hrtimer_", "sysvec_apic_timer", "irq_work", "exc_nmi", "nmi_handle", "default_do_nmi"];
    parts.iter().any(|part| name.contains(part)) || name == "end_repeat_nmi"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept<'a>(taken: Taken, names: &[&'a str]) -> Vec<&'a str> {
        let optional: Vec<_> = names.iter().map(|n| Some(*n).filter(|n| *n != "?")).collect();
        names[tracer_frames(taken, &optional)..].to_vec()
    }

    #[test]
    fn stacks_begin_in_the_scheduler() {
        let stack =
            ["bpf_get_stackid_raw_tp", "?", "bpf_trace_run4", "__traceiter_sched_switch", "__schedule"];
        assert_eq!(kept(Taken::OffCpu, &stack), ["__schedule"]);
        assert_eq!(
            kept(Taken::OffCpu, &["?", "?", "__schedule.constprop.0", "schedule"])[0],
            "__schedule.constprop.0"
        );
    }

    #[test]
    fn without_the_scheduler_the_machinery_is_dropped() {
        let stack = ["bpf_prog_0123_switch", "?", "bpf_trace_run4", "?", "schedule"];
        assert_eq!(kept(Taken::OffCpu, &stack), ["?", "schedule"]);
        assert_eq!(kept(Taken::OffCpu, &["?", "schedule"]), ["?", "schedule"]);
    }

    #[test]
    fn samples_begin_in_the_interrupted_code() {
        let stack = [
            "bpf_prog_1_cpu",
            "bpf_overflow_handler",
            "__perf_event_overflow",
            "perf_swevent_hrtimer",
            "__hrtimer_run_queues",
            "hrtimer_interrupt",
            "__sysvec_apic_timer_interrupt",
            "asm_sysvec_apic_timer_interrupt",
            "vfs_read",
        ];
        assert_eq!(kept(Taken::OnCpu, &stack), ["vfs_read"]);
        assert_eq!(kept(Taken::OnCpu, &["hrtimer_interrupt", "vfs_read"]).len(), 2, "a timer's own work");
    }

    #[test]
    fn the_kernel_names_its_functions() {
        let text = fs::read_to_string("/proc/kallsyms").unwrap();
        let symbol = |name: &str| {
            let line = text.lines().find(|l| l.ends_with(name)).unwrap();
            u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap()
        };
        let address = symbol(" T schedule");
        let names = KernelNames::new().names(&[address, address + 1]);
        let expected = (address != 0).then(|| "schedule".to_owned());
        assert_eq!(names, [expected.clone(), expected]);
    }
}
