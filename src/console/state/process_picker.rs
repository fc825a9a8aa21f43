//! The list of the processes that belong to no row, from which one is added as a row.

use crossterm::event::{KeyCode, KeyEvent};

use super::action::Effect;
use super::command::Command;
use super::console_state::ConsoleState;
use super::dialog::Dialog;
use super::editor::TextField;
use super::row_editor::InputPrompt;
use super::screen::{Screen, Tone};
use super::staging;
use crate::layout::{Budget, CoreOwner, Edit, ProcessSelector, ProcessSource};
use crate::telemetry::{OtherProcess, Snapshot};

/// Lines that the page keys move by.
const PAGE: usize = 10;

/// The most characters of the name of an added row.
const LONGEST_NAME: usize = 40;

/// The open list.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessPicker {
    /// The filter: only processes that contain every word of it are listed.
    pub filter: TextField,
    /// The number of the selected process; `None` for the first of the list.
    selected: Option<i32>,
    /// The field for a model's path, which the tab key opens.
    path: Box<InputPrompt>,
}

/// The processes that an added row takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PickedProcesses {
    /// Every process with the same executable.
    SameExecutable,
    /// The selected process only.
    Single,
}

impl ProcessPicker {
    /// Creates a list without a filter. `path` is the text of the field for a model's path.
    pub fn new(path: InputPrompt) -> Self {
        Self { filter: TextField::default(), selected: None, path: Box::new(path) }
    }

    /// Returns the listed processes, busiest first.
    pub fn listed<'a>(&self, snapshot: &'a Snapshot) -> Vec<&'a OtherProcess> {
        let wanted = self.filter.text().to_lowercase();
        let contains = |other: &OtherProcess, word: &str| {
            let process = &other.process;
            [&*other.exe, &*process.command, &*process.user, &*process.pid.to_string()]
                .iter()
                .any(|text| text.to_lowercase().contains(word))
        };
        let all = snapshot.others.iter().flat_map(|others| &others.busiest);
        let mut listed: Vec<&OtherProcess> = all
            .filter(|other| wanted.split_whitespace().all(|word| contains(other, word)))
            .collect();
        listed.sort_by(|a, b| b.process.cpu.total_cmp(&a.process.cpu));
        listed
    }

    /// Returns the index of the selected process in the list. It follows the process, whose place
    /// changes with its CPU time.
    pub fn at(&self, listed: &[&OtherProcess]) -> usize {
        let place = |pid| listed.iter().position(|other| other.process.pid == pid);
        self.selected.and_then(place).unwrap_or(0)
    }

    /// Selects the entry at this index.
    fn select(&mut self, listed: &[&OtherProcess], at: usize) {
        let at = at.min(listed.len().saturating_sub(1));
        self.selected = listed.get(at).map(|other| other.process.pid);
    }
}

/// Opens the list.
pub(super) fn open(state: &mut ConsoleState) {
    open_beside(state, InputPrompt::new(""));
}

/// Opens the list in place of the field for a model's path.
pub(super) fn open_beside(state: &mut ConsoleState, path: InputPrompt) {
    state.message = None;
    state.dialog = Some(Dialog::Processes(ProcessPicker::new(path)));
}

/// Handles a key while the list is open.
pub(super) fn press(
    state: &mut ConsoleState,
    mut picker: ProcessPicker,
    key: KeyEvent,
) -> Vec<Effect> {
    let snapshot = state.snapshot.clone();
    let listed = picker.listed(&snapshot);
    let at = picker.at(&listed);
    match key.code {
        KeyCode::Enter => return add(state, picker, PickedProcesses::SameExecutable),
        KeyCode::F(2) => return add(state, picker, PickedProcesses::Single),
        KeyCode::Tab if !state.readonly => {
            state.dialog = Some(Dialog::Add(*picker.path));
            return Vec::new();
        }
        KeyCode::Up => picker.select(&listed, at.saturating_sub(1)),
        KeyCode::Down => picker.select(&listed, at + 1),
        KeyCode::PageUp => picker.select(&listed, at.saturating_sub(PAGE)),
        KeyCode::PageDown => picker.select(&listed, at + PAGE),
        _ => {
            picker.filter.key(key);
        }
    }
    state.message = None;
    state.dialog = Some(Dialog::Processes(picker));
    Vec::new()
}

/// Handles a click on an entry: selects it, or adds it if it is selected already.
pub(super) fn click(state: &mut ConsoleState, at: usize) -> Vec<Effect> {
    let Some(Dialog::Processes(mut picker)) = state.dialog.take() else { return Vec::new() };
    let snapshot = state.snapshot.clone();
    let listed = picker.listed(&snapshot);
    if picker.selected.is_some() && picker.at(&listed) == at {
        return add(state, picker, PickedProcesses::SameExecutable);
    }
    picker.select(&listed, at);
    state.dialog = Some(Dialog::Processes(picker));
    Vec::new()
}

/// Adds the selected process as a row without cores.
fn add(state: &mut ConsoleState, picker: ProcessPicker, which: PickedProcesses) -> Vec<Effect> {
    let snapshot = state.snapshot.clone();
    let listed = picker.listed(&snapshot);
    let Some(other) = listed.get(picker.at(&listed)) else {
        state.dialog = Some(Dialog::Processes(picker));
        return Vec::new();
    };
    let refusal = if state.readonly {
        Some(format!("read-only: {} is off", Command::Add.name()))
    } else if let Some(reason) = &other.refused {
        Some(format!("{} cannot be a row: {reason}", other.exe))
    } else {
        state.lock()
    };
    if let Some(reason) = refusal {
        state.dialog = Some(Dialog::Processes(picker));
        state.say(Tone::Bad, reason);
        return Vec::new();
    }
    let selector = match which {
        PickedProcesses::SameExecutable => ProcessSelector::Exe(other.exe.clone()),
        PickedProcesses::Single => ProcessSelector::Pid(other.process.pid),
    };
    let name = state.free_name(&other.exe);
    let budget = Budget::new(name.clone(), ProcessSource::new(selector));
    state.screen = Screen::Board;
    state.arriving = Some(name);
    staging::commit(state, Edit::Add { budget: Box::new(budget) }.into())
}

impl ConsoleState {
    /// Returns a name for a new row that starts with `wish` and that no row has.
    fn free_name(&self, wish: &str) -> String {
        let letters = wish.chars().filter(|letter| !letter.is_control());
        let name: String = letters.take(LONGEST_NAME).collect();
        let name = match name.trim() {
            "" => "process",
            name => name,
        };
        let staged = self.staged_plan.iter().flat_map(|plan| &plan.after.rows);
        let rows: Vec<&str> = (self.snapshot.models.iter().map(|view| &view.row))
            .chain(staged)
            .map(|row| row.budget.name.as_str())
            .collect();
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        names.find(|name| !rows.contains(&name.as_str())).unwrap_or_default()
    }

    /// Returns the reason why no change was made to the line below the rows: it is no row.
    pub(super) fn no_row(&self) -> String {
        if self.on_others {
            let key = self.keymap.shown(Command::Accept);
            format!("other processes are no row: {key} lists them, and adds one as a row")
        } else {
            "select a row: the free cores cannot be changed".to_owned()
        }
    }

    /// Returns the selected row, or the free cores; `None` on the line of other processes.
    pub(super) fn selected_owner(&self) -> Option<&CoreOwner> {
        (!self.on_others).then_some(&self.selected)
    }
}
