//! The console without a terminal: draws what it would show after a run of snapshots, as a picture.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::svg;
use crate::console::options::ConsoleOptions;
use crate::console::state::{Action, Command, ConsoleState, update};
use crate::console::view;
use crate::layout::Layout;
use crate::telemetry::Snapshot;

/// The frame of `width` x `height` cells after all of the snapshots, on the screen that the options
/// begin with, as SVG. The same snapshots and
/// options give the same bytes.
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
        // Effects are for a live scheduler; a picture has none.
        update(&mut state, Action::Snapshot(snapshot));
    }
    if let Some(command) = Command::opening(options.screen) {
        update(&mut state, Action::Command(command));
    }
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    view::draw(&state, &mut buffer);
    svg(&buffer)
}
