//! Loans of cores in words: lender, borrower and end.

use crate::console::format;
use crate::console::state::ConsoleState;
use crate::layout::cores_phrase;
use crate::telemetry::LoanView;

/// Returns a sentence on a loan: "detector lends core 3 to ocr until 12:31:40".
pub(super) fn sentence(state: &ConsoleState, loan: &LoanView) -> String {
    let LoanView { cores, borrower, .. } = loan;
    let phrase = cores_phrase(cores);
    let are = if cores.len() == 1 { "is" } else { "are" };
    let end = match loan.ends_at_unix_ms {
        Some(ms) => format!("until {}", format::time_of_day(ms, &state.zone)),
        None => "without a time limit".to_owned(),
    };
    match &loan.lender {
        Some(lender) => format!("{lender} lends {phrase} to {borrower} {end}"),
        None => format!("free {phrase} {are} lent to {borrower} {end}"),
    }
}

/// Returns a sentence on the loan that ends first, and the number of others; `None` without loans.
pub(super) fn summary(state: &ConsoleState) -> Option<String> {
    let loans = &state.snapshot.loans;
    let first = loans.iter().min_by_key(|loan| loan.ends_at_unix_ms.unwrap_or(u64::MAX))?;
    let sentence = sentence(state, first);
    Some(match loans.len() {
        1 => sentence,
        count => format!("{sentence} (+{} more)", count - 1),
    })
}
