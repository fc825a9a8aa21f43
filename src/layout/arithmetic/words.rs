//! The few turns of phrase that refusals, summaries and warnings share.

use super::super::units::Bytes;
use crate::machine::{CpuSet, Limits};

/// "1 core", "2 cores".
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// "core 3", "cores 2-3", "no core".
pub(super) fn cores(set: &CpuSet) -> String {
    match set.len() {
        0 => "no core".to_owned(),
        1 => format!("core {set}"),
        _ => format!("cores {set}"),
    }
}

/// "a", "a and b", "a, b and c".
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// "is" for one, "are" for all other numbers.
pub(super) fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// "has" for one, "have" for all other numbers.
pub(super) fn have(count: usize) -> &'static str {
    if count == 1 { "has" } else { "have" }
}

/// Memory budgets that add up to more than there is.
pub(crate) fn memory_above(budgeted: u64, limit: u64, limits: &Limits) -> String {
    let holder =
        if limits.memory == Some(limit) { "the container may use" } else { "this machine has" };
    format!(
        "the memory budgets add up to {}, and {holder} {}",
        Bytes(budgeted),
        Bytes(limit).rounded()
    )
}
