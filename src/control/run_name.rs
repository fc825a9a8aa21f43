//! Names of runs.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The name of a run: 1 to 64 letters, digits, `-`, `_` and `.`, not a number and not beginning with `.`. It
/// is the name of its socket's file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunName(String);

/// The error of a text that is no name of a run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` cannot be the name of a run: use 1 to 64 letters, digits, - _ and . , not only digits, and no . \
     at the beginning"
)]
pub struct RunNameError(String);

const LONGEST: usize = 64;

/// The longest name that is made of a title, so that a number fits behind it.
const LONGEST_OF_TITLE: usize = 48;

fn is_allowed(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

impl RunName {
    /// Makes a name of a layout's title.
    pub fn from_title(title: &str) -> Self {
        let letters = title.chars().map(|letter| if is_allowed(letter) { letter } else { '-' });
        let name: String = letters.take(LONGEST_OF_TITLE).collect();
        let name = name.trim_matches(['-', '.']);
        let is_number = name.bytes().all(|letter| letter.is_ascii_digit());
        // an empty name is a number here too
        Self(if is_number {
            format!("run-{name}").trim_end_matches('-').to_owned()
        } else {
            name.to_owned()
        })
    }

    /// Returns the name with a number behind it, from 2.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        Self(format!("{}-{number}", self.0))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunName {
    type Err = RunNameError;

    fn from_str(text: &str) -> Result<Self, RunNameError> {
        let is_name = (1..=LONGEST).contains(&text.len())
            && text.chars().all(is_allowed)
            && !text.starts_with('.')
            && !text.bytes().all(|letter| letter.is_ascii_digit());
        if is_name { Ok(Self(text.to_owned())) } else { Err(RunNameError(text.to_owned())) }
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_become_names() {
        for (title, name) in [
            ("demo", "demo"),
            ("my night.toml", "my-night.toml"),
            ("../a/b", "a-b"),
            ("", "run"),
            ("...", "run"),
            ("2026", "run-2026"),
            ("détecteur", "d-tecteur"),
        ] {
            let made = RunName::from_title(title);
            assert_eq!(made.as_str(), name, "{title}");
            assert_eq!(made.as_str().parse(), Ok(made.clone()));
            assert!(made.numbered(12).as_str().parse::<RunName>().is_ok());
        }
        let long = RunName::from_title(&"x".repeat(500)).numbered(1000);
        assert!(long.as_str().parse::<RunName>().is_ok());
    }

    #[test]
    fn other_names_are_refused() {
        let long = "x".repeat(65);
        for text in ["", "a/b", ".hidden", "a b", "4711", "ä", &long] {
            assert!(text.parse::<RunName>().is_err(), "{text}");
        }
    }
}
