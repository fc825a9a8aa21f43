//! The commands that can be done: in read-only mode, those that change something are not offered.

use super::command::Command;
use super::console_state::ConsoleState;
use super::screen::Screen;

/// Returns true if a command can be done on the open screen.
pub fn offers(state: &ConsoleState, command: Command) -> bool {
    let applies = command == Command::Accept && state.screen == Screen::Layouts;
    !state.readonly || !(command.changes() || applies)
}

/// Returns the text of a command on the help page.
pub fn help_of(state: &ConsoleState, command: Command) -> &'static str {
    let attached = command.attached_help().filter(|_| state.attached.is_some());
    attached.unwrap_or(if state.readonly { command.readonly_help() } else { command.help() })
}

/// Returns the offered commands whose name or help contains every typed word.
pub fn matching(state: &ConsoleState, typed: &str) -> Vec<Command> {
    let typed = typed.to_lowercase();
    let contains = |command: Command, word: &str| {
        command.name().contains(word) || help_of(state, command).to_lowercase().contains(word)
    };
    let mut found: Vec<Command> = Command::ALL
        .iter()
        .copied()
        .filter(|command| offers(state, *command))
        .filter(|command| typed.split_whitespace().all(|word| contains(*command, word)))
        .collect();
    // matches of names come first, otherwise the order of the help page
    found.sort_by_key(|command| !command.name().starts_with(typed.trim()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::ConsoleOptions;

    #[test]
    fn palette_lists_name_matches_first() {
        let state = ConsoleState::new(&ConsoleOptions::default());
        assert_eq!(matching(&state, "und").first(), Some(&Command::Undo));
        assert_eq!(matching(&state, "newest change"), [Command::Undo]);
        assert_eq!(matching(&state, "").len(), Command::ALL.len());
        assert!(matching(&state, "xyzzy").is_empty());
    }

    #[test]
    fn readonly_offers_no_change() {
        let state = ConsoleState::new(&ConsoleOptions { readonly: true, ..Default::default() });
        let offered = matching(&state, "");
        assert!(!offered.is_empty() && !offered.iter().any(|command| command.changes()));
        for word in ["undo", "drag", "apply", "staged", "save the"] {
            assert_eq!(matching(&state, word), [], "{word}");
        }
    }
}
