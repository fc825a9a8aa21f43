//! Phrases shared by refusals, summaries and warnings.

use super::model_name::short_name;
use super::units::Bytes;
use crate::machine::{CpuSet, Limits};

/// The most names that a list spells out.
const MOST_NAMES: usize = 6;

/// "1 core", "2 cores".
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// "core 3", "cores 2-3", "no core".
pub(crate) fn cores(set: &CpuSet) -> String {
    match set.len() {
        0 => "no core".to_owned(),
        1 => format!("core {set}"),
        _ => format!("cores {set}"),
    }
}

/// "a", "a and b", "a, b and c"; of more than six names the first five: "a, b, c, d, e and 95 more".
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let short = |name: &S| short_name(name.as_ref()).into_owned();
    let first = |names: &[S]| names.iter().map(short).collect::<Vec<_>>().join(", ");
    match names {
        [] => "no row".to_owned(),
        [one] => short(one),
        [most @ .., last] if names.len() <= MOST_NAMES => {
            format!("{} and {}", first(most), short(last))
        }
        _ => {
            let (shown, rest) = names.split_at((MOST_NAMES - 1).min(names.len()));
            format!("{} and {} more", first(shown), rest.len())
        }
    }
}

/// Formats a number with at most two decimals, and one below 1 with two digits: "33.33", "50",
/// "0.0042".
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        1e-6..1.0 => 1 - value.abs().log10().floor() as i32,
        size if size > 0.0 && size < 1e-6 => return format!("{value:.1e}"),
        _ => 2,
    };
    let text = format!("{value:.*}", usize::try_from(decimals).unwrap_or(2));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
    fn numbers_have_two_decimals() {
        let numbers = [100.0 / 3.0, 2.5, 50.0, 100.0, 0.0, 1e6, 0.004, 0.041_999, 0.25];
        let texts = ["33.33", "2.5", "50", "100", "0", "1000000", "0.004", "0.042", "0.25"];
        assert_eq!(numbers.map(number), texts);
        assert_eq!(number(1e-300), "1.0e-300");
    }

    #[test]
    fn long_lists_name_the_first_five() {
        let names: Vec<String> = (0..100).map(|at| format!("m{at}")).collect();
        assert_eq!(listed(&names), "m0, m1, m2, m3, m4 and 95 more");
        assert_eq!(listed(&names[..6]), "m0, m1, m2, m3, m4 and m5");
        assert_eq!(listed(&names[..2]), "m0 and m1");
    }
}
