//! Parts of a frame: rectangles that are drawn again only if their content changed.

use ratatui::layout::Rect;

use super::Canvas;
use crate::console::state::Target;

/// A rectangle of the frame, as last drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    area: Rect,
    /// Hash of what it was drawn from; `None` if it is drawn in every frame.
    key: Option<u64>,
    hits: Vec<(Rect, Target)>,
}

/// The parts of the last frame, and those of the frame being drawn, in the order of drawing.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The parts of the last frame; `None` while a whole frame is drawn.
    last: Option<Vec<Part>>,
    pub(super) drawn: Vec<Part>,
    /// The areas drawn again: parts over them must be drawn too.
    dirty: Vec<Rect>,
    /// True if a part is at another place than in the last frame.
    moved: bool,
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

impl Canvas<'_> {
    /// Draws a part unless its key and place are those of the last frame. `draw` must not draw
    /// outside `area`, and must depend only on values that are in `key` or in the settings of the
    /// whole frame. Without a key the part is always drawn.
    pub(crate) fn part(&mut self, area: Rect, key: Option<u64>, draw: impl FnOnce(&mut Self)) {
        let index = self.parts.drawn.len();
        if let Some(last) = &mut self.parts.last {
            match last.get_mut(index) {
                Some(last) if last.area == area => {
                    let clean = !self.parts.dirty.iter().any(|dirty| dirty.intersects(area));
                    if key.is_some() && last.key == key && clean {
                        let part = std::mem::take(last);
                        self.parts.drawn.push(part);
                        return;
                    }
                }
                _ => self.parts.moved = true,
            }
            self.parts.dirty.push(area);
            self.clear(area);
        }
        let before = std::mem::take(&mut self.hits);
        self.hits.scroll_limits = before.scroll_limits;
        draw(self);
        let drawn = std::mem::replace(&mut self.hits, before);
        self.hits.scroll_limits = drawn.scroll_limits;
        self.parts.drawn.push(Part { area, key, hits: drawn.into_places() });
    }

    /// Moves the click targets of all parts into the frame's.
    pub(super) fn collect_part_hits(&mut self) {
        for part in &self.parts.drawn {
            for (place, target) in &part.hits {
                self.hits.add(*place, target.clone());
            }
        }
    }
}
