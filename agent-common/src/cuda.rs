//! Calls of CUDA's driver API, which uprobes on `libcuda.so.1` see.

/// What a call does.
pub mod call {
    /// Puts a kernel on a stream.
    pub const LAUNCH: u32 = 0;
    /// Puts a graph of them on a stream.
    pub const GRAPH_LAUNCH: u32 = 1;
    /// Copies from the host's memory to the GPU's.
    pub const COPY_TO_GPU: u32 = 2;
    /// Copies from the GPU's memory to the host's.
    pub const COPY_TO_HOST: u32 = 3;
    /// Copies within GPUs, between two of them, or between memories that the call does not tell.
    pub const COPY: u32 = 4;
    /// Fills memory of the GPU.
    pub const FILL: u32 = 5;
    /// Takes memory.
    pub const ALLOCATE: u32 = 6;
    /// Gives memory back.
    pub const FREE: u32 = 7;
    /// Waits for the GPU.
    pub const SYNCHRONIZE: u32 = 8;
}

/// The cookie of a probe: what the kernel programs have to know of the function that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(pub u64);

impl Cookie {
    /// A function of this kind (see [`call`]), which takes no bytes and does not wait.
    #[must_use]
    pub const fn new(call: u32) -> Self {
        Self(call as u64 & 0xff)
    }

    /// It takes as many bytes as its n-th argument says, counted from 1, of at most 6.
    #[must_use]
    pub const fn bytes(self, argument: u32) -> Self {
        Self(self.0 | (argument as u64 & 15) << 8)
    }

    /// Times what another argument says.
    #[must_use]
    pub const fn times(self, argument: u32) -> Self {
        Self(self.0 | (argument as u64 & 15) << 12)
    }

    /// Each of this many bytes, a power of two: log2 of it.
    #[must_use]
    pub const fn shifted(self, log2: u32) -> Self {
        Self(self.0 | (log2 as u64 & 15) << 16)
    }

    /// It returns when the GPU has done what was asked of it.
    #[must_use]
    pub const fn waiting(self) -> Self {
        Self(self.0 | 1 << 20)
    }

    /// See [`call`].
    #[inline(always)]
    #[must_use]
    pub const fn call(self) -> u32 {
        self.0 as u32 & 0xff
    }

    /// The argument that holds the bytes; 0: none does.
    #[inline(always)]
    #[must_use]
    pub const fn bytes_argument(self) -> u32 {
        (self.0 >> 8) as u32 & 15
    }

    /// The argument to multiply by; 0: none.
    #[inline(always)]
    #[must_use]
    pub const fn times_argument(self) -> u32 {
        (self.0 >> 12) as u32 & 15
    }

    /// log2 of the bytes of each.
    #[inline(always)]
    #[must_use]
    pub const fn shift(self) -> u32 {
        (self.0 >> 16) as u32 & 15
    }

    /// Whether it waits for the GPU.
    #[inline(always)]
    #[must_use]
    pub const fn waits(self) -> bool {
        self.0 & 1 << 20 != 0
    }
}

/// Calls that are summed together.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CudaKey {
    /// The process.
    pub process: u64,
    /// The agent's slot.
    pub agent: u32,
    /// See [`call`].
    pub call: u32,
}

/// Their sums, of one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CudaValue {
    /// Calls: counted when they return where that is seen, else when they are made.
    pub calls: u64,
    /// Those that returned an error, where that is seen.
    pub errors: u64,
    /// Bytes that they asked for.
    pub bytes: u64,
    /// Time inside, ns, where their return is seen.
    pub total: u64,
    /// The longest, ns.
    pub max: u64,
}

impl CudaValue {
    /// Nothing counted.
    pub const ZERO: Self = Self { calls: 0, errors: 0, bytes: 0, total: 0, max: 0 };
}

const _: () = assert!(size_of::<CudaKey>() == 16);
const _: () = assert!(size_of::<CudaValue>() == 40);
crate::pod!(CudaKey, CudaValue);
