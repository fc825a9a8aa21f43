//! The key bindings. The footer and the help page are drawn from this table, so they always agree
//! with it. The config file replaces its rows.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::console::state::Command;

/// A key with its modifiers. Shift is part of the character of letters and symbols, and of the name
/// of the tab key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

const NAMES: [(&str, KeyCode); 16] = [
    ("space", KeyCode::Char(' ')),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("insert", KeyCode::Insert),
    ("delete", KeyCode::Delete),
    ("backtab", KeyCode::BackTab),
];

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        let mut kept = KeyModifiers::CONTROL | KeyModifiers::ALT;
        if !matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab) {
            kept |= KeyModifiers::SHIFT;
        }
        Self { code: event.code, modifiers: event.modifiers & kept }
    }
}

impl FromStr for Key {
    type Err = String;

    /// Parses "u", "S", "ctrl-r", "alt-x", "space", "f5".
    fn from_str(text: &str) -> Result<Self, String> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        loop {
            if let Some(after) = rest.strip_prefix("ctrl-").filter(|after| !after.is_empty()) {
                modifiers |= KeyModifiers::CONTROL;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("alt-").filter(|after| !after.is_empty())
            {
                modifiers |= KeyModifiers::ALT;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("shift-").filter(|after| {
                // terminals never report shift with a letter or a symbol
                after.chars().nth(1).is_some()
            }) {
                modifiers |= KeyModifiers::SHIFT;
                rest = after;
            } else {
                break;
            }
        }
        let named = NAMES.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code);
        let function = rest.strip_prefix('f').and_then(|digits| digits.parse().ok());
        let mut letters = rest.chars();
        let code = match (named, function, letters.next(), letters.next()) {
            (Some(code), ..) => code,
            (_, Some(number @ 1..=24), ..) => KeyCode::F(number),
            (_, _, Some(letter), None) => KeyCode::Char(letter),
            _ => {
                return Err(format!(
                    "`{text}` is not a key: write a character, or one of {}, f1 to f24, with \
                     `ctrl-`, `alt-` or (not before a character) `shift-` before it",
                    NAMES.map(|(name, _)| name).join(", ")
                ));
            }
        };
        Ok(Self { code, modifiers })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.modifiers.contains(KeyModifiers::CONTROL) {
            f.write_str("ctrl-")?;
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            f.write_str("alt-")?;
        }
        if self.modifiers.contains(KeyModifiers::SHIFT) {
            f.write_str("shift-")?;
        }
        if let Some((name, _)) = NAMES.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(letter) => write!(f, "{letter}"),
            KeyCode::F(number) => write!(f, "f{number}"),
            _ => f.write_str("?"),
        }
    }
}

/// The whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    bindings: Vec<(Key, Command)>,
}

const DEFAULT: &[(&str, Command)] = &[
    ("up", Command::Up),
    ("k", Command::Up),
    ("down", Command::Down),
    ("j", Command::Down),
    ("left", Command::Left),
    ("h", Command::Left),
    ("right", Command::Right),
    ("l", Command::Right),
    ("shift-left", Command::ExtendLeft),
    ("<", Command::ExtendLeft),
    ("shift-right", Command::ExtendRight),
    (">", Command::ExtendRight),
    ("pageup", Command::PageUp),
    ("pagedown", Command::PageDown),
    ("[", Command::PreviewUp),
    ("shift-up", Command::PreviewUp),
    ("]", Command::PreviewDown),
    ("shift-down", Command::PreviewDown),
    ("home", Command::First),
    ("g", Command::First),
    ("end", Command::Last),
    ("G", Command::Last),
    ("tab", Command::NextPane),
    ("space", Command::Lift),
    ("enter", Command::Accept),
    ("esc", Command::Cancel),
    ("+", Command::More),
    ("=", Command::More),
    ("-", Command::Less),
    ("x", Command::Share),
    ("u", Command::Undo),
    ("ctrl-r", Command::Redo),
    ("U", Command::UndoSelected),
    ("t", Command::Staged),
    ("p", Command::Pause),
    ("e", Command::Edit),
    ("a", Command::Add),
    ("A", Command::Processes),
    ("X", Command::Remove),
    ("E", Command::Reserve),
    ("W", Command::Record),
    ("s", Command::Save),
    ("S", Command::SaveAs),
    ("R", Command::Restore),
    ("o", Command::Layouts),
    ("r", Command::Rename),
    ("delete", Command::Delete),
    ("D", Command::Delete),
    ("d", Command::Detail),
    ("m", Command::Machine),
    ("w", Command::Memory),
    ("c", Command::Connections),
    ("J", Command::Journal),
    ("L", Command::Log),
    ("!", Command::Alerts),
    ("b", Command::Board),
    ("z", Command::Expand),
    ("O", Command::Sort),
    ("/", Command::Filter),
    (":", Command::Palette),
    ("?", Command::Help),
    ("f1", Command::Help),
    ("T", Command::Theme),
    ("M", Command::Mouse),
    ("P", Command::Picture),
    ("ctrl-l", Command::Redraw),
    ("ctrl-z", Command::Suspend),
    ("Q", Command::EndRun),
    ("q", Command::Quit),
    ("ctrl-c", Command::Quit),
];

impl Default for Keymap {
    fn default() -> Self {
        let bindings = DEFAULT
            .iter()
            .filter_map(|(key, command)| key.parse().ok().map(|key| (key, *command)))
            .collect();
        Self { bindings }
    }
}

impl Keymap {
    /// Returns the command of a key.
    pub fn command(&self, key: Key) -> Option<Command> {
        let bound = |key| self.bindings.iter().find(|(bound, _)| *bound == key);
        // a key with shift falls back to the binding without shift
        let plain = Key { modifiers: key.modifiers - KeyModifiers::SHIFT, ..key };
        bound(key).or_else(|| bound(plain)).map(|(_, command)| *command)
    }

    /// Returns the keys of a command. The first one is shown.
    pub fn keys(&self, command: Command) -> impl Iterator<Item = Key> + '_ {
        self.bindings.iter().filter(move |(_, bound)| *bound == command).map(|(key, _)| *key)
    }

    /// Returns the key to show for a command; "unbound" if it has none.
    pub fn shown(&self, command: Command) -> String {
        self.keys(command).next().map_or_else(|| "unbound".to_owned(), |key| key.to_string())
    }

    /// Binds a command to exactly these keys, and unbinds them from other commands.
    pub fn bind(&mut self, command: Command, keys: &[Key]) {
        self.bindings.retain(|(key, bound)| *bound != command && !keys.contains(key));
        self.bindings.extend(keys.iter().map(|key| (*key, command)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_key_round_trips() {
        for (text, command) in DEFAULT {
            let key: Key = text.parse().unwrap();
            assert_eq!(key.to_string(), *text);
            assert_eq!(Keymap::default().command(key), Some(*command), "{text} is bound twice");
        }
    }

    #[test]
    fn every_command_has_a_key() {
        for command in Command::ALL {
            assert!(Keymap::default().keys(*command).next().is_some(), "{}", command.name());
        }
    }

    #[test]
    fn rebinding_takes_the_key_from_its_old_command() {
        let mut keymap = Keymap::default();
        let key: Key = "u".parse().unwrap();
        keymap.bind(Command::Save, &[key]);
        assert_eq!(keymap.command(key), Some(Command::Save));
        assert_eq!(keymap.shown(Command::Undo), "unbound");
        assert_eq!(keymap.shown(Command::Save), "u");
    }

    #[test]
    fn invalid_text_is_not_a_key() {
        for text in ["", "ctrl-", "uu", "f99", "hyper-x"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
