//! Text for the driver's errors and throttle reasons, as the GPU pane shows it.

use std::ffi::OsStr;
use std::time::Duration;

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::error::NvmlError;

/// Returns the note for a driver that has never worked. `library`: the path of the NVML library, if
/// the user chose one.
pub(super) fn unavailable_note(error: &NvmlError, library: Option<&OsStr>) -> String {
    match (error, library) {
        (NvmlError::LibloadingError(_), None) | (NvmlError::NotFound, _) => {
            "no NVIDIA GPU".to_owned()
        }
        (NvmlError::LibloadingError(_), Some(path)) => {
            format!("cannot load NVML from {}", path.display())
        }
        (NvmlError::FailedToLoadSymbol(_), Some(path)) => {
            format!("{} is not NVML, or too old", path.display())
        }
        _ => driver_fault(error),
    }
}

/// Returns the note for a driver that worked before.
pub(super) fn lost_note(error: &NvmlError, retry: Duration) -> String {
    let cause = match error {
        NvmlError::DriverNotLoaded
        | NvmlError::Uninitialized
        | NvmlError::LibloadingError(_)
        | NvmlError::LibraryNotFound => "the NVIDIA driver went away".to_owned(),
        _ => driver_fault(error),
    };
    format!("{cause}; tried again every {}", seconds(retry))
}

fn driver_fault(error: &NvmlError) -> String {
    match error {
        NvmlError::DriverNotLoaded => {
            "the NVIDIA library is there, but its kernel driver is not loaded".to_owned()
        }
        NvmlError::NoPermission => {
            "the NVIDIA driver refuses this user: it needs access to /dev/nvidiactl".to_owned()
        }
        NvmlError::LibRmVersionMismatch => "the NVIDIA library and the loaded kernel driver are \
             of different versions: restart the machine, or reload the driver"
            .to_owned(),
        NvmlError::OperatingSystem => {
            "the system or the container keeps this process from the NVIDIA driver".to_owned()
        }
        NvmlError::FailedToLoadSymbol(_) | NvmlError::FunctionNotFound => {
            "the NVIDIA driver is too old for these sensors".to_owned()
        }
        other => format!("the NVIDIA driver fails: {other}"),
    }
}

/// Returns true if the error concerns the whole driver, not only the failed call.
pub(super) fn is_driver_error(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::Uninitialized | NvmlError::DriverNotLoaded | NvmlError::LibRmVersionMismatch
    )
}

/// Returns true if the error concerns the whole GPU, not only the failed call.
pub(super) fn is_gpu_error(error: &NvmlError) -> bool {
    matches!(error, NvmlError::GpuLost | NvmlError::ResetRequired)
}

/// Returns the fault of a GPU that cannot be read.
pub(super) fn gpu_fault(error: &NvmlError, index: u32) -> String {
    match error {
        NvmlError::GpuLost => {
            "fell off the bus: the driver has lost it, and a restart of the machine brings it back"
                .to_owned()
        }
        NvmlError::ResetRequired => {
            format!("needs a reset before it can be used again (`nvidia-smi -r -i {index}`)")
        }
        NvmlError::NoPermission => {
            "this user may not read it: it needs access to the GPU's file under /dev".to_owned()
        }
        NvmlError::OperatingSystem => {
            "the system or the container keeps this process from it".to_owned()
        }
        NvmlError::InsufficientPower => "its power cables are not attached properly".to_owned(),
        NvmlError::IrqIssue => "the kernel sees an interrupt problem with it".to_owned(),
        other => format!("cannot be read: {other}"),
    }
}

/// Returns the reasons why the clocks are lowered. Lower clocks of an idle GPU are not throttling.
pub(super) fn throttle_reasons(reasons: ThrottleReasons) -> Vec<String> {
    [
        (ThrottleReasons::SW_POWER_CAP, "power limit"),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, "too hot, clocks halved by the hardware"),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, "too hot"),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "power brake of the power supply"),
        (ThrottleReasons::HW_SLOWDOWN, "hardware slowdown: heat or power"),
        (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, "clocks set by an operator"),
        (ThrottleReasons::SYNC_BOOST, "another GPU of its sync group"),
        (ThrottleReasons::DISPLAY_CLOCK_SETTING, "clocks set for the display"),
    ]
    .into_iter()
    .filter(|(reason, _)| reasons.contains(*reason))
    .map(|(_, words)| words.to_owned())
    .collect()
}

/// Formats a duration in seconds, rounded up to tenths: "2.3 s".
pub(super) fn seconds(time: Duration) -> String {
    let tenths = time.as_millis().div_ceil(100);
    if tenths.is_multiple_of(10) {
        format!("{} s", tenths / 10)
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_no_throttle_reason() {
        assert!(throttle_reasons(ThrottleReasons::GPU_IDLE).is_empty());
        assert!(throttle_reasons(ThrottleReasons::NONE).is_empty());
    }

    #[test]
    fn each_throttle_reason_has_text() {
        let both = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::SW_THERMAL_SLOWDOWN;
        assert_eq!(throttle_reasons(both), ["power limit", "too hot"]);
        let all = throttle_reasons(ThrottleReasons::all());
        assert_eq!(all.len(), 8, "each reason but idleness has words: {all:?}");
    }

    #[test]
    fn seconds_round_up_to_tenths() {
        assert_eq!(seconds(Duration::from_millis(2_250)), "2.3 s");
        assert_eq!(seconds(Duration::from_secs(30)), "30 s");
        assert_eq!(seconds(Duration::from_millis(1)), "0.1 s");
    }
}
