//! Which kernel tests a machine does not run, and why. Whatever is not listed here runs.

use super::axis::Axis;

/// Tests that are left out.
pub(super) struct Omission {
    /// A test's name, or a module's with `::` at its end.
    tests: &'static str,
    on: On,
    /// Ends the sentence "not run, because …".
    pub(super) reason: &'static str,
}

/// Where a test is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Each,
    Lockdown,
    Unprivileged,
}

const KERNEL_FREE: &str = "it asks nothing of the kernel";
const SLOW_START: &str =
    "under emulation a program's start, of which its truth knows nothing, weighs as much as its work";

const OMISSIONS: &[Omission] = &[
    each("systemd::", "it boots a container; the unprivileged machine has the unit's user and capabilities"),
    each("real_agent::", "it needs packages from a registry, and the machines have no network"),
    each("bounds::", "tens of thousands of forks take minutes under emulation"),
    each(
        "lifecycle::five_hundred_commands_are_seen_with_their_ends",
        "hundreds of commands take a minute under emulation",
    ),
    each("cpu::two_functions_share_the_cpu_as_they_say", SLOW_START),
    each("lifecycle::cpu_time_of_a_process", SLOW_START),
    each(
        "cli::attach_without_a_daemon",
        "naming a window may take half a second of CPU, in which emulation does not even read the kernel's symbols",
    ),
    each(
        "cpu::samples_stand_for_the_cpu_time_that_was_used",
        "an emulated clock goes on while the host runs something else, and its ticks are lost",
    ),
    each("symbols::a_container_on_overlayfs", "overlayfs is a module, and the machines load none"),
    each(
        "files::files_of_a_container_have_the_paths_and_bytes_that_it_sees",
        "overlayfs is a module, and the machines load none",
    ),
    each("unwind::blocked::", "it needs gdb and other Pythons, and the machines have no network"),
    each("unwind::python::", "it needs py-spy and other Pythons, and the machines have no network"),
    each(
        "unwind::budget::no_long_wait_loses_its_stack_when_the_budget_is_used_up",
        "under emulation our own programs weigh more than the short waits that they measure",
    ),
    each("unwind::deaths::", "hundreds of programs in a row are not named in time under emulation"),
    each(
        "unwind::stopgap::the_first_stacks_are_whole_and_right",
        "under emulation the other unwinder takes longer than the half second that the test looks at",
    ),
    each(
        "unwind::mappings::programs_at_the_same_place_are_kept_apart",
        "under emulation a window's names take longer than they may",
    ),
    each("workloads::", "the machines have no compiler"),
    each("prometheus::", "the machines have no Prometheus"),
    each("export::", "the machines have no Prometheus, VictoriaMetrics or collector"),
    each("durable::", "the store asks nothing of the kernel, and its kills take minutes under emulation"),
    each("journal::", "what is stored asks nothing of the kernel"),
    each("operations::", "it needs packages from a registry, or asks nothing of the kernel"),
    each("wire::sdk::", "it needs packages from registries, and the machines have no network"),
    each("wire::mcp::", "it needs packages from registries, and the machines have no network"),
    each("cli::help_and_completions_need_no_privileges", KERNEL_FREE),
    each("pprof::a_profile_of_nobody_is_refused", KERNEL_FREE),
    each("refusals::a_port_in_use_is_named", KERNEL_FREE),
    each("refusals::an_unknown_key_is_named_with_its_place", KERNEL_FREE),
    each("refusals::other_web_pages_get_nothing", KERNEL_FREE),
    each("refusals::requests_that_make_no_sense_are_refused", KERNEL_FREE),
    each("rules::the_built_in_rules_are_listed", KERNEL_FREE),
    lockdown("off_cpu::waits_of_known_length", "what a descriptor is must not be read there"),
    lockdown(
        "unwind::budget::a_process_that_slept_already_has_its_stack",
        "memory of a thread that does not run must not be read there",
    ),
    unprivileged(
        "cli::attach_through_a_running_daemon",
        "the test's file is root's, and agentperf may not write it",
    ),
    unprivileged("cli::record_runs_a_command_and_reports", "only root can give a command its caller's user"),
    unprivileged("reactions::", "the unit may neither signal processes of others nor write cgroups"),
    unprivileged(
        "syscalls::calls_are_counted_exactly_where_the_kernels_memory_is_not_read",
        "loading such programs needs CAP_SYS_ADMIN, which the unit does not give",
    ),
];

const fn each(tests: &'static str, reason: &'static str) -> Omission {
    Omission { tests, on: On::Each, reason }
}

const fn lockdown(tests: &'static str, reason: &'static str) -> Omission {
    Omission { tests, on: On::Lockdown, reason }
}

const fn unprivileged(tests: &'static str, reason: &'static str) -> Omission {
    Omission { tests, on: On::Unprivileged, reason }
}

impl Omission {
    fn covers(&self, test: &str) -> bool {
        test == self.tests || self.tests.ends_with("::") && test.starts_with(self.tests)
    }

    fn applies(&self, axis: &Axis) -> bool {
        match self.on {
            On::Each => true,
            On::Lockdown => axis.lockdown,
            On::Unprivileged => axis.unprivileged,
        }
    }
}

/// Why a machine does not run a test; `None` if it does.
pub(super) fn reason(test: &str, axis: &Axis) -> Option<&'static str> {
    let omission = OMISSIONS.iter().find(|omission| omission.covers(test) && omission.applies(axis));
    omission.map(|omission| omission.reason)
}

/// Rows that no test needs any more.
pub(super) fn stale(tests: &[String]) -> Vec<&'static str> {
    let unused = |omission: &&Omission| !tests.iter().any(|test| omission.covers(test));
    OMISSIONS.iter().filter(unused).map(|omission| omission.tests).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_left_out_by_its_name_or_its_module() {
        let axis = &Axis::chosen(Some("6.1"), false, false)[0];
        assert!(reason("systemd::it_starts", axis).is_some());
        assert_eq!(reason("rules::the_built_in_rules_are_listed", axis), Some(KERNEL_FREE));
        assert_eq!(reason("rules::the_built_in_rules_are_listed_twice", axis), None);
        assert_eq!(reason("a_new_test", axis), None);
        let record = "cli::record_runs_a_command_and_reports";
        assert_eq!(reason(record, axis), None);
        assert!(reason(record, &Axis::chosen(None, false, true)[0]).is_some());
    }

    #[test]
    fn a_row_without_a_test_is_told() {
        let tests: Vec<String> =
            OMISSIONS.iter().skip(1).map(|omission| format!("{}x", omission.tests)).collect();
        assert!(stale(&tests).contains(&"systemd::"));
        assert!(!stale(&tests).contains(&"real_agent::"));
    }
}
