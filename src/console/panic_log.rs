//! Panics that repeat: the first one of a place in the code is logged, the others are counted.

use std::collections::BTreeMap;
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Panics so far, by their place in the code.
static COUNTS: Mutex<PanicCounts> = Mutex::new(PanicCounts(BTreeMap::new()));

/// Panics by their place in the code (file, line, column).
struct PanicCounts(BTreeMap<String, u64>);

impl PanicCounts {
    /// Counts a panic. Returns its number at that place if it should be logged: 1, 10, 100 and so
    /// on.
    fn record(&mut self, place: String) -> Option<u64> {
        let count = self.0.entry(place).or_default();
        *count += 1;
        let is_power_of_ten = *count == 10u64.pow(count.ilog10());
        is_power_of_ten.then_some(*count)
    }
}

/// Counts a panic. Returns its number at its place in the code if it should be logged.
fn record(info: &PanicHookInfo<'_>) -> Option<u64> {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    // Nothing panics while the lock is held.
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner).record(place)
}

/// Logs a panic of a thread whose panics are caught, if it is the first at its place, or the 10th, the
/// 100th and so on.
pub(super) fn log(info: &PanicHookInfo<'_>) {
    let current = thread::current();
    let thread = current.name().unwrap_or("unnamed");
    match record(info) {
        Some(1) => tracing::error!(thread, "{info}"),
        Some(count) => tracing::error!(thread, "panic number {count} at the same place: {info}"),
        None => {}
    }
}

/// Lets the present panic hook print the first panic of each place only. Those of the main thread,
/// which end the program, are always printed.
pub fn limit_repeated_panics() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() == Some("main") {
            print(info);
            return;
        }
        match record(info) {
            Some(1) => print(info),
            Some(count) => tracing::error!("panic number {count} at the same place: {info}"),
            None => {}
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_the_first_panic_then_powers_of_ten() {
        let mut counts = PanicCounts(BTreeMap::new());
        let logged: Vec<u64> =
            (0..1500).filter_map(|_| counts.record("a.rs:1:2".to_owned())).collect();
        assert_eq!(logged, [1, 10, 100, 1000]);
    }

    #[test]
    fn counts_each_place_separately() {
        let mut counts = PanicCounts(BTreeMap::new());
        let mut logged = |place: &str| counts.record(place.to_owned());
        assert_eq!(
            (logged("a.rs:1:2"), logged("a.rs:1:2"), logged("b.rs:1:2")),
            (Some(1), None, Some(1))
        );
    }
}
