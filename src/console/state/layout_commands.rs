//! The commands of saved layouts, and the answers to their requests.

use super::action::Effect;
use super::command::Command;
use super::console_state::ConsoleState;
use super::dialog::{ConfirmedAction, Dialog};
use super::editor::TextField;
use super::save::{ComparisonDialog, SaveFailure, SaveTarget, SavedRows};
use super::screen::Tone;
use super::{message_change, origin_changes, settling, staging};
use crate::console::format;
use crate::layout::{Layout, Plan};
use crate::scheduler::Profile;
use crate::telemetry::Applied;

/// Moves the selection of the list.
pub(super) fn select_layout(state: &mut ConsoleState, at: usize) -> Vec<Effect> {
    state.layouts.at = at.min(state.layouts.known().len().saturating_sub(1));
    state.layouts.preview = None;
    state.layouts.scroll = 0;
    let ticket = state.ticket();
    state.layouts.ticket = ticket;
    let name = state.layouts.selected().map(|profile| profile.name.clone());
    name.map(|name| Effect::PreviewProfile { ticket, name }).into_iter().collect()
}

pub(super) fn layouts_listed(
    state: &mut ConsoleState,
    mut profiles: Result<Vec<Profile>, String>,
) -> Vec<Effect> {
    if let Ok(profiles) = &mut profiles {
        profiles.sort_by_key(|profile| Some(&profile.name) != state.layouts.last.as_ref());
    }
    let kept = state.layouts.selected().or(None).map(|profile| profile.name.clone());
    let kept = kept.or_else(|| state.profile.clone());
    state.layouts.profiles = Some(profiles);
    update_proposal(state);
    let at = state.layouts.known().iter().position(|profile| Some(&profile.name) == kept.as_ref());
    select_layout(state, at.unwrap_or(state.layouts.at))
}

pub(super) fn layout_previewed(
    state: &mut ConsoleState,
    ticket: u64,
    result: Result<Option<Plan>, String>,
) {
    if ticket == state.layouts.ticket {
        state.layouts.preview = Some(result);
    }
}

pub(super) fn apply_layout(state: &mut ConsoleState) -> Vec<Effect> {
    if let Some(reason) = state.lock() {
        state.say(Tone::Bad, reason);
        return Vec::new();
    }
    if !state.staged.is_empty() {
        state.say(Tone::Bad, "apply or drop what is staged first");
        return Vec::new();
    }
    let name = state.layouts.selected().map(|profile| profile.name.clone());
    name.map(Effect::LoadProfile).into_iter().collect()
}

pub(super) fn layout_loaded(
    state: &mut ConsoleState,
    name: String,
    result: Result<Option<Applied>, String>,
) -> Vec<Effect> {
    match result {
        Ok(None) => {
            note_opened(state, &name);
            state.say(Tone::Good, format!("{name} is in force: nothing had to change"));
            let names = state.snapshot.models.iter().map(|view| &view.row.budget.name);
            let rows = names.filter_map(|name| state.live(name));
            let rows = rows.map(|row| row.budget.clone()).collect();
            origin_changes::set_origin(state, name, rows, None);
            Vec::new()
        }
        Ok(Some(applied)) => {
            note_opened(state, &name);
            settling::note_applied(state, &applied);
            let head = format!("{name}: {}", applied.plan.summary);
            message_change::say_applied(state, head, &applied);
            origin_changes::set_origin(
                state,
                name,
                applied.plan.after.layout().models,
                Some(applied.id),
            );
            // the load may already be undone if no instance could be built
            origin_changes::switch_origins(state, Some(applied.id));
            state.fresh = Some((applied.plan.after, applied.plan.ledger));
            select_layout(state, state.layouts.at)
        }
        Err(reason) => {
            state.say(Tone::Bad, format!("{name} was not applied: {reason}"));
            Vec::new()
        }
    }
}

/// Notes that the file of a layout was opened, so that a save may write it.
fn note_opened(state: &mut ConsoleState, name: &str) {
    if state.layouts.find(name).is_some_and(|profile| !profile.read_only) {
        state.opened.insert(name.to_owned());
    }
}

/// Saves into the file that this run opened or saved; asks for a name if there is none.
pub(super) fn save(state: &mut ConsoleState) -> Vec<Effect> {
    match &state.profile {
        Some(name) if state.opened.contains(name) => {
            vec![Effect::SaveProfile { name: name.clone(), target: SaveTarget::Opened }]
        }
        _ => ask_save_as(state),
    }
}

/// Asks for a name: that of the live layout if its file may be written, else a free one.
pub(super) fn ask_save_as(state: &mut ConsoleState) -> Vec<Effect> {
    match &state.profile {
        Some(name) if state.opened.contains(name) => {
            let editor = TextField::name(name);
            state.dialog = Some(Dialog::SaveAs { editor, proposed: None });
        }
        _ => propose_name(state),
    }
    // read the list, so that a typed name can be checked against it
    vec![Effect::ListProfiles]
}

/// Asks for another name than that of the live layout.
pub(super) fn ask_other_name(state: &mut ConsoleState) -> Vec<Effect> {
    propose_name(state);
    vec![Effect::ListProfiles]
}

fn propose_name(state: &mut ConsoleState) {
    let name = proposed_name(state);
    let editor = TextField::name(&name);
    state.dialog = Some(Dialog::SaveAs { editor, proposed: Some(name) });
}

/// Returns a free name after that of the live layout; empty for a layout without a name.
fn proposed_name(state: &ConsoleState) -> String {
    match &state.profile {
        Some(name) => state.layouts.free_name(&name.replace(' ', "-")),
        None => String::new(),
    }
}

/// Proposes another name if the proposed one is taken by a layout that was not known yet.
fn update_proposal(state: &mut ConsoleState) {
    let name = proposed_name(state);
    if let Some(Dialog::SaveAs { editor, proposed: Some(proposed) }) = &mut state.dialog
        && editor.text() == *proposed
        && name != *proposed
    {
        *editor = TextField::name(&name);
        *proposed = name;
    }
}

/// Saves under a typed name, or says why that is not possible.
pub(super) fn save_as(state: &mut ConsoleState, name: String) -> Result<Vec<Effect>, String> {
    let is_opened = state.opened.contains(&name) && state.profile.as_ref() == Some(&name);
    match state.layouts.find(&name) {
        Some(profile) if profile.read_only => {
            return Err(format!(
                "{name} cannot be changed ({}): choose another name",
                profile.place
            ));
        }
        Some(_) if !is_opened => ask_overwrite(state, name),
        _ => {
            let target = if is_opened { SaveTarget::Opened } else { SaveTarget::New };
            return Ok(vec![Effect::SaveProfile { name, target }]);
        }
    }
    Ok(Vec::new())
}

fn ask_overwrite(state: &mut ConsoleState, name: String) {
    let place = state.layouts.find(&name).map(|profile| format!(" ({})", profile.place));
    let question = format!("{name} exists{}. Write over it?", place.unwrap_or_default());
    state.dialog = Some(Dialog::Confirm { question, yes: ConfirmedAction::Overwrite(name) });
}

pub(super) fn layout_saved(
    state: &mut ConsoleState,
    name: String,
    result: Result<SavedRows, SaveFailure>,
) -> Vec<Effect> {
    // an answer that comes after another dialog was opened does not close it
    let asks = state.dialog.is_none();
    match result {
        Ok(SavedRows { rows, place, merged }) => {
            let with = if merged.is_some() { ", merged with the changes of the file" } else { "" };
            let mut text = format!("{name} saved to {place}{with}");
            if !state.staged.is_empty() {
                let staged = format::counted(state.staged.len(), "staged change");
                text = format!("{text}, without the {staged}");
            }
            state.say(Tone::Good, text);
            if let Some(applied) = merged {
                settling::note_applied(state, &applied);
                state.fresh = Some((applied.plan.after, applied.plan.ledger));
            }
            state.opened.insert(name.clone());
            origin_changes::set_origin(state, name, rows, None);
            if std::mem::take(&mut state.leaving) {
                return vec![Effect::Quit];
            }
            return vec![Effect::ListProfiles];
        }
        Err(SaveFailure::NameTaken) if asks => ask_overwrite(state, name),
        Err(SaveFailure::Changed(comparison)) if asks => {
            let comparison = *comparison;
            state.dialog =
                Some(Dialog::Comparison(ComparisonDialog { name, comparison, scroll: 0 }));
        }
        Err(failure) => {
            state.leaving = false;
            let reason = match failure {
                SaveFailure::NameTaken => "a layout of this name exists".to_owned(),
                SaveFailure::Changed(_) => {
                    let key = state.keymap.shown(Command::Save);
                    format!("another program has changed it; {key} shows the differences")
                }
                SaveFailure::Failed(reason) => reason,
            };
            state.say(Tone::Bad, format!("{name} was not saved: {reason}"));
        }
    }
    Vec::new()
}

pub(super) fn ask_rename(state: &mut ConsoleState) {
    with_selected(state, |profile| Dialog::Rename {
        editor: TextField::name(&profile.name),
        from: profile.name.clone(),
    });
}

pub(super) fn ask_delete(state: &mut ConsoleState) {
    with_selected(state, |profile| Dialog::Confirm {
        question: format!("Delete {} for good?", profile.name),
        yes: ConfirmedAction::Delete(profile.name.clone()),
    });
}

fn with_selected(state: &mut ConsoleState, dialog: impl FnOnce(&Profile) -> Dialog) {
    match state.layouts.selected() {
        Some(profile) if profile.read_only => {
            let text = format!("{} cannot be changed ({})", profile.name, profile.place);
            state.say(Tone::Bad, text);
        }
        Some(profile) => state.dialog = Some(dialog(profile)),
        None => state.say(Tone::Info, "no saved layout is selected"),
    }
}

pub(super) fn layout_renamed(
    state: &mut ConsoleState,
    from: &str,
    to: &str,
    result: Result<(), String>,
) -> Vec<Effect> {
    match result {
        Ok(()) => {
            state.say(Tone::Good, format!("{from} is now {to}"));
            if state.opened.remove(from) {
                state.opened.insert(to.to_owned());
            }
            origin_changes::origin_renamed(state, from, to);
            vec![Effect::ListProfiles]
        }
        Err(reason) => {
            state.say(Tone::Bad, format!("{from} was not renamed: {reason}"));
            Vec::new()
        }
    }
}

pub(super) fn layout_deleted(
    state: &mut ConsoleState,
    name: &str,
    result: Result<(), String>,
) -> Vec<Effect> {
    match result {
        Ok(()) => {
            let in_force = state.profile.as_deref() == Some(name);
            let still = if in_force { ": what is in force is saved nowhere now" } else { "" };
            state.say(Tone::Good, format!("{name} is deleted{still}"));
            state.opened.remove(name);
            origin_changes::origin_deleted(state, name);
            vec![Effect::ListProfiles]
        }
        Err(reason) => {
            state.say(Tone::Bad, format!("{name} was not deleted: {reason}"));
            Vec::new()
        }
    }
}

pub(super) fn ask_restore(state: &mut ConsoleState) {
    if state.saved.as_ref().is_some_and(Vec::is_empty) {
        let save = state.keymap.shown(Command::SaveAs);
        state.say(Tone::Info, format!("this layout is saved nowhere yet: {save} saves it"));
    } else if state.modified() {
        state.dialog = Some(Dialog::Confirm {
            question: format!("Go back to {} as it was saved?", state.profile_name()),
            yes: ConfirmedAction::Restore,
        });
    } else {
        state.say(Tone::Info, "nothing was changed since the layout was saved");
    }
}

pub(super) fn restore_saved(state: &mut ConsoleState) -> Vec<Effect> {
    if !state.staged.is_empty() {
        staging::discard(state);
    }
    let models = state.saved.clone();
    let restore = |models| Effect::Restore(Box::new(Layout { models, ..Layout::default() }));
    models.map(restore).into_iter().collect()
}
