//! The frame that is kept from one drawing to the next. Only parts whose content changed are drawn
//! again.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::canvas::{Canvas, Part};
use super::frame::draw_on;
use super::key::Key;
use crate::console::state::{ConsoleState, HitMap, Screen};
use crate::telemetry::Snapshot;

/// The last frame, its click targets, and what it was drawn from.
#[derive(Debug, Default)]
pub struct Painter {
    frame: Buffer,
    hits: HitMap,
    parts: Vec<Part>,
    /// The areas drawn since they were last taken.
    changed: Vec<Rect>,
    source: Option<Source>,
}

/// From this number of changed areas on, the whole frame counts as changed.
const MAX_AREAS: usize = 256;

/// The source of a frame: equal sources give equal frames.
#[derive(Debug)]
struct Source {
    snapshot: Arc<Snapshot>,
    /// Hash of the state without its snapshot.
    settings: u64,
}

/// The result of painting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Painted {
    /// The frame is the same as before.
    Unchanged,
    /// At least one part was drawn again.
    Changed,
}

impl Painter {
    /// Brings the frame up to date with a state.
    ///
    /// Nothing is drawn if neither state nor area changed. If only the snapshot changed, only the
    /// parts of the board are drawn whose content changed. Everything else draws a whole frame.
    pub fn paint(&mut self, state: &ConsoleState, area: Rect) -> Painted {
        let settings = settings_key(state);
        let same = |source: &Source| source.settings == settings && self.frame.area == area;
        let kept = self.source.take().filter(same);
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.snapshot, &state.snapshot)) {
            self.source = kept;
            return Painted::Unchanged;
        }
        if kept.is_none() || !has_parts(state) || !self.paint_parts(state) {
            self.paint_whole(state, area);
        }
        self.source = Some(Source { snapshot: state.snapshot.clone(), settings });
        Painted::Changed
    }

    /// Returns the frame as last painted.
    pub fn frame(&self) -> &Buffer {
        &self.frame
    }

    /// Returns the areas drawn since the last call, which may overlap. All other cells of the frame
    /// are as they were then.
    pub fn take_changed(&mut self) -> Vec<Rect> {
        std::mem::take(&mut self.changed)
    }

    /// Returns the click targets of the frame.
    pub fn hits(&self) -> &HitMap {
        &self.hits
    }

    /// Draws the parts that changed. Returns false if a part is at another place than before; the
    /// frame must then be drawn whole.
    fn paint_parts(&mut self, state: &ConsoleState) -> bool {
        let parts = std::mem::take(&mut self.parts);
        let limits = self.hits.scroll_limits;
        let mut canvas = Canvas::with_parts(state, &mut self.frame, parts, limits);
        draw_on(&mut canvas);
        let dirty = canvas.take_dirty();
        let Some((hits, parts)) = canvas.finish() else {
            return false;
        };
        (self.hits, self.parts) = (hits, parts);
        self.changed.extend(dirty);
        if self.changed.len() >= MAX_AREAS {
            self.changed = vec![self.frame.area];
        }
        true
    }

    fn paint_whole(&mut self, state: &ConsoleState, area: Rect) {
        self.frame.resize(area);
        self.frame.reset();
        self.changed = vec![area];
        let mut canvas = Canvas::new(state, &mut self.frame);
        draw_on(&mut canvas);
        if let Some((hits, parts)) = canvas.finish() {
            (self.hits, self.parts) = (hits, parts);
        }
    }
}

/// Returns true if the frame is drawn in parts: the board, with nothing over it. What is staged
/// shows in many places.
fn has_parts(state: &ConsoleState) -> bool {
    state.screen == Screen::Board
        && state.connection_loss().is_none()
        && state.dialog.is_none()
        && state.drag.is_none()
        && state.staged_plan.is_none()
}

/// Returns a hash of the state without its snapshot. Each action other than a snapshot changes the
/// revision; a snapshot may change the other values.
fn settings_key(state: &ConsoleState) -> u64 {
    let mut key = Key::default();
    key.add(state.revision);
    key.add(state.scroll_limits.preview);
    key.add(state.scroll_changes);
    key.add((state.has_gpus(), state.has_server(), state.has_load_beside_server()));
    key.add(state.staged.len());
    key.add(state.profile_name());
    key.add(state.core.map(|core| core.0));
    for owner in state.rows() {
        key.add(owner == state.selected);
        if let crate::layout::CoreOwner::Model(name) = &owner {
            key.add(name);
        }
    }
    if let Some(message) = &state.message {
        key.add(&message.text);
    }
    key.finish()
}
