//! `update`: the only function that changes the state. It takes an action and returns effects; it
//! reads nothing but the state and performs nothing itself.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::action::{Action, AppliedKind, Effect, PlanPurpose};
use super::command::Command;
use super::dialog::Dialog;
use super::drag::DragInput;
use super::editor::TextField;
use super::hits::{ScrollArea, Target};
use super::row_editor::InputPrompt;
use super::{ConsoleState, Mode, Pane, Screen, Tone};
use crate::console::format;
use crate::console::theme::Theme;
use crate::layout::{CoreOwner, Plan, Refusal};
use crate::telemetry::{Applied, Snapshot};

/// Applies an action to the state; returns the effects to perform.
pub fn update(state: &mut ConsoleState, action: Action) -> Vec<Effect> {
    if !matches!(action, Action::Snapshot(_)) {
        state.revision += 1;
    }
    let before = state.profile.clone();
    // saving may give a file to a layout that had none, under the same name
    let saved = matches!(&action, Action::Saved { result: Ok(_), .. });
    let mut effects = take_in(state, action);
    if saved || state.profile != before {
        // first, so that it is performed even if the console ends
        effects.insert(0, Effect::SetCurrentLayout(state.profile.clone()));
    }
    effects
}

fn take_in(state: &mut ConsoleState, action: Action) -> Vec<Effect> {
    match action {
        Action::Key(key) => return state.key(key),
        Action::Paste(text) => return state.paste(&text),
        Action::Command(command) => {
            state.dialog = None;
            state.leaving = false;
            return state.command(command);
        }
        Action::Jump(row) => return state.jump(row),
        Action::Click(target) => return state.click(target),
        Action::Expand(pane) => {
            state.expanded = !(state.expanded && state.focus == pane);
            state.focus = pane;
        }
        Action::Grab { .. }
        | Action::Hover { .. }
        | Action::Pick
        | Action::PickCore { .. }
        | Action::Drop { .. }
        | Action::Aim { .. }
        | Action::CancelDrag(_)
        | Action::Amount(_) => return state.drag_action(action),
        Action::Step { model, column, by } => return state.step(&model, column, by),
        Action::Scroll(by) => return state.walk(by),
        Action::Wheel { what, by } => state.scroll_lines(what, by),
        Action::Resized => state.cancel_drag("the terminal's size changed"),
        Action::FocusLost => {
            // a drag by two clicks or by keys can continue later; one with a held button cannot
            if matches!(
                state.drag.as_ref().map(|drag| drag.input),
                Some(DragInput::ButtonHeld { .. })
            ) {
                state.cancel_drag("the window lost the focus");
            }
        }
        Action::Snapshot(snapshot) => {
            let first = state.snapshot.models.is_empty();
            state.history.observe(&snapshot);
            let newer = snapshot.newest_change() != state.snapshot.newest_change();
            if newer {
                // the newest change is the first line
                state.scroll_changes = 0;
            }
            // the staged changes were planned on rows that have changed
            let overtaken = newer && !state.staged.is_empty();
            let known = state.snapshot.newest_change();
            state.snapshot = snapshot;
            state.switch_origins_of_others(known);
            state.drop_overtaken();
            if first {
                state.select(state.rows().first().cloned());
            }
            state.select_arrived();
            state.keep_order();
            state.keep_selection();
            let mut effects = state.follow_log();
            if overtaken {
                effects.extend(state.plan_staged());
                state.planned_anew = state.staged_ticket;
            }
            return effects;
        }
        Action::Planned { ticket, question: PlanPurpose::Drag, result } => {
            state.consequence(ticket, *result);
        }
        Action::Planned { ticket, question: PlanPurpose::Staged, result } => {
            return state.staged_planned(ticket, *result);
        }
        Action::Read { ticket, result } => return state.read(ticket, *result),
        Action::Surveyed { ticket, refusals } => state.surveyed(ticket, refusals),
        Action::Applied { kind, result } => state.applied(kind, *result),
        Action::Profiles(profiles) => return state.listed(profiles),
        Action::Previewed { ticket, result } => state.previewed(ticket, *result),
        Action::Loaded { name, result } => return state.loaded(name, *result),
        Action::Saved { name, result } => return state.saved_as(name, result),
        Action::Renamed { from, to, result } => return state.renamed(&from, &to, result),
        Action::Deleted { name, result } => return state.deleted(&name, result),
        Action::Baseline(layout) => state.saved = Some(layout.models),
        Action::Journal(entries) => state.journal = entries,
        Action::Log(newer) => state.log.take(newer),
        Action::Pictured(Ok(place)) => state.say(Tone::Good, format!("picture written to {place}")),
        Action::Pictured(Err(reason)) => state.say(Tone::Bad, format!("no picture: {reason}")),
    }
    Vec::new()
}

impl ConsoleState {
    fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let suspend = self.keymap.command(key.into()) == Some(Command::Suspend);
        if self.dialog.is_some() && !suspend {
            return self.dialog_key(key);
        }
        if let Some(command) = self.keymap.command(key.into()) {
            return self.command(command);
        }
        match key.code {
            KeyCode::Char(digit @ '0'..='9') if key.modifiers == KeyModifiers::NONE => {
                self.jump(digit as usize - '0' as usize)
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn command(&mut self, command: Command) -> Vec<Effect> {
        if self.readonly && command.changes() {
            self.say(Tone::Bad, format!("read-only: {} is off", command.name()));
            return Vec::new();
        }
        if !matches!(command, Command::Redraw | Command::Suspend) && self.drag.is_none() {
            self.message = None;
        }
        match command {
            Command::Up => return self.walk(-1),
            Command::Down => return self.walk(1),
            Command::Left => self.sideways(-1),
            Command::Right => self.sideways(1),
            Command::PageUp if self.screen == Screen::Layouts => {
                self.scroll_lines(ScrollArea::Preview, -10);
            }
            Command::PageDown if self.screen == Screen::Layouts => {
                self.scroll_lines(ScrollArea::Preview, 10);
            }
            Command::PageUp => return self.walk(-10),
            Command::PageDown => return self.walk(10),
            Command::First => return self.walk(i32::MIN),
            Command::Last => return self.walk(i32::MAX),
            Command::NextPane => self.next_pane(),
            Command::Lift => return self.lift(),
            Command::Accept => return self.accept(),
            Command::Cancel => self.cancel(),
            Command::More => return self.more(1),
            Command::Less => return self.more(-1),
            Command::Share => return self.toggle_share(),
            Command::Undo => {
                if self.staged.pop().is_some() {
                    return self.plan_staged();
                }
                return vec![Effect::Undo];
            }
            Command::Redo => return vec![Effect::Redo],
            Command::ExtendLeft => self.extend(-1),
            Command::ExtendRight => self.extend(1),
            Command::Sort => self.sort_on(),
            Command::Staged => self.toggle_staged(),
            Command::Pause => return self.pause(),
            Command::Edit => self.open_row(),
            Command::Add => self.dialog = Some(Dialog::Add(InputPrompt::new(""))),
            Command::Remove => self.ask_remove(),
            Command::Reserve => return self.reserve(),
            Command::Save => {
                return match self.profile.clone() {
                    Some(name) => vec![Effect::SaveProfile(name)],
                    None => self.ask_save_as(),
                };
            }
            Command::SaveAs => return self.ask_save_as(),
            Command::Restore => self.ask_restore(),
            Command::Layouts => {
                self.show(Screen::Layouts);
                return vec![Effect::ListProfiles];
            }
            Command::Rename if self.screen == Screen::Layouts => self.ask_rename(),
            Command::Delete if self.screen == Screen::Layouts => self.ask_delete(),
            Command::Rename | Command::Delete => {
                let key = self.keymap.shown(Command::Layouts);
                self.say(
                    Tone::Info,
                    format!(
                        "{} works on the layouts screen ({key}); {} removes a model",
                        command.name(),
                        self.keymap.shown(Command::Remove)
                    ),
                );
            }
            Command::Detail => self.show(Screen::Detail),
            Command::Machine => self.show(Screen::Machine),
            Command::Memory => self.show(Screen::Memory),
            Command::Journal => {
                self.show(Screen::Journal);
                return vec![Effect::ReadJournal];
            }
            Command::Log => {
                self.show(Screen::Log);
                return self.follow_log();
            }
            Command::Board => self.show(Screen::Board),
            Command::Expand => self.expanded = !self.expanded,
            Command::Filter => {
                self.dialog = Some(Dialog::Filter { editor: TextField::new(&self.filter) });
            }
            Command::Palette => {
                self.dialog = Some(Dialog::Palette { editor: TextField::default(), at: 0 });
            }
            Command::Help => self.dialog = Some(Dialog::Help { scroll: 0 }),
            Command::Theme => {
                self.theme = Theme::new(self.theme.name.next());
                self.say(Tone::Info, format!("theme {}", self.theme.name));
            }
            Command::Mouse => {
                self.cancel_drag("the mouse was switched");
                self.mouse = !self.mouse;
                let word = if self.mouse { "on" } else { "off: the terminal selects text" };
                self.say(Tone::Info, format!("mouse {word}"));
                return vec![Effect::Mouse(self.mouse)];
            }
            Command::Picture => return vec![Effect::Picture],
            Command::Redraw => return vec![Effect::Redraw],
            Command::Suspend => {
                self.cancel_drag("the program was suspended");
                return vec![Effect::Suspend];
            }
            Command::Quit => {
                self.cancel_drag("leaving");
                let unsaved = !self.readonly && (self.modified() || !self.staged.is_empty());
                if unsaved {
                    self.dialog = Some(Dialog::Quit);
                } else {
                    return vec![Effect::Quit];
                }
            }
        }
        Vec::new()
    }

    fn show(&mut self, screen: Screen) {
        self.cancel_drag("another screen was opened");
        self.screen = screen;
        self.scroll = 0;
        self.expanded = false;
    }

    fn click(&mut self, target: Target) -> Vec<Effect> {
        self.message = None;
        match target {
            Target::Row(party) | Target::RowCore(party) => self.selected = party,
            Target::Field(model, column) => {
                self.selected = CoreOwner::Model(model);
                self.column = column;
            }
            Target::Item(at) if matches!(self.dialog, Some(Dialog::Palette { .. })) => {
                if let Some(Dialog::Palette { editor, .. }) = self.dialog.take() {
                    let found = super::dialog::matching(&editor.text());
                    if let Some(command) = found.get(at) {
                        return self.command(*command);
                    }
                }
            }
            Target::Item(at) if matches!(self.dialog, Some(Dialog::Row(_))) => self.choose_key(at),
            Target::Item(at) if self.screen == Screen::Layouts => return self.select_layout(at),
            Target::Core(core) => {
                self.focus = Pane::Cores;
                self.leave_cores();
                self.core = Some(core);
            }
            Target::Title(key) => self.sort_by_title(key),
            _ => {}
        }
        Vec::new()
    }

    fn accept(&mut self) -> Vec<Effect> {
        if self.drag.is_some() {
            return self.drop_on(None);
        }
        if self.screen == Screen::Layouts {
            return self.apply_layout();
        }
        if !self.staged.is_empty() {
            return self.apply_staged();
        }
        if self.screen == Screen::Board && matches!(self.selected, CoreOwner::Model(_)) {
            self.show(Screen::Detail);
        }
        Vec::new()
    }

    pub(super) fn apply_staged(&self) -> Vec<Effect> {
        let change = self.on_top(&crate::layout::Change::default());
        vec![Effect::Apply { kind: AppliedKind::Staged, change }]
    }

    fn cancel(&mut self) {
        if self.drag.is_some() {
            self.cancel_drag("cancelled");
        } else if !self.staged.is_empty() {
            let count = self.staged.len();
            self.staged.clear();
            self.staged_plan = None;
            let dropped = format::counted(count, "staged change");
            self.say(Tone::Info, format!("{dropped} discarded"));
        } else if !self.picked.is_empty() {
            self.leave_cores();
        } else if self.expanded {
            self.expanded = false;
        } else if self.screen != Screen::Board {
            self.show(Screen::Board);
        } else if self.filter.is_empty() {
            self.focus = Pane::Models;
        } else {
            self.filter.clear();
        }
    }

    fn more(&mut self, by: i32) -> Vec<Effect> {
        if self.drag.is_some() {
            return self.amount(by);
        }
        match self.selected.clone() {
            CoreOwner::Model(name) => self.step(&name, self.column, by),
            CoreOwner::Free => {
                self.say(Tone::Info, "select a model: the row of free cores cannot be changed");
                Vec::new()
            }
        }
    }

    fn toggle_staged(&mut self) {
        self.mode = match self.mode {
            Mode::Live => Mode::Staged,
            Mode::Staged if self.staged.is_empty() => Mode::Live,
            Mode::Staged => {
                let (apply, drop) =
                    (self.keymap.shown(Command::Accept), self.keymap.shown(Command::Cancel));
                return self.say(
                    Tone::Bad,
                    format!("there are staged changes: {apply} applies them, {drop} discards them"),
                );
            }
        };
        let text = match self.mode {
            Mode::Live => "live mode: changes are applied at once",
            Mode::Staged => "staged mode: changes wait until they are applied",
        };
        self.say(Tone::Info, text);
    }

    fn staged_planned(&mut self, ticket: u64, result: Result<Plan, Refusal>) -> Vec<Effect> {
        if ticket != self.staged_ticket || self.staged.is_empty() {
            return Vec::new();
        }
        match result {
            Ok(plan) => {
                self.staged_plan = Some(plan);
                Vec::new()
            }
            Err(refusal) => {
                // the last gesture made the staged changes impossible; the earlier ones stay
                self.staged.pop();
                let why = if ticket == self.planned_anew {
                    "dropped the last staged change, which a newer change made impossible"
                } else {
                    "not staged"
                };
                self.say(Tone::Bad, format!("{why}: {refusal}"));
                self.plan_staged()
            }
        }
    }

    fn applied(&mut self, kind: AppliedKind, result: Result<Applied, Refusal>) {
        match result {
            Ok(applied) => {
                if kind == AppliedKind::Staged {
                    self.staged.clear();
                    self.staged_plan = None;
                }
                let layout = applied.of.and_then(|entry| self.switch_origin(entry));
                let layout =
                    layout.map_or_else(String::new, |name| format!("the layout is {name} again, "));
                let summary = &applied.plan.summary;
                let mut text =
                    format!("{kind}{layout}{summary}, in force in {} us", applied.force_us);
                let mut tone = Tone::Good;
                if let Some(difference) = applied.differences.first() {
                    text = format!("{text}; {difference}");
                    tone = Tone::Bad;
                } else if let Some(warning) = applied.plan.warnings.first() {
                    text = format!("{text}; {warning}");
                }
                self.say(tone, text);
                self.fresh = Some((applied.plan.after, applied.plan.ledger));
            }
            Err(refusal) => self.say(Tone::Bad, format!("refused: {refusal}")),
        }
    }

    /// Drops the state after the last applied change once a snapshot shows it.
    fn drop_overtaken(&mut self) {
        let overtaken = self.fresh.as_ref().is_some_and(|(desired, _)| {
            desired.rows.iter().all(|row| {
                let shown = self.snapshot.model(&row.budget.name);
                shown.is_none_or(|view| view.row.generation >= row.generation)
            })
        });
        if overtaken {
            self.fresh = None;
        }
    }

    /// Moves the selection to the first row if the selected one was removed or filtered out.
    pub(super) fn keep_selection(&mut self) {
        let rows = self.rows();
        if !rows.contains(&self.selected) {
            self.select(rows.first().cloned());
        }
        let gone =
            |snapshot: &Snapshot, core| snapshot.cores.iter().all(|view| view.core.id != core);
        if self.core.is_some_and(|core| gone(&self.snapshot, core)) {
            self.core = None;
        }
    }
}
