//! Parts of a frame: rectangles that are drawn again only if their content changed.

use std::sync::Arc;

use ratatui::layout::Rect;

use crate::console::state::Target;

/// A rectangle of the frame, as last drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(super) area: Rect,
    /// Hash of what it was drawn from; `None` if it is drawn in every frame.
    pub(super) key: Option<u64>,
    pub(super) hits: Arc<[(Rect, Target)]>,
}

/// The parts of the last frame, and those of the frame being drawn, in the order of drawing.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The parts of the last frame; `None` while a whole frame is drawn.
    pub(super) last: Option<Vec<Part>>,
    pub(super) drawn: Vec<Part>,
    /// The areas drawn again: parts over them must be drawn too.
    pub(super) dirty: Vec<Rect>,
    /// True if a part is at another place than in the last frame.
    pub(super) moved: bool,
}

impl Parts {
    pub(super) fn after(last: Vec<Part>) -> Self {
        Self { last: Some(last), ..Self::default() }
    }

    /// Returns the parts of this frame; `None` if they are not those of the last frame.
    pub(super) fn finish(self) -> Option<Vec<Part>> {
        let same_count = self.last.is_none_or(|last| last.len() == self.drawn.len());
        (same_count && !self.moved).then_some(self.drawn)
    }
}
