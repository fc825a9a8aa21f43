//! Phrases shared by refusals, summaries and warnings.

use super::units::Bytes;
use crate::machine::{CpuSet, Limits};

/// The most names that a list spells out.
const MOST_NAMES: usize = 6;

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

/// "a", "a and b", "a, b and c"; of more than six names the first five: "a, b, c, d, e and 95 more".
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let first = |names: &[S]| names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match names {
        [] => "no model".to_owned(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] if names.len() <= MOST_NAMES => {
            format!("{} and {}", first(most), last.as_ref())
        }
        _ => {
            let (shown, rest) = names.split_at((MOST_NAMES - 1).min(names.len()));
            format!("{} and {} more", first(shown), rest.len())
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

/// "it" for one, "them" for all other numbers.
pub(super) fn them(count: usize) -> &'static str {
    if count == 1 { "it" } else { "them" }
}

/// The message for memory budgets whose sum exceeds the memory that there is.
pub(super) fn memory_above(budgeted: u64, limit: u64, limits: &Limits) -> String {
    let holder =
        if limits.memory == Some(limit) { "the container may use" } else { "this machine has" };
    format!(
        "the memory budgets add up to {}, but {holder} {}",
        Bytes(budgeted),
        Bytes(limit).rounded()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_name_the_first_five() {
        let names: Vec<String> = (0..100).map(|at| format!("m{at}")).collect();
        assert_eq!(listed(&names), "m0, m1, m2, m3, m4 and 95 more");
        assert_eq!(listed(&names[..6]), "m0, m1, m2, m3, m4 and m5");
        assert_eq!(listed(&names[..2]), "m0 and m1");
    }
}
