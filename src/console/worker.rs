//! The worker thread, which performs effects: queries and changes the scheduler, reads and writes
//! saved layouts. Separate from the event loop, so that no effect delays a frame.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::input::events::ConsoleEvent;
use super::input::parse_input;
use super::known_layouts::KnownLayouts;
use super::layout_loading::{load, load_change, unless_nothing};
use super::options::AttachedRun;
use super::state::{Action, AppliedKind, Effect, GuardedChange, SaveFailure};
use crate::layout::{Change, ExcessiveRow};
use crate::machine::{create_file, request_short_slice};
use crate::scheduler::{Control, LayoutStore, LayoutStoreError, RequestRecordings, RunLog};
use crate::telemetry::Author;

/// The objects that effects use.
pub(super) struct WorkerContext {
    /// The scheduler.
    pub control: Arc<dyn Control>,
    /// The store of saved layouts.
    pub profiles: Option<Arc<dyn LayoutStore>>,
    /// The layouts that were loaded or saved.
    pub known: KnownLayouts,
    /// The newest lines of the log.
    pub log: Arc<dyn RunLog>,
    /// Records live requests.
    pub recordings: Option<Arc<dyn RequestRecordings>>,
    /// The run in another process.
    pub attached: Option<AttachedRun>,
}

/// Starts the worker. It ends when the sender is dropped.
pub(super) fn start(context: WorkerContext, to: Sender<ConsoleEvent>) -> Sender<Effect> {
    let (sender, effects) = mpsc::channel::<Effect>();
    let body = move || {
        request_short_slice();
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match effects.recv() {
                    Ok(effect) => waiting.push_back(effect),
                    Err(mpsc::RecvError) => return,
                }
            }
            waiting.extend(effects.try_iter());
            let Some(effect) = waiting.pop_front() else {
                continue;
            };
            let delays_input = effect.delays_input();
            let obsolete = overtaken(&effect, &waiting);
            let answer = if obsolete { None } else { perform(&context, effect) };
            let event = match answer {
                // input waits for an obsolete effect too
                answer if delays_input => ConsoleEvent::Performed(answer.map(Box::new)),
                Some(answer) => ConsoleEvent::Action(answer),
                None => continue,
            };
            if to.send(event).is_err() {
                return;
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("console-worker".to_owned()).spawn(body) {
        tracing::error!("cannot start the console's worker: {error}");
    }
    sender
}

/// Returns true if a newer request of the same kind waits, which makes this one obsolete.
fn overtaken(effect: &Effect, waiting: &VecDeque<Effect>) -> bool {
    waiting.iter().any(|newer| match (effect, newer) {
        (Effect::Plan { question: old, .. }, Effect::Plan { question: new, .. }) => old == new,
        (Effect::Survey { .. }, Effect::Survey { .. })
        | (Effect::Read { .. }, Effect::Read { .. })
        | (Effect::ReadLog { .. }, Effect::ReadLog { .. })
        | (Effect::PreviewProfile { .. }, Effect::PreviewProfile { .. }) => true,
        _ => false,
    })
}

/// Performs an effect. Returns its answer, if it has one.
pub(super) fn perform(context: &WorkerContext, effect: Effect) -> Option<Action> {
    let (control, known) = (context.control.as_ref(), &context.known);
    let profiles = || {
        let store = context.profiles.as_deref();
        store.ok_or_else(|| NO_STORE.to_owned())
    };
    let message = |error: LayoutStoreError| error.to_string();
    Some(match effect {
        Effect::Plan { ticket, question, change } => {
            Action::Planned { ticket, question, result: Box::new(control.plan(&change)) }
        }
        Effect::Survey { ticket, candidates } => {
            let refused = candidates.into_iter().filter_map(|(owner, change)| {
                control.plan(&change).err().map(|refusal| (owner, refusal.reason))
            });
            Action::Surveyed { ticket, refusals: refused.collect() }
        }
        Effect::Read { ticket, typed, before } => {
            Action::Read { ticket, result: Box::new(parse_input::read(control, typed, before)) }
        }
        Effect::Apply { kind, change } => match excessive_rows(control, &change) {
            rows if rows.is_empty() => apply(control, kind, change),
            rows => Action::Excessive { change: GuardedChange::Change { kind, change }, rows },
        },
        Effect::ApplyAnyway(GuardedChange::Change { kind, change }) => apply(control, kind, change),
        Effect::Undo => Action::Applied {
            kind: AppliedKind::Undo,
            result: Box::new(control.undo(Author::Console)),
        },
        Effect::Redo => Action::Applied {
            kind: AppliedKind::Redo,
            result: Box::new(control.redo(Author::Console)),
        },
        Effect::UndoChange(id) => Action::Applied {
            kind: AppliedKind::Undo,
            result: Box::new(control.undo_change(id, Author::Console)),
        },
        Effect::ListProfiles => {
            Action::Profiles(profiles().and_then(|store| store.list().map_err(message)))
        }
        Effect::PreviewProfile { ticket, name } => {
            let saved = profiles().and_then(|store| store.read(&name).map_err(message));
            let result =
                saved.and_then(|saved| unless_nothing(control.plan(&load_change(saved.layout))));
            Action::Previewed { ticket, result: Box::new(result) }
        }
        Effect::LoadProfile(name) => {
            let saved = profiles().and_then(|store| store.read(&name).map_err(message));
            let rows = saved.map(|saved| excessive_rows(control, &load_change(saved.layout)));
            match rows.unwrap_or_default() {
                rows if rows.is_empty() => load_profile(context, name),
                rows => Action::Excessive { change: GuardedChange::Layout(name), rows },
            }
        }
        Effect::ApplyAnyway(GuardedChange::Layout(name)) => load_profile(context, name),
        Effect::Restore(mut layout) => {
            layout.description = control.layout().description;
            let result = Box::new(control.apply(load_change(*layout), Author::Console));
            Action::Applied { kind: AppliedKind::Change, result }
        }
        Effect::SaveProfile { name, target } => {
            let result = match profiles() {
                Ok(store) => known.save(store, control, &name, target),
                Err(reason) => Err(SaveFailure::Failed(reason)),
            };
            Action::Saved { name, result }
        }
        Effect::RenameProfile { from, to } => {
            let result =
                profiles().and_then(|store| known.rename(store, &from, &to).map_err(message));
            Action::Renamed { from, to, result }
        }
        Effect::DeleteProfile(name) => {
            known.forget(&name);
            let result = profiles().and_then(|store| store.delete(&name).map_err(message));
            Action::Deleted { name, result }
        }
        Effect::SetCurrentLayout(name) => {
            if let Ok(store) = profiles() {
                let revision = name.as_deref().and_then(|name| known.revision(name));
                store.set_current(name.as_deref(), revision);
            }
            return None;
        }
        Effect::ReadCurrent { known: layout } => {
            let store = context.profiles.as_deref()?;
            let current = store.current().filter(|current| current.name != layout)?;
            let saved = current.name.as_deref().and_then(|name| store.read(name).ok());
            if let (Some(name), Some(saved)) = (&current.name, &saved)
                && current.revision.as_ref() == Some(&saved.revision)
            {
                known.insert(name, saved.clone());
            }
            Action::Current { known: layout, name: current.name, saved: saved.map(Box::new) }
        }
        Effect::ReadJournal => Action::Journal(control.journal()),
        Effect::ReadLog { after } => Action::Log(context.log.lines_after(after)),
        Effect::Record(model) => Action::Recorded(match &context.recordings {
            Some(recordings) => recordings.toggle(&model),
            None => Err("this console was started without a place for recordings".to_owned()),
        }),
        Effect::StopRun => Action::RunStopped(match &context.attached {
            Some(run) => (run.stop)(),
            None => Err("its models are in this process: quit ends it".to_owned()),
        }),
        // performed by the event loop
        Effect::Mouse | Effect::Picture | Effect::Redraw | Effect::Suspend | Effect::Quit => {
            return None;
        }
    })
}

/// Returns the rows for which a change asks for far more threads than they have cores. A change that is
/// refused has none.
fn excessive_rows(control: &dyn Control, change: &Change) -> Vec<ExcessiveRow> {
    control.plan(change).map(|plan| plan.excessive_rows()).unwrap_or_default()
}

fn apply(control: &dyn Control, kind: AppliedKind, change: Change) -> Action {
    Action::Applied { kind, result: Box::new(control.apply(change, Author::Console)) }
}

/// Applies a saved layout.
fn load_profile(context: &WorkerContext, name: String) -> Action {
    let store = context.profiles.as_deref().ok_or_else(|| NO_STORE.to_owned());
    let result = store.and_then(|store| {
        let saved = store.read(&name).map_err(|error| error.to_string())?;
        let applied = load(context.control.as_ref(), saved.layout.clone())?;
        context.known.insert(&name, saved);
        Ok(applied)
    });
    Action::Loaded { name, result: Box::new(result) }
}

/// The message of a console without saved layouts.
const NO_STORE: &str = "this console was started without a place for layouts";

/// Writes a picture of the screen to the current folder, under an unused name.
pub(super) fn write_picture(svg: &str) -> Result<String, String> {
    for number in 1..1000 {
        let name = format!("divvy-{number}.svg");
        match create_file(Path::new(&name), svg.as_bytes()) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("cannot write {name}: {error}")),
        }
    }
    Err("this folder has 999 pictures already".to_owned())
}
