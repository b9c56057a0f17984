//! A process's identity as text, `PID-START`: as a number it would exceed what many readers of JSON can hold.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::model::id::{PID_BITS, ProcessId};

/// `PID-START`: the pid, and when the process started, in units of 2^14 ns since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::export::journal) struct Id(pub(in crate::export::journal) ProcessId);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}-{}", self.0.pid(), self.0.0 >> PID_BITS))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom("a process is written PID-START"))
    }
}

fn parse(text: &str) -> Option<Id> {
    let (pid, start) = text.split_once('-')?;
    let pid: u64 = pid.parse().ok().filter(|pid| pid >> PID_BITS == 0)?;
    let start: u64 = start.parse().ok().filter(|start| start >> (64 - PID_BITS) == 0)?;
    Some(Id(ProcessId(start << PID_BITS | pid)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn every_identity_comes_back(id in any::<u64>()) {
            let text = serde_json::to_string(&Id(ProcessId(id))).unwrap();
            prop_assert_eq!(serde_json::from_str::<Id>(&text).unwrap(), Id(ProcessId(id)));
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for wrong in ["", "1", "-", "4194304-1", "1-4398046511104", "1-1-1", "+1-1x"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
