//! The rule for the names of models, in files and in edits, and names in messages.

use std::borrow::Cow;

/// The most characters of a model's name.
pub(super) const LONGEST_NAME: usize = 200;

/// The most characters of a name in a message.
const MOST_IN_MESSAGE: usize = 40;

/// The characters that a message keeps of the end of a longer name.
const KEPT_END: usize = 12;

/// The names that are allowed, as messages put it.
pub(super) const NAME_RULE: &str = "1 to 200 characters, like \"detector\"";

/// A name that is part of a path of the server.
pub(crate) const SHADOWED_NAME: &str = "stats";

/// The warning about [`SHADOWED_NAME`].
pub(crate) const SHADOWED: &str = "over HTTP, `/v2/models/stats` has the statistics of all models, not the \
    metadata of this one, which is at `/v2/models/stats/versions/V`";

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

/// The most characters of a model's version.
const LONGEST_VERSION: usize = 64;

/// The versions that are allowed, as messages put it.
pub(super) const VERSION_RULE: &str = "1 to 64 visible characters without `/`, like \"3\"";

/// Returns what is wrong with a model's version, or `None` for a version that may be used. A version is
/// part of the paths of the server, so it has no slash.
pub(super) fn version_error(version: &str) -> Option<String> {
    let length = version.chars().count();
    let is_invisible = |letter: &char| {
        letter.is_control()
            || letter.is_whitespace()
            || matches!(letter, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}')
            || matches!(letter, '\u{2060}'..='\u{206F}' | '\u{AD}' | '\u{FEFF}')
    };
    if version.is_empty() {
        Some("the version is empty".to_owned())
    } else if version.contains('/') {
        Some("the version has a slash".to_owned())
    } else if let Some(hidden) = version.chars().find(is_invisible) {
        Some(format!("the version has an invisible character, U+{:04X}", u32::from(hidden)))
    } else if length > LONGEST_VERSION {
        Some(format!("the version is {length} characters long"))
    } else {
        None
    }
}

/// Returns a name for a message: of a long one the start and the end.
pub fn short_name(name: &str) -> Cow<'_, str> {
    let length = name.chars().count();
    if length <= MOST_IN_MESSAGE {
        return Cow::Borrowed(name);
    }
    let start: String = name.chars().take(MOST_IN_MESSAGE - KEPT_END - 3).collect();
    let end: String = name.chars().skip(length - KEPT_END).collect();
    Cow::Owned(format!("{start}...{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_rule_is_kept() {
        let longest = "é".repeat(64);
        for version in ["1", "2026-11", "v1.2+b", longest.as_str()] {
            assert_eq!(version_error(version), None, "{version}");
        }
        for (version, word) in [
            ("", "empty"),
            ("a/b", "slash"),
            ("a b", "U+0020"),
            ("a\n", "U+000A"),
            ("\u{202E}a", "U+202E"),
            (&*"v".repeat(65), "65 characters"),
        ] {
            assert!(version_error(version).unwrap().contains(word), "{version:?}");
        }
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(short_name("detector"), "detector");
        let long = format!("{}-{}", "é".repeat(150), "v2".repeat(20));
        let short = short_name(&long);
        assert_eq!(short.chars().count(), MOST_IN_MESSAGE);
        assert!(short.starts_with("ééé") && short.ends_with("...v2v2v2v2v2v2"), "{short}");
    }
}
