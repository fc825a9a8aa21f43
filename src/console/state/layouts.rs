//! The list of saved layouts and its commands.

use super::action::Effect;
use super::command::Command;
use super::dialog::{ConfirmedAction, Dialog};
use super::editor::TextField;
use super::{ConsoleState, Message, Tone};
use crate::layout::{Budget, Layout, Plan};
use crate::scheduler::Profile;
use crate::telemetry::Applied;

/// The list with its selection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayoutList {
    /// The saved layouts; `None` until they are read.
    pub profiles: Option<Result<Vec<Profile>, String>>,
    /// Index of the selected layout.
    pub at: usize,
    /// The plan of applying the selected layout. The inner `None`: nothing would change.
    pub preview: Option<Result<Option<Plan>, String>>,
    /// First shown line of the plan.
    pub scroll: usize,
    /// The layout used last, which is listed first.
    pub last: Option<String>,
    ticket: u64,
}

impl LayoutList {
    /// Creates an unread list. `last` is listed first.
    pub fn new(last: Option<String>) -> Self {
        Self { last, ..Self::default() }
    }

    /// Returns the saved layouts; empty until they are read.
    pub fn known(&self) -> &[Profile] {
        match &self.profiles {
            Some(Ok(profiles)) => profiles,
            _ => &[],
        }
    }

    /// Returns the selected layout.
    pub fn selected(&self) -> Option<&Profile> {
        self.known().get(self.at)
    }

    /// Returns true if a layout of this name is saved.
    pub fn has(&self, name: &str) -> bool {
        self.known().iter().any(|profile| profile.name == name)
    }
}

impl ConsoleState {
    /// Moves the selection of the list.
    pub(super) fn select_layout(&mut self, at: usize) -> Vec<Effect> {
        self.layouts.at = at.min(self.layouts.known().len().saturating_sub(1));
        self.layouts.preview = None;
        self.layouts.scroll = 0;
        let ticket = self.ticket();
        self.layouts.ticket = ticket;
        let name = self.layouts.selected().map(|profile| profile.name.clone());
        name.map(|name| Effect::PreviewProfile { ticket, name }).into_iter().collect()
    }

    pub(super) fn listed(&mut self, mut profiles: Result<Vec<Profile>, String>) -> Vec<Effect> {
        if let Ok(profiles) = &mut profiles {
            profiles.sort_by_key(|profile| Some(&profile.name) != self.layouts.last.as_ref());
        }
        let kept = self.layouts.selected().or(None).map(|profile| profile.name.clone());
        let kept = kept.or_else(|| self.profile.clone());
        self.layouts.profiles = Some(profiles);
        let at =
            self.layouts.known().iter().position(|profile| Some(&profile.name) == kept.as_ref());
        self.select_layout(at.unwrap_or(self.layouts.at))
    }

    pub(super) fn previewed(&mut self, ticket: u64, result: Result<Option<Plan>, String>) {
        if ticket == self.layouts.ticket {
            self.layouts.preview = Some(result);
        }
    }

    pub(super) fn apply_layout(&mut self) -> Vec<Effect> {
        if self.readonly {
            self.say(Tone::Bad, "read-only: nothing can be changed here");
            return Vec::new();
        }
        if !self.staged.is_empty() {
            self.say(Tone::Bad, "apply or drop what is staged first");
            return Vec::new();
        }
        let name = self.layouts.selected().map(|profile| profile.name.clone());
        name.map(Effect::LoadProfile).into_iter().collect()
    }

    pub(super) fn loaded(
        &mut self,
        name: String,
        result: Result<Option<Applied>, String>,
    ) -> Vec<Effect> {
        match result {
            Ok(None) => {
                self.say(Tone::Good, format!("{name} is in force: nothing had to change"));
                let names = self.snapshot.models.iter().map(|view| &view.row.budget.name);
                let rows = names.filter_map(|name| self.live(name));
                let rows = rows.map(|row| row.budget.clone()).collect();
                self.belongs_to(name, rows, None);
                Vec::new()
            }
            Ok(Some(applied)) => {
                self.say(Tone::Good, format!("{name} is in force: {}", applied.plan.summary));
                self.belongs_to(name, applied.plan.after.layout().models, Some(applied.id));
                // the load may already be undone if no instance could be built
                self.switch_origins_of_others(Some(applied.id));
                self.fresh = Some((applied.plan.after, applied.plan.ledger));
                self.select_layout(self.layouts.at)
            }
            Err(reason) => {
                self.say(Tone::Bad, format!("{name} was not applied: {reason}"));
                Vec::new()
            }
        }
    }

    pub(super) fn ask_save_as(&mut self) -> Vec<Effect> {
        let editor = TextField::new(self.profile.as_deref().unwrap_or_default());
        self.dialog = Some(Dialog::SaveAs { editor });
        // read the list, so that a typed name can be checked against it
        vec![Effect::ListProfiles]
    }

    pub(super) fn saved_as(
        &mut self,
        name: String,
        result: Result<(Vec<Budget>, String), String>,
    ) -> Vec<Effect> {
        match result {
            Ok((rows, place)) => {
                self.message =
                    Some(Message { text: format!("{name} saved to {place}"), tone: Tone::Good });
                self.belongs_to(name, rows, None);
                if std::mem::take(&mut self.leaving) {
                    return vec![Effect::Quit];
                }
                vec![Effect::ListProfiles]
            }
            Err(reason) => {
                self.leaving = false;
                self.say(Tone::Bad, format!("{name} was not saved: {reason}"));
                Vec::new()
            }
        }
    }

    pub(super) fn ask_rename(&mut self) {
        self.with_selected(|profile| Dialog::Rename {
            editor: TextField::new(&profile.name),
            from: profile.name.clone(),
        });
    }

    pub(super) fn ask_delete(&mut self) {
        self.with_selected(|profile| Dialog::Confirm {
            question: format!("Delete {} for good?", profile.name),
            yes: ConfirmedAction::Delete(profile.name.clone()),
        });
    }

    fn with_selected(&mut self, dialog: impl FnOnce(&Profile) -> Dialog) {
        match self.layouts.selected() {
            Some(profile) if profile.read_only => {
                let text = format!("{} comes with divvy: save it under another name", profile.name);
                self.say(Tone::Bad, text);
            }
            Some(profile) => self.dialog = Some(dialog(profile)),
            None => self.say(Tone::Info, "no saved layout is selected"),
        }
    }

    pub(super) fn renamed(
        &mut self,
        from: &str,
        to: &str,
        result: Result<(), String>,
    ) -> Vec<Effect> {
        match result {
            Ok(()) => {
                self.say(Tone::Good, format!("{from} is now {to}"));
                self.called(from, to);
                vec![Effect::ListProfiles]
            }
            Err(reason) => {
                self.say(Tone::Bad, format!("{from} was not renamed: {reason}"));
                Vec::new()
            }
        }
    }

    pub(super) fn deleted(&mut self, name: &str, result: Result<(), String>) -> Vec<Effect> {
        match result {
            Ok(()) => {
                let in_force = self.profile.as_deref() == Some(name);
                let still = if in_force { ": what is in force is saved nowhere now" } else { "" };
                self.say(Tone::Good, format!("{name} is deleted{still}"));
                self.saved_nowhere(name);
                vec![Effect::ListProfiles]
            }
            Err(reason) => {
                self.say(Tone::Bad, format!("{name} was not deleted: {reason}"));
                Vec::new()
            }
        }
    }

    pub(super) fn ask_restore(&mut self) {
        if self.saved.as_ref().is_some_and(Vec::is_empty) {
            let save = self.keymap.shown(Command::SaveAs);
            self.say(Tone::Info, format!("this layout is saved nowhere yet: {save} saves it"));
        } else if self.modified() {
            self.dialog = Some(Dialog::Confirm {
                question: format!("Go back to {} as it was saved?", self.profile_name()),
                yes: ConfirmedAction::Restore,
            });
        } else {
            self.say(Tone::Info, "nothing was changed since the layout was saved");
        }
    }

    pub(super) fn restore_saved(&mut self) -> Vec<Effect> {
        self.staged.clear();
        self.staged_plan = None;
        let models = self.saved.clone();
        let restore = |models| Effect::Restore(Box::new(Layout { models, ..Layout::default() }));
        models.map(restore).into_iter().collect()
    }
}
