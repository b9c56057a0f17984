//! XID errors: what the driver reports when something goes wrong on a GPU. The number is the fact; what it means is
//! from NVIDIA's list of XID errors (docs.nvidia.com/deploy/xid-errors), in our words, for those that matter to
//! somebody who runs compute. NVML tells only critical ones, and of several that come at once the last number.

use crate::model::time::Timestamp;

/// A critical error of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xid {
    /// When it was received: NVML tells no time of its own.
    pub at: Timestamp,
    /// NVML's index of the GPU, if it is one that was known when events were asked for.
    pub gpu: Option<u32>,
    /// Its uuid.
    pub uuid: Option<String>,
    /// The number; `None` where NVML does not know it.
    pub number: Option<u64>,
}

impl Xid {
    /// What the number means, where that is known.
    #[must_use]
    pub fn meaning(&self) -> Option<&'static str> {
        let (_, meaning) = MEANINGS.iter().find(|(number, _)| Some(*number) == self.number)?;
        Some(meaning)
    }
}

const MEANINGS: [(u64, &str); 22] = [
    (8, "the GPU stopped processing"),
    (13, "an exception in a kernel: most often an out-of-range access by the application"),
    (31, "a memory page fault: most often an illegal address by the application"),
    (32, "an invalid or corrupted push buffer stream"),
    (38, "a firmware error of the driver"),
    (43, "the GPU stopped processing: an application's channel was reset"),
    (45, "an application's work was torn down, as after an earlier error or a kill"),
    (48, "an uncorrectable (double-bit) ECC error"),
    (61, "an internal micro-controller breakpoint or warning"),
    (62, "an internal micro-controller halt"),
    (63, "a memory page was retired or a row remapped"),
    (64, "a page retirement or row remapping could not be recorded"),
    (68, "an exception of the video decoder"),
    (69, "an exception of the graphics engine class"),
    (74, "an NVLink error"),
    (79, "the GPU has fallen off the bus"),
    (92, "a high rate of corrected ECC errors"),
    (94, "a contained uncorrectable ECC error: one application is affected"),
    (95, "an uncontained uncorrectable ECC error: the GPU needs a reset"),
    (109, "a context switch timed out"),
    (119, "a call to the GPU's system processor (GSP) timed out"),
    (120, "an error in the GPU's system processor (GSP)"),
];
