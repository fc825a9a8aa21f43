//! Lists of names in messages.

use crate::layout::short_name;

/// Names that a message lists before it counts the others.
const MOST_NAMES: usize = 5;

/// Returns the names separated by commas; of many, the first five and the number of others, as in
/// "a, b, c, d, e and 95 more".
pub fn name_list<T: AsRef<str>>(names: &[T]) -> String {
    let short: Vec<_> = names.iter().map(|name| short_name(name.as_ref())).collect();
    separated_list(&short, ", ")
}

/// Returns the entries with this separator; of many, the first five and the number of others.
pub fn separated_list<T: AsRef<str>>(entries: &[T], separator: &str) -> String {
    // "and 1 more" is no shorter than the entry
    let shown = if entries.len() == MOST_NAMES + 1 { entries.len() } else { MOST_NAMES };
    let first: Vec<&str> = entries.iter().take(shown).map(AsRef::as_ref).collect();
    let list = first.join(separator);
    match entries.len() - first.len() {
        0 => list,
        others => format!("{list} and {others} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_list_counts_the_others() {
        let names: Vec<String> = (1..=100).map(|number| format!("m{number}")).collect();
        assert_eq!(name_list(&names), "m1, m2, m3, m4, m5 and 95 more");
        assert_eq!(name_list(&names[..6]), "m1, m2, m3, m4, m5, m6");
        assert_eq!(name_list(&names[..1]), "m1");
        assert_eq!(name_list::<String>(&[]), "");
    }
}
