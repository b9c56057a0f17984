//! What a stretch of an agent's time comes to, small enough that an hour of a hundred agents is read at once: sums, and
//! the largest shares of them. The sums are exact. Of functions, calls and processes only the [`TOP`] of each stretch
//! are kept, so over many stretches theirs are lower bounds: what was small everywhere is missing.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use rustc_hash::FxHashMap;

use crate::model::{
    cuda::{CudaCall, CudaStat},
    id::ProcessId,
    ledger::Cause,
    off_cpu::{OffCpuStat, WaitCause},
    stack::{Frame, FrameKind, Stack},
    time::Timestamp,
    window::Window,
};

/// The most functions, calls and processes of each kind in one summary.
pub const TOP: usize = 10;

/// A stretch of one agent's time. `F` is how it names a function: by itself everywhere but in a database.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary<F = Function> {
    /// Start of the stretch.
    pub start: Timestamp,
    /// End of the stretch (exclusive).
    pub end: Timestamp,
    /// Everything, added up.
    pub sums: Sums,
    /// What the sums are made of.
    pub shares: Shares<F>,
}

/// Sums over all rows of some windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// CPU time that was sampled, ns.
    pub cpu_ns: u64,
    /// CPU samples.
    pub cpu_samples: u64,
    /// Time blocked, of all threads, ns.
    pub blocked_ns: u64,
    /// Time runnable but not running, of all threads, ns.
    pub run_queue_ns: u64,
    /// Calls that returned.
    pub syscalls: u64,
    /// Of these, those that failed.
    pub syscall_errors: u64,
}

impl Sums {
    /// The sums of these windows.
    #[must_use]
    pub fn of<S>(windows: &[Window<S>]) -> Self {
        let mut sums = Self::default();
        for row in windows.iter().flat_map(|w| &w.cpu) {
            add(&mut sums.cpu_ns, row.cpu_ns);
            add(&mut sums.cpu_samples, row.samples);
        }
        for row in windows.iter().flat_map(|w| &w.off_cpu) {
            add(&mut sums.blocked_ns, row.blocked_ns);
            add(&mut sums.run_queue_ns, row.run_queue_ns);
        }
        for row in windows.iter().flat_map(|w| &w.syscalls) {
            add(&mut sums.syscalls, row.count);
            row.errors.iter().for_each(|(_, count)| add(&mut sums.syscall_errors, *count));
        }
        sums
    }
}

/// What the sums are made of; each list of the largest is sorted, the largest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares<F = Function> {
    /// Time off the CPU by cause: all of it.
    pub causes: Vec<(WaitCause, Waits)>,
    /// Calls by number, the longest in sum.
    pub calls: Vec<(u32, Calls)>,
    /// CPU time by process, ns.
    pub processes: Vec<(ProcessId, u64)>,
    /// CPU time by the function that ran, ns.
    pub cpu: Vec<(F, u64)>,
    /// Time off the CPU by the function of user code that waited, ns.
    pub off_cpu: Vec<(F, u64)>,
    /// Wall clock by cause, ns: all of it. None where no ledger was kept.
    pub ledger: Vec<(Cause, u64)>,
    /// Calls of CUDA by kind: all of them.
    pub cuda: Vec<(CudaCall, Cuda)>,
}

impl<F> Default for Shares<F> {
    fn default() -> Self {
        let (causes, calls, processes, cpu, off_cpu, ledger, cuda) = Default::default();
        Self { causes, calls, processes, cpu, off_cpu, ledger, cuda }
    }
}

/// One cause's share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Time blocked, ns.
    pub blocked_ns: u64,
    /// Time runnable but not running, ns.
    pub run_queue_ns: u64,
    /// Waits that ended.
    pub count: u64,
}

/// One syscall's share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls that returned.
    pub count: u64,
    /// Of these, those that failed.
    pub errors: u64,
    /// Time inside the call, ns.
    pub total_ns: u64,
}

/// The share of one kind of CUDA's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cuda {
    /// Calls.
    pub calls: u64,
    /// Of these, those that failed.
    pub errors: u64,
    /// Bytes that they asked for.
    pub bytes: u64,
    /// Time in which they waited for the GPU, ns.
    pub wait_ns: u64,
}

/// A function, wherever in it a frame stands.
#[derive(Clone, Debug)]
pub struct Function(Arc<Frame>);

impl Function {
    /// The function of a frame.
    #[must_use]
    pub fn of(frame: &Arc<Frame>) -> Self {
        Self(Arc::clone(frame))
    }

    /// Which world it belongs to.
    #[must_use]
    pub fn kind(&self) -> FrameKind {
        self.0.kind
    }

    /// Its name, as a frame has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.function
    }

    /// The binary it is in, or the script; `None` where that is not known.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        let binary = || self.0.binary.as_ref().map(|binary| binary.path.as_str());
        self.0.file.as_deref().filter(|_| self.0.kind != FrameKind::Native).or_else(binary)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.kind(), self.name(), self.path()) == (other.kind(), other.name(), other.path())
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind(), self.name()).hash(state);
    }
}

impl Summary {
    /// What a window comes to.
    #[must_use]
    pub fn of(window: &Window) -> Self {
        let mut shares = Building::default();
        for row in &window.off_cpu {
            shares.causes.entry(row.cause).or_default().add(row.into());
            if let Some(function) = waiting(&row.stack) {
                add(shares.off_cpu.entry(function).or_default(), off_cpu_ns(row));
            }
        }
        for row in &window.cpu {
            add(shares.processes.entry(row.process).or_default(), row.cpu_ns);
            if let Some(frame) = row.stack.frames.first() {
                add(shares.cpu.entry(Function::of(frame)).or_default(), row.cpu_ns);
            }
        }
        for row in &window.syscalls {
            let errors = row.errors.iter().fold(0, |sum: u64, (_, n)| sum.saturating_add(*n));
            let calls = Calls { count: row.count, errors, total_ns: row.total_ns };
            shares.calls.entry(row.number).or_default().add(calls);
        }
        shares.ledger.extend(window.ledger.causes());
        for row in &window.cuda {
            shares.cuda.entry(row.call).or_default().add(row.into());
        }
        let sums = Sums::of(std::slice::from_ref(window));
        Self { start: window.start, end: window.end, sums, shares: shares.finish() }
    }
}

/// The function of user code that waits; where there is none, the kernel's.
fn waiting(stack: &Stack) -> Option<Function> {
    let user = stack.frames.iter().find(|frame| frame.kind != FrameKind::Kernel);
    user.or(stack.frames.first()).map(Function::of)
}

fn off_cpu_ns(row: &OffCpuStat) -> u64 {
    row.blocked_ns.saturating_add(row.run_queue_ns)
}

impl<F: Clone + Eq + Hash> Shares<F> {
    /// The shares of several stretches together.
    #[must_use]
    pub fn merge<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self
    where
        F: 'a,
    {
        let mut sum = Building::default();
        for shares in all {
            shares.causes.iter().for_each(|(cause, waits)| sum.causes.entry(*cause).or_default().add(*waits));
            shares.calls.iter().for_each(|(number, calls)| sum.calls.entry(*number).or_default().add(*calls));
            shares.processes.iter().for_each(|(id, ns)| add(sum.processes.entry(*id).or_default(), *ns));
            shares.cpu.iter().for_each(|(f, ns)| add(sum.cpu.entry(f.clone()).or_default(), *ns));
            shares.off_cpu.iter().for_each(|(f, ns)| add(sum.off_cpu.entry(f.clone()).or_default(), *ns));
            shares.ledger.iter().for_each(|(cause, ns)| add(sum.ledger.entry(*cause).or_default(), *ns));
            shares.cuda.iter().for_each(|(call, cuda)| sum.cuda.entry(*call).or_default().add(*cuda));
        }
        sum.finish()
    }
}

impl<F> Shares<F> {
    /// The same with functions named otherwise.
    ///
    /// # Errors
    /// Those of `name`.
    pub fn try_map<T, E>(self, mut name: impl FnMut(F) -> Result<T, E>) -> Result<Shares<T>, E> {
        let Self { causes, calls, processes, cpu, off_cpu, ledger, cuda } = self;
        let mut named = |rows: Vec<(F, u64)>| {
            rows.into_iter().map(|(f, ns)| Ok((name(f)?, ns))).collect::<Result<Vec<_>, E>>()
        };
        let (cpu, off_cpu) = (named(cpu)?, named(off_cpu)?);
        Ok(Shares { causes, calls, processes, cpu, off_cpu, ledger, cuda })
    }
}

/// Shares that are being added up.
struct Building<F> {
    causes: FxHashMap<WaitCause, Waits>,
    calls: FxHashMap<u32, Calls>,
    processes: FxHashMap<ProcessId, u64>,
    cpu: FxHashMap<F, u64>,
    off_cpu: FxHashMap<F, u64>,
    ledger: BTreeMap<Cause, u64>,
    cuda: BTreeMap<CudaCall, Cuda>,
}

impl<F> Default for Building<F> {
    fn default() -> Self {
        let (causes, calls, processes, cpu, off_cpu, ledger, cuda) = Default::default();
        Self { causes, calls, processes, cpu, off_cpu, ledger, cuda }
    }
}

impl<F> Building<F> {
    fn finish(self) -> Shares<F> {
        let mut causes: Vec<_> = self.causes.into_iter().collect();
        causes.sort_by_key(|(cause, waits)| (Reverse(waits.ns()), *cause));
        Shares {
            causes,
            calls: largest(self.calls, |calls| calls.total_ns),
            processes: largest(self.processes, |ns| *ns),
            cpu: largest(self.cpu, |ns| *ns),
            off_cpu: largest(self.off_cpu, |ns| *ns),
            ledger: self.ledger.into_iter().collect(),
            cuda: self.cuda.into_iter().collect(),
        }
    }
}

/// The [`TOP`] largest, the largest first.
fn largest<K, V>(all: FxHashMap<K, V>, size: impl Fn(&V) -> u64) -> Vec<(K, V)> {
    let mut rows: Vec<_> = all.into_iter().collect();
    rows.sort_by_key(|(_, value)| Reverse(size(value)));
    rows.truncate(TOP);
    rows.shrink_to_fit();
    rows
}

impl Waits {
    /// Blocked and run queue together, ns.
    #[must_use]
    pub fn ns(&self) -> u64 {
        self.blocked_ns.saturating_add(self.run_queue_ns)
    }

    fn add(&mut self, other: Self) {
        add(&mut self.blocked_ns, other.blocked_ns);
        add(&mut self.run_queue_ns, other.run_queue_ns);
        add(&mut self.count, other.count);
    }
}

impl From<&OffCpuStat> for Waits {
    fn from(row: &OffCpuStat) -> Self {
        Self { blocked_ns: row.blocked_ns, run_queue_ns: row.run_queue_ns, count: row.count }
    }
}

impl Calls {
    fn add(&mut self, other: Self) {
        add(&mut self.count, other.count);
        add(&mut self.errors, other.errors);
        add(&mut self.total_ns, other.total_ns);
    }
}

impl From<&CudaStat> for Cuda {
    fn from(row: &CudaStat) -> Self {
        Self { calls: row.calls, errors: row.errors, bytes: row.bytes, wait_ns: row.wait_ns() }
    }
}

impl Cuda {
    /// Adds other calls of the kind.
    pub fn add(&mut self, other: Self) {
        add(&mut self.calls, other.calls);
        add(&mut self.errors, other.errors);
        add(&mut self.bytes, other.bytes);
        add(&mut self.wait_ns, other.wait_ns);
    }
}

fn add(sum: &mut u64, n: u64) {
    *sum = sum.saturating_add(n);
}

#[cfg(test)]
mod tests;
