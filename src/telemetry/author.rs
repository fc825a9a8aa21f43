//! Authors of changes.

use serde::{Deserialize, Serialize};

/// The author of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// A person at the console.
    Console,
    /// A library call.
    #[default]
    Api,
    /// A layout file.
    File,
    /// Advice that was accepted.
    Advice,
    /// divvy itself, after a failed build or when the machine has changed.
    Scheduler,
    /// A caller over the network.
    Remote(CallerName),
    /// The tuner, which an operator started.
    Tuner,
    /// The autopilot, which makes changes by itself.
    Autopilot,
}

/// The name of a remote caller, fit for a terminal: at most 64 characters, none of them a control
/// character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "String")]
pub struct CallerName(String);

impl CallerName {
    const LONGEST: usize = 64;

    /// Makes a name of any text. Control characters become `?`, and an empty text `unnamed`.
    pub fn new(text: &str) -> Self {
        let printable = |letter: char| if letter.is_control() { '?' } else { letter };
        let name: String = text.trim().chars().map(printable).take(Self::LONGEST).collect();
        Self(if name.is_empty() { "unnamed".to_owned() } else { name })
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for CallerName {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_keep_their_names_in_json() {
        let remote = Author::Remote(CallerName::new("ci"));
        for (author, json) in [
            (Author::Console, r#""console""#),
            (Author::Autopilot, r#""autopilot""#),
            (remote, r#"{"remote":"ci"}"#),
        ] {
            assert_eq!(serde_json::to_string(&author).unwrap(), json);
            assert_eq!(serde_json::from_str::<Author>(json).unwrap(), author);
        }
    }

    #[test]
    fn caller_names_are_printable() {
        let name: CallerName = serde_json::from_str(r#""\u001b[2J\nx""#).unwrap();
        assert_eq!(name.as_str(), "?[2J?x");
        assert_eq!(CallerName::new(" \n").as_str(), "unnamed");
        assert_eq!(CallerName::new(&"x".repeat(1000)).as_str().len(), 64);
    }
}
