//! The console's config file: theme, characters, mouse, mode, frame rate and keys. Every mistake in
//! it is an error with its line, never a silent default.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::glyphs::GlyphSet;
use super::input::{Key, Keymap};
use super::options::ConsoleOptions;
use super::state::{Command, Mode};
use super::theme::ThemeName;

/// The settings of a config file. Missing settings keep their defaults.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    #[serde(deserialize_with = "parsed")]
    theme: Option<ThemeName>,
    #[serde(deserialize_with = "parsed")]
    glyphs: Option<GlyphSet>,
    mouse: Option<bool>,
    #[serde(deserialize_with = "parsed")]
    mode: Option<Mode>,
    #[serde(deserialize_with = "refresh")]
    refresh_ms: Option<u64>,
    reduced_motion: Option<bool>,
    keys: BTreeMap<Command, Vec<Spanned<Key>>>,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "live" => Ok(Self::Live),
            "staged" => Ok(Self::Staged),
            _ => Err(format!("unknown mode `{text}`: use live or staged")),
        }
    }
}

fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

fn refresh<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let ms = u64::deserialize(deserializer)?;
    if (50..=10_000).contains(&ms) {
        return Ok(Some(ms));
    }
    Err(de::Error::custom(format!("{ms} is out of range: 50 to 10000 milliseconds")))
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::named(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "unknown command `{text}`: `divvy config --print` lists them"
            ))
        })
    }
}

impl FromStr for Config {
    type Err = String;

    /// Reads a config file's text. The error shows line, column and text of every fault.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut faults = Vec::new();
        let mut rest = text.to_owned();
        let config = loop {
            let error = match toml::from_str::<Self>(&rest) {
                Ok(config) => break config,
                Err(error) => error,
            };
            faults.push((error.span().map_or(0, |span| span.start), error.to_string()));
            // look for further faults without the lines of this one
            match error.span().and_then(|span| without_lines(&rest, span)) {
                Some(shorter) if shorter.parse::<toml::Table>().is_ok() => rest = shorter,
                _ => return Err(listed(faults)),
            }
        };
        faults.extend(keys_given_twice(&config, text));
        if faults.is_empty() { Ok(config) } else { Err(listed(faults)) }
    }
}

/// A fault with its place in the text, in bytes.
type PlacedFault = (usize, String);

/// Returns the faults in the order of the text, one after the other.
fn listed(mut faults: Vec<PlacedFault>) -> String {
    faults.sort();
    let texts: Vec<String> = faults.into_iter().map(|(_, text)| text).collect();
    texts.join("\n")
}

/// Returns the text with the letters of a span's lines replaced by spaces, so that the places of all
/// others stay; `None` if the lines are blank already.
fn without_lines(text: &str, span: Range<usize>) -> Option<String> {
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let end = span.end.max(span.start);
    let end = text.get(end..)?.find('\n').map_or(text.len(), |at| end + at);
    let lines = text.get(start..end)?;
    if lines.trim().is_empty() {
        return None;
    }
    let blank: String = lines.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    Some([text.get(..start)?, &blank, text.get(end..)?].concat())
}

/// Returns a fault for each key that two commands have.
fn keys_given_twice(config: &Config, text: &str) -> Vec<PlacedFault> {
    let mut seen: Vec<(Key, Command)> = Vec::new();
    let mut faults = Vec::new();
    for (command, keys) in &config.keys {
        for key in keys {
            let (at, key) = (key.span().start, *key.get_ref());
            if let Some((_, other)) = seen.iter().find(|(bound, _)| *bound == key) {
                let (one, two) = (other.name(), command.name());
                let (line, column) = position(text, at);
                let text = format!(
                    "line {line}, column {column}: the key `{key}` is given to both {one} and {two}"
                );
                faults.push((at, text));
            }
            seen.push((key, *command));
        }
    }
    faults
}

/// Returns the line and column of a byte, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.split('\n').next_back().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

impl Config {
    /// Applies the settings of the file.
    pub fn apply(&self, options: &mut ConsoleOptions) {
        options.theme = self.theme.unwrap_or(options.theme);
        options.glyphs = self.glyphs.unwrap_or(options.glyphs);
        options.mouse = self.mouse.unwrap_or(options.mouse);
        options.mode = self.mode.unwrap_or(options.mode);
        options.refresh_ms = self.refresh_ms.unwrap_or(options.refresh_ms);
        options.reduced_motion = self.reduced_motion.unwrap_or(options.reduced_motion);
        for (command, keys) in &self.keys {
            let keys: Vec<Key> = keys.iter().map(|key| *key.get_ref()).collect();
            options.keymap.bind(*command, &keys);
        }
    }
}

/// Returns the default config file with every line commented out.
pub fn default_config() -> String {
    let options = ConsoleOptions::default();
    let mut text = format!(
        "# theme = \"{}\"  # ansi, truecolor, colour-blind or mono; default: by the terminal\n\
         # glyphs = \"{}\"  # block, braille or ascii; default: ascii if the locale is not UTF-8\n\
         # mouse = {}\n\
         # mode = \"live\"  # or staged: gestures add up until they are applied\n\
         # refresh_ms = {}  # shortest time between two frames for new data, 50 to 10000\n\
         # reduced_motion = {}  # figures change every 2 s at most, nothing follows the pointer (also by the variable DIVVY_REDUCED_MOTION)\n\n\
         # [keys]  # each command's keys; a key given here is taken from its old command\n",
        options.theme, options.glyphs, options.mouse, options.refresh_ms, options.reduced_motion
    );
    for command in Command::ALL {
        let keys: Vec<String> =
            Keymap::default().keys(*command).map(|key| format!("\"{key}\"")).collect();
        // writing into a string does not fail
        let _ = writeln!(text, "# {} = [{}]  # {command}", command.name(), keys.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_default_matches_the_default() {
        let text: String = default_config()
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n")
            .collect();
        let config: Config = text.parse().unwrap();
        let mut options = ConsoleOptions::default();
        config.apply(&mut options);
        for command in Command::ALL {
            let keys: Vec<Key> = options.keymap.keys(*command).collect();
            assert_eq!(keys, Keymap::default().keys(*command).collect::<Vec<_>>());
        }
        assert_eq!(options.theme, ConsoleOptions::default().theme);
        assert_eq!("".parse::<Config>(), Ok(Config::default()));
    }

    #[test]
    fn config_overrides_defaults() {
        let text = "theme = \"mono\"\nmode = \"staged\"\nmouse = false\nreduced_motion = true\n[keys]\nundo = [\"ctrl-u\"]";
        let mut options = ConsoleOptions::default();
        text.parse::<Config>().unwrap().apply(&mut options);
        assert_eq!(
            (options.theme, options.mode, options.mouse),
            (ThemeName::Mono, Mode::Staged, false)
        );
        assert!(options.reduced_motion);
        assert_eq!(options.keymap.command("ctrl-u".parse().unwrap()), Some(Command::Undo));
        assert_eq!(options.keymap.command("u".parse().unwrap()), None);
    }

    #[test]
    fn all_faults_are_reported() {
        let text = "theme = \"beige\"\nmouse = \"yes\"\nrefresh_ms = 1\n[keys]\nfly = [\"f\"]\n\
                    undo = [\n  \"hyper-u\",\n]\nredo = [\"r\"]\nquit = [\"r\"]\n";
        let error = text.parse::<Config>().unwrap_err();
        for word in ["beige", "boolean", "50 to 10000", "fly", "hyper-u", "quit"] {
            assert!(error.contains(word), "{word}: {error}");
        }
        for line in ["line 1", "line 2", "line 3", "line 5", "line 6"] {
            assert!(error.contains(line), "{line}: {error}");
        }
    }

    #[test]
    fn syntax_fault_is_reported_once() {
        let error = "theme = \"mono\nmouse = true\n".parse::<Config>().unwrap_err();
        assert_eq!(error.matches("TOML parse error").count(), 1, "{error}");
    }

    #[test]
    fn errors_name_their_line() {
        for (text, line, word) in [
            ("mouse = true\ntheme = \"beige\"", "line 2", "beige"),
            ("colour = 1", "line 1", "colour"),
            ("refresh_ms = 1", "line 1", "50 to 10000"),
            ("[keys]\nundo = [\"hyper-u\"]", "line 2", "hyper-u"),
            ("[keys]\nfly = [\"f\"]", "line 2", "fly"),
            ("mouse = \"yes\"", "line 1", "boolean"),
        ] {
            let error = text.parse::<Config>().unwrap_err();
            assert!(error.contains(line) && error.contains(word), "{text}: {error}");
        }
        let error = "[keys]\nundo = [\"a\"]\nredo = [\"a\"]".parse::<Config>().unwrap_err();
        assert!(error.contains("both undo and redo"), "{error}");
        assert!(error.contains("line 3, column 9"), "{error}");
    }
}
