//! The commands of saved layouts, and the answers to their requests.

use super::action::Effect;
use super::command::Command;
use super::console_state::ConsoleState;
use super::dialog::{ConfirmedAction, Dialog};
use super::editor::TextField;
use super::screen::{Message, Tone};
use super::{message_change, origin_changes};
use crate::layout::{Budget, Layout, Plan};
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
    if state.readonly {
        state.say(Tone::Bad, "read-only: nothing can be changed here");
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
            state.say(Tone::Good, format!("{name} is in force: nothing had to change"));
            let names = state.snapshot.models.iter().map(|view| &view.row.budget.name);
            let rows = names.filter_map(|name| state.live(name));
            let rows = rows.map(|row| row.budget.clone()).collect();
            origin_changes::set_origin(state, name, rows, None);
            Vec::new()
        }
        Ok(Some(applied)) => {
            let head = format!("{name}: {}", applied.plan.summary);
            message_change::say_applied(state, head, &applied);
            origin_changes::set_origin(
                state,
                name,
                applied.plan.after.layout().models,
                Some(applied.id),
            );
            // the load may already be undone if no instance could be built
            origin_changes::switch_origins_of_others(state, Some(applied.id));
            state.fresh = Some((applied.plan.after, applied.plan.ledger));
            select_layout(state, state.layouts.at)
        }
        Err(reason) => {
            state.say(Tone::Bad, format!("{name} was not applied: {reason}"));
            Vec::new()
        }
    }
}

pub(super) fn ask_save_as(state: &mut ConsoleState) -> Vec<Effect> {
    let editor = TextField::new(state.profile.as_deref().unwrap_or_default());
    state.dialog = Some(Dialog::SaveAs { editor });
    // read the list, so that a typed name can be checked against it
    vec![Effect::ListProfiles]
}

pub(super) fn layout_saved(
    state: &mut ConsoleState,
    name: String,
    result: Result<(Vec<Budget>, String), String>,
) -> Vec<Effect> {
    match result {
        Ok((rows, place)) => {
            state.message =
                Some(Message { text: format!("{name} saved to {place}"), tone: Tone::Good });
            origin_changes::set_origin(state, name, rows, None);
            if std::mem::take(&mut state.leaving) {
                return vec![Effect::Quit];
            }
            vec![Effect::ListProfiles]
        }
        Err(reason) => {
            state.leaving = false;
            state.say(Tone::Bad, format!("{name} was not saved: {reason}"));
            Vec::new()
        }
    }
}

pub(super) fn ask_rename(state: &mut ConsoleState) {
    with_selected(state, |profile| Dialog::Rename {
        editor: TextField::new(&profile.name),
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
            let text = format!("{} comes with divvy: save it under another name", profile.name);
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
    state.staged.clear();
    state.staged_plan = None;
    let models = state.saved.clone();
    let restore = |models| Effect::Restore(Box::new(Layout { models, ..Layout::default() }));
    models.map(restore).into_iter().collect()
}
