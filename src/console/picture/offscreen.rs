//! The console without a terminal: draws what it would show after a run of snapshots, as a picture.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::recorded::RecordedControl;
use super::svg;
use crate::console::known_layouts::KnownLayouts;
use crate::console::options::ConsoleOptions;
use crate::console::state::{Action, Command, ConsoleState, update};
use crate::console::view;
use crate::console::worker::{self, WorkerContext};
use crate::layout::Layout;
use crate::telemetry::Snapshot;

/// Returns the frame of `width` x `height` cells after all of the snapshots as SVG, on the screen
/// that the options start with. Saved layouts and log lines come from the options. The same
/// snapshots and options give the same bytes.
pub fn picture(
    snapshots: impl IntoIterator<Item = Arc<Snapshot>>,
    options: &ConsoleOptions,
    width: u16,
    height: u16,
) -> String {
    let mut state = ConsoleState::new(options);
    let mut baseline = None;
    for snapshot in snapshots {
        if baseline.is_none() && !snapshot.models.is_empty() {
            let models = snapshot.models.iter().map(|model| model.row.budget.clone()).collect();
            let layout = Layout { models, ..Layout::default() };
            update(&mut state, Action::Baseline(layout.clone()));
            baseline = Some(layout);
        }
        // side effects are for a live scheduler
        update(&mut state, Action::Snapshot(snapshot));
    }
    if let Some(command) = Command::opening(options.screen) {
        open(&mut state, command, options);
    }
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    view::draw(&state, &mut buffer);
    svg(&buffer)
}

/// Opens a screen and answers its questions from the recording and the options.
fn open(state: &mut ConsoleState, command: Command, options: &ConsoleOptions) {
    let mut actions = vec![Action::Command(command)];
    let control = match RecordedControl::new(state.snapshot.clone()) {
        Ok(control) => control,
        Err(refusal) => {
            tracing::warn!("the recorded rows cannot be placed: {refusal}");
            update(state, Action::Command(command));
            return;
        }
    };
    let recording = WorkerContext {
        known: KnownLayouts::default(),
        control: Arc::new(control),
        profiles: options.profiles.clone(),
        log: options.log.clone(),
        recordings: None,
        attached: None,
    };
    while let Some(action) = actions.pop() {
        for effect in update(state, action) {
            actions.extend(worker::perform(&recording, effect));
        }
    }
}
