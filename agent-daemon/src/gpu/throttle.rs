//! Names of NVML's bits that say what holds a GPU's clocks down, in NVML's words.

use nvml_wrapper::bitmasks::device::ThrottleReasons;

/// By bit. `gpu_idle` is no trouble; `hw_*` halves the clocks.
const NAMES: [(ThrottleReasons, &str); 9] = [
    (ThrottleReasons::GPU_IDLE, "gpu_idle"),
    (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, "applications_clocks_setting"),
    (ThrottleReasons::SW_POWER_CAP, "sw_power_cap"),
    (ThrottleReasons::HW_SLOWDOWN, "hw_slowdown"),
    (ThrottleReasons::SYNC_BOOST, "sync_boost"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "sw_thermal_slowdown"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, "hw_thermal_slowdown"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "hw_power_brake_slowdown"),
    (ThrottleReasons::DISPLAY_CLOCK_SETTING, "display_clock_setting"),
];

/// The names of the reasons that are set. Bits that are newer than the wrapper are left out.
pub(super) fn names(reasons: ThrottleReasons) -> Vec<String> {
    let set = NAMES.iter().filter(|(reason, _)| reasons.contains(*reason));
    set.map(|(_, name)| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_has_one_name() {
        for (index, (reason, name)) in NAMES.iter().enumerate() {
            assert_eq!(reason.bits(), 1 << index, "{name}");
            assert_eq!(names(*reason), [*name]);
        }
        assert_eq!(names(ThrottleReasons::all()).len(), ThrottleReasons::all().bits().count_ones() as usize);
        assert!(names(ThrottleReasons::NONE).is_empty());
    }
}
