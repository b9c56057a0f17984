//! Closed sets of names on the wire, and how the model's map to them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{
    agent::AgentEnd,
    cuda::CudaCall,
    disk::DiskOperation,
    ledger::Cause as LedgerCause,
    network::{Protocol, Side},
    off_cpu::{Descriptor, WaitCause},
    operation::{Source, ToolEnd},
    probe::{Probe, ProbeState},
    stack::{FrameKind, StackEnd},
};

/// Declares a wire enum that mirrors one of the model's, variant by variant.
macro_rules! mirror {
    ($(#[$doc:meta])* $wire:ident as $name:ident of $model:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = $name)]
        pub enum $wire {
            $($(#[$variant_doc])* $variant),+
        }

        impl From<$model> for $wire {
            fn from(value: $model) -> Self {
                match value {
                    $($model::$variant => Self::$variant),+
                }
            }
        }
    };
}

pub(super) use mirror;

mirror! {
    /// What an agent can be watched by.
    ProbeDto as Probe of Probe {
        /// On-CPU stack samples.
        Cpu,
        /// Off-CPU time by cause and stack.
        OffCpu,
        /// Syscall counts, errors and latencies.
        Syscalls,
        /// Where every second went.
        Ledger,
        /// Calls of CUDA, and waits for the GPU in them.
        Cuda,
        /// Calls of models and MCP servers, read off the wire.
        Wire,
        /// Files: what is opened, created, changed, deleted and renamed.
        Files,
        /// Connections and traffic by peer.
        Network,
        /// Block I/O by device.
        Disk,
    }
}

impl From<ProbeDto> for Probe {
    fn from(probe: ProbeDto) -> Self {
        match probe {
            ProbeDto::Cpu => Self::Cpu,
            ProbeDto::OffCpu => Self::OffCpu,
            ProbeDto::Syscalls => Self::Syscalls,
            ProbeDto::Ledger => Self::Ledger,
            ProbeDto::Cuda => Self::Cuda,
            ProbeDto::Wire => Self::Wire,
            ProbeDto::Files => Self::Files,
            ProbeDto::Network => Self::Network,
            ProbeDto::Disk => Self::Disk,
        }
    }
}

mirror! {
    /// What carries traffic.
    ProtocolDto as Protocol of Protocol {
        /// TCP, and MPTCP.
        Tcp,
        /// UDP, and what is built on it.
        Udp,
        /// Unix sockets.
        Unix,
        /// Another protocol of IP.
        Other,
    }
}

mirror! {
    /// Who turned to whom.
    SideDto as Side of Side {
        /// The process turned to the peer.
        Client,
        /// The peer turned to the process.
        Server,
    }
}

mirror! {
    /// What a device is asked to do.
    DiskOperationDto as DiskOperation of DiskOperation {
        /// Read.
        Read,
        /// Write.
        Write,
        /// Keep what was written before.
        Flush,
        /// Give blocks back.
        Discard,
    }
}

mirror! {
    /// What calls of CUDA do.
    CudaCallDto as CudaCall of CudaCall {
        /// Put a kernel on a stream.
        Launch,
        /// Put a graph of kernels on a stream.
        GraphLaunch,
        /// Copy from the host's memory to the GPU's.
        CopyToGpu,
        /// Copy from the GPU's memory to the host's.
        CopyToHost,
        /// Copy within a GPU, between two, or between memories that the call does not tell.
        Copy,
        /// Fill memory of the GPU.
        Fill,
        /// Take memory.
        Allocate,
        /// Give memory back.
        Free,
        /// Wait for a context, a stream or an event.
        Synchronize,
    }
}

mirror! {
    /// By what way an operation came.
    OperationSourceDto as OperationSource of Source {
        /// A span of OpenTelemetry.
        Otlp,
        /// A histogram of OpenTelemetry.
        OtlpMetrics,
        /// agentperf's own JSON.
        Collect,
        /// A page in a browser.
        Frontend,
        /// The kernel: tool calls.
        Kernel,
        /// The wire: calls of models and MCP servers.
        Wire,
    }
}

impl From<OperationSourceDto> for Source {
    fn from(source: OperationSourceDto) -> Self {
        match source {
            OperationSourceDto::Otlp => Self::Otlp,
            OperationSourceDto::OtlpMetrics => Self::OtlpMetrics,
            OperationSourceDto::Collect => Self::Collect,
            OperationSourceDto::Frontend => Self::Frontend,
            OperationSourceDto::Kernel => Self::Kernel,
            OperationSourceDto::Wire => Self::Wire,
        }
    }
}

mirror! {
    /// How a tool call came to its end.
    ToolEndDto as ToolEnd of ToolEnd {
        /// Its last process exited.
        Exited,
        /// Its first process exited, but others of it lived on by themselves: what they do after that is not in the bill.
        Left,
        /// Watching its agent ended first.
        Unfinished,
        /// The exit of one of its processes was not seen: the bill lacks what that one used.
        Unseen,
    }
}

mirror! {
    /// How a kernel program or feature stands.
    ProbeStateDto as ProbeState of ProbeState {
        /// Works as it was meant to.
        Ready,
        /// Works by the substitute that `reason` names.
        Substituted,
        /// The kernel refuses it; `reason` says why.
        Unavailable,
    }
}

mirror! {
    /// Why an agent is no longer watched.
    AgentEndDto as AgentEnd of AgentEnd {
        /// Its last process exited.
        Exited,
        /// Somebody detached it.
        Detached,
        /// The time it was attached for is over.
        Expired,
        /// The daemon ended without letting it go: it crashed, or was killed.
        Interrupted,
    }
}

mirror! {
    /// What a thread waited for.
    WaitCauseDto as WaitCause of WaitCause {
        /// Runnable, but preempted: waiting for a CPU.
        Preempted,
        /// A page fault that needed I/O or a lock.
        PageFault,
        /// Block I/O or a file system.
        Disk,
        /// A GPU driver call.
        Gpu,
        /// A child process.
        Child,
        /// A pipe or a unix socket.
        Ipc,
        /// An inet socket.
        Network,
        /// A lock.
        Lock,
        /// poll, select or epoll of several descriptors.
        Poll,
        /// A sleep or timer.
        Timer,
        /// A terminal.
        Terminal,
        /// A futex not known to be a lock.
        Futex,
        /// Anything else.
        Other,
    }
}

mirror! {
    /// Where an agent's time went.
    LedgerCauseDto as LedgerCause of LedgerCause {
        /// The agent's own code ran.
        AgentCpu,
        /// A tool worked, and the agent waited for it.
        Tool,
        /// A connection to a model was being made.
        LlmConnect,
        /// A model had been asked, and had not begun to answer.
        LlmFirstToken,
        /// A model answered.
        LlmStream,
        /// The agent could have run, but no CPU was free.
        RunQueue,
        /// Disks and file systems.
        Disk,
        /// Threads waited for each other.
        Lock,
        /// Another host than a model's, or a service of this one.
        Network,
        /// A GPU driver.
        Gpu,
        /// Page faults that had to wait.
        PageFault,
        /// Nothing was in flight: waiting for a person, a timer or an event.
        Idle,
        /// It could not be told.
        Unknown,
    }
}

mirror! {
    /// The kind of descriptor behind a wait.
    DescriptorDto as Descriptor of Descriptor {
        /// A pipe or FIFO.
        Pipe,
        /// A unix socket.
        UnixSocket,
        /// An IPv4 or IPv6 socket.
        InetSocket,
        /// A regular file, directory or block device.
        File,
        /// A terminal.
        Terminal,
        /// Another character device.
        Device,
        /// An anonymous file: eventfd, epoll, timerfd, pidfd.
        Anonymous,
    }
}

mirror! {
    /// Which world a frame belongs to.
    FrameKindDto as FrameKind of FrameKind {
        /// Compiled user code.
        Native,
        /// A Python function.
        Python,
        /// A JavaScript function.
        Javascript,
        /// The kernel.
        Kernel,
    }
}

mirror! {
    /// How the walk of a stack's user part ended.
    StackEndDto as StackEnd of StackEnd {
        /// At the outermost frame.
        Complete,
        /// At the outermost frame, but where the frames of an interpreter stand among the native ones is a guess.
        OrderGuessed,
        /// At the outermost frame, but frames of an interpreter are missing.
        InterpretedMissing,
        /// At the limit of native frames, or of an interpreter's.
        Truncated,
        /// In code without unwind information, which keeps no frame pointers either.
        Gap,
        /// In a file whose unwind table was still being made.
        NoTable,
        /// In code that no mapping is known for.
        NoMapping,
        /// At memory that could not be read.
        Unreadable,
        /// At an unwind rule that the walker does not know.
        UnknownRule,
        /// At a frame that does not lie above the one that it called.
        Inconsistent,
        /// The process was not known to the walker yet: frame pointers, which may be wrong or end early.
        FramePointers,
        /// In 32-bit code, which is not walked.
        #[serde(rename = "not_64_bit")]
        Not64Bit,
        /// Not walked: the thread had used up its budget, and its wait was short.
        OverBudget,
        /// The stack was taken, but evicted before it was read.
        Lost,
        /// There is no user stack.
        Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_says_what_the_model_calls_it() {
        for cause in WaitCause::ALL {
            assert_eq!(serde_json::to_value(WaitCauseDto::from(cause)).unwrap(), cause.name());
        }
        for cause in LedgerCause::ALL {
            assert_eq!(serde_json::to_value(LedgerCauseDto::from(cause)).unwrap(), cause.name());
        }
        for probe in Probe::ALL {
            assert_eq!(serde_json::to_value(ProbeDto::from(probe)).unwrap(), probe.name());
            assert_eq!(Probe::from(ProbeDto::from(probe)), probe);
        }
    }
}
