//! The rule for the names of models, in files and in edits.

/// The most characters of a model's name.
pub(super) const LONGEST_NAME: usize = 200;

/// The names that are allowed, as messages put it.
pub(super) const NAME_RULE: &str = "1 to 200 characters, like \"detector\"";

/// Returns what is wrong with a model's name, or `None` for a name that may be used.
pub(super) fn name_error(name: &str) -> Option<String> {
    let length = name.chars().count();
    if name.trim().is_empty() {
        Some("the name is empty".to_owned())
    } else if let Some(control) = name.chars().find(|letter| letter.is_control()) {
        Some(format!("the name has a control character, U+{:04X}", u32::from(control)))
    } else if length > LONGEST_NAME {
        Some(format!("the name is {length} characters long"))
    } else {
        None
    }
}
