//! Stacks: raw addresses of one process become frames, without the tracing's own, and equal stacks become one
//! allocation, across windows and processes. Three bounded caches: by raw stack, so that a stack seen before
//! costs a look-up; by frames, so that stacks of processes at other addresses are shared; and the frames' own.

use std::{
    num::NonZeroUsize,
    sync::{Arc, PoisonError},
};

use lru::LruCache;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    frames::{Budget, Clock, FrameKey, Frames, Origin, Round},
    interleave::interleave,
    kallsyms::{Taken, tracer_frames},
    mappings::{Code, CodeIds, Image, Processes},
};
use crate::{
    model::{
        id::{ProcessId, Slot},
        observation::{Addresses, Counted, Interpreter, RawStack},
        stack::{Frame, FrameKind, Stack, StackEnd},
    },
    telemetry::{Loss, Losses},
    unwind::{Grouping, Interpreters, Unwinder},
};

/// Stacks kept, by raw addresses and by frames: some 1 KB each.
const CACHED: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// No code stands below this address: the first page is never mapped.
const LOWEST: u64 = 4096;

/// A stack to name.
pub(super) struct Asked<'a> {
    pub(super) process: ProcessId,
    pub(super) stack: &'a RawStack,
    pub(super) taken: Taken,
    /// What is lost if there is no time to name it, ns.
    pub(super) weight: u64,
}

/// Identifies a named stack: the image it was taken in, and the number under which the names of its generated code
/// hold.
#[derive(Clone, PartialEq, Eq, Hash)]
struct StackKey {
    image: u64,
    generated: u64,
    taken: Taken,
    stack: RawStack,
}

/// The frames of a stack, by identity: frames of equal places are one allocation while they are cached.
#[derive(PartialEq, Eq, Hash)]
struct Shape(Box<[usize]>, StackEnd);

/// A stack on its way.
struct Planned {
    key: StackKey,
    kernel: Vec<FrameKey>,
    user: Vec<FrameKey>,
    /// How Python's frames group, if the process runs Python.
    python: Option<Grouping>,
}

/// A stack to be had, at the latest when the round is named.
enum Pending {
    Ready(Arc<Stack>),
    Planned(usize),
}

/// Names stacks.
pub(super) struct Stacks {
    pub(super) processes: Processes,
    pub(super) frames: Frames,
    by_addresses: LruCache<StackKey, Arc<Stack>>,
    by_frames: LruCache<Shape, Arc<Stack>>,
    lost_kernel: Arc<Frame>,
    ids: Arc<CodeIds>,
    interpreters: Arc<Interpreters>,
    unwinder: Option<Unwinder>,
}

impl Stacks {
    pub(super) fn new(
        ids: Arc<CodeIds>,
        interpreters: Arc<Interpreters>,
        unwinder: Option<Unwinder>,
    ) -> Self {
        Self {
            processes: Processes::new(),
            frames: Frames::new(),
            by_addresses: LruCache::new(CACHED),
            by_frames: LruCache::new(CACHED),
            lost_kernel: Arc::new(lost_kernel()),
            ids,
            interpreters,
            unwinder,
        }
    }

    /// Names stacks, in the order they are asked for.
    pub(super) fn name(&mut self, asked: &[Asked<'_>], budget: Budget, losses: &Losses) -> Vec<Arc<Stack>> {
        self.interpreters.begin_round();
        // Native frames have what interpreters leave, and half of the time at the least.
        let (clock, interpreters) = (budget.start(), budget.half().start());
        let mut plan = Plan::default();
        let pending: Vec<_> = asked
            .iter()
            .map(|asked| {
                let stack = self.with_names(asked, &interpreters, losses);
                self.plan(asked, stack, &mut plan)
            })
            .collect();
        self.frames.name(&mut plan.round, &clock, losses);
        let planned: Vec<_> = plan.planned.drain(..).map(|p| self.finish(p, &plan.round, losses)).collect();
        let finished = pending.into_iter().filter_map(|p| match p {
            Pending::Ready(stack) => Some(stack),
            Pending::Planned(i) => planned.get(i).cloned(),
        });
        finished.collect()
    }

    /// The processes of a window whose interpreter's frames cannot be read, and why.
    pub(super) fn unread(&self, counted: &Counted) -> Vec<(Slot, ProcessId, String)> {
        let rows = counted.off_cpu.iter().map(|r| (r.slot, r.process));
        let rows: FxHashSet<_> = rows.chain(counted.cpu.iter().map(|r| (r.slot, r.process))).collect();
        let refusal = |(slot, process)| Some((slot, process, self.interpreters.refusal(process)?));
        rows.into_iter().filter_map(refusal).collect()
    }

    fn plan(&mut self, asked: &Asked<'_>, stack: RawStack, plan: &mut Plan) -> Pending {
        let images = self.processes.find(asked.process);
        let image = images.and_then(|images| images.after(asked.stack.user.execs)).cloned();
        let generated = image.as_ref().map_or(0, |image| plan.generated(image, &self.ids));
        let key = StackKey {
            image: image.as_ref().map_or(0, |image| image.id),
            generated,
            taken: asked.taken,
            stack,
        };
        if let Some(stack) = self.by_addresses.get(&key) {
            return Pending::Ready(Arc::clone(stack));
        }
        if let Some(&i) = plan.index.get(&key) {
            return Pending::Planned(i);
        }
        let kernel = self.kernel_keys(asked, plan);
        let user = self.user_keys(asked, image.as_ref(), plan);
        plan.index.insert(key.clone(), plan.planned.len());
        let python = match asked.stack.user.interpreter {
            Interpreter::Python => self.interpreters.python(asked.process),
            Interpreter::None | Interpreter::V8 => None,
        };
        plan.planned.push(Planned { key, kernel, user, python });
        Pending::Planned(plan.planned.len() - 1)
    }

    /// The raw stack with the names of its interpreted frames, which belong to what it is: a code object's address
    /// may be another's later. Those for which there is no time are counted.
    fn with_names(&self, asked: &Asked<'_>, clock: &Clock, losses: &Losses) -> RawStack {
        let mut stack = asked.stack.clone();
        let in_time = || !clock.is_over();
        let (named, late) = self.interpreters.name_in_time(asked.process, &stack.user, in_time);
        losses.add(Loss::NamesLate, late);
        stack.user.interpreted = named;
        if stack.user.end == StackEnd::NoTable
            && let (Some(unwinder), Some(address)) = (&self.unwinder, stack.user.addresses.last())
        {
            unwinder.wanted(asked.process, *address);
        }
        stack
    }

    fn kernel_keys(&mut self, asked: &Asked<'_>, plan: &mut Plan) -> Vec<FrameKey> {
        let addresses = known(&asked.stack.kernel).iter().enumerate();
        let exact = |i| i == 0 && asked.taken == Taken::OnCpu;
        addresses
            .map(|(i, &a)| self.frames.want(&mut plan.round, Origin::Kernel, a, exact(i), asked.weight))
            .collect()
    }

    fn user_keys(&mut self, asked: &Asked<'_>, image: Option<&Arc<Image>>, plan: &mut Plan) -> Vec<FrameKey> {
        let mut keys = Vec::new();
        for (i, &address) in asked.stack.user.addresses.iter().enumerate() {
            // A chain of frame pointers ends in whatever the outermost function kept in the register.
            if address < LOWEST || address >> 63 == 1 {
                break;
            }
            let exact = i == 0;
            let (origin, place) = plan.locate(image, address, exact, &self.ids);
            keys.push(self.frames.want(&mut plan.round, origin, place, exact, asked.weight));
        }
        keys
    }

    fn finish(&mut self, planned: Planned, round: &Round, losses: &Losses) -> Arc<Stack> {
        let Planned { key, kernel, user, python } = planned;
        let mut frames = Vec::with_capacity(kernel.len() + user.len());
        frames.extend(kernel.iter().filter_map(|k| round.frame(k)).cloned());
        let names: Vec<_> = frames.iter().map(|f| Some(f.function.as_str())).collect();
        frames.drain(..tracer_frames(key.taken, &names));
        if matches!(key.stack.kernel, Addresses::Lost) {
            frames.push(Arc::clone(&self.lost_kernel));
        }
        let native: Vec<_> = user.iter().filter_map(|k| round.frame(k)).cloned().collect();
        let (user_frames, end) = interleave(native, &key.stack.user, python, losses);
        frames.extend(user_frames);
        let stack = self.share(Stack { frames, end });
        if !kernel.iter().chain(&user).any(|k| round.is_passing(k)) {
            self.by_addresses.put(key, Arc::clone(&stack));
        }
        stack
    }

    /// The one allocation of a stack.
    fn share(&mut self, stack: Stack) -> Arc<Stack> {
        // The cached stack keeps its frames alive, so that no other frame can have their addresses.
        let identities = stack.frames.iter().map(|f| Arc::as_ptr(f).addr()).collect();
        let shape = Shape(identities, stack.end);
        Arc::clone(self.by_frames.get_or_insert(shape, || Arc::new(stack)))
    }
}

/// What one window asks for.
#[derive(Default)]
struct Plan {
    round: Round,
    planned: Vec<Planned>,
    index: FxHashMap<StackKey, usize>,
    generated: FxHashMap<u64, u64>,
}

impl Plan {
    /// The number under which the names of an image's generated code hold: its own, or another one since the
    /// process said new names.
    fn generated(&mut self, image: &Image, ids: &CodeIds) -> u64 {
        if !image.has_generated_code() {
            return 0;
        }
        *self.generated.entry(image.id).or_insert_with(|| {
            image.generated.lock().unwrap_or_else(PoisonError::into_inner).number(image.id, ids)
        })
    }

    /// What an address belongs to, and where it stands in that.
    fn locate(
        &mut self,
        image: Option<&Arc<Image>>,
        address: u64,
        exact: bool,
        ids: &CodeIds,
    ) -> (Origin, u64) {
        let site = address - u64::from(!exact);
        let Some((image, region)) = image.and_then(|image| Some((image, image.find(site)?))) else {
            return (Origin::Nowhere, address);
        };
        let in_file = (address - region.start).wrapping_add(region.offset);
        match &region.code {
            Code::File(file) => (Origin::File(Arc::clone(file)), in_file),
            Code::Vdso => (Origin::Vdso, in_file),
            Code::Generated(binary) => {
                let number = self.generated(image, ids);
                (Origin::Generated(Arc::clone(image), Arc::clone(binary), number), address)
            }
        }
    }
}

/// A stack whose addresses nobody could name.
pub(super) fn unnamed(raw: &RawStack) -> Stack {
    let frame = |kind: FrameKind| {
        move |address: &u64| {
            let function = Frame::UNKNOWN.to_owned();
            Arc::new(Frame { kind, function, file: None, line: None, binary: None, address: *address })
        }
    };
    let kernel = known(&raw.kernel).iter().map(frame(FrameKind::Kernel));
    let user = raw.user.addresses.iter().map(frame(FrameKind::Native));
    Stack { frames: kernel.chain(user).collect(), end: raw.user.end }
}

fn known(addresses: &Addresses) -> &[u64] {
    match addresses {
        Addresses::Known(addresses) => addresses,
        Addresses::Absent | Addresses::Lost => &[],
    }
}

/// Stands for a kernel stack that was evicted before it was read.
fn lost_kernel() -> Frame {
    Frame {
        kind: FrameKind::Kernel,
        function: "[lost]".to_owned(),
        file: None,
        line: None,
        binary: None,
        address: 0,
    }
}
