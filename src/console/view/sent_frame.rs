//! The frame that the terminal shows. Finds the cells of the next frame that must be sent.

use std::iter;

use ratatui::backend::Backend;
use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::layout::Rect;

/// The cells that the terminal shows.
#[derive(Debug, Default)]
pub struct SentFrame {
    /// The last frame; `None` if the content of the terminal is unknown.
    cells: Option<Buffer>,
    /// Column and row of the cells to send, kept for its memory.
    updates: Vec<(u16, u16)>,
}

impl SentFrame {
    /// Forgets the content of the terminal, so that the next frame is sent whole.
    pub fn invalidate(&mut self) {
        self.cells = None;
    }

    /// Sends the cells of the `changed` areas that differ from the last frame, without flushing.
    /// Clears the terminal and sends all cells if its content is unknown or the size is another.
    /// Returns the number of cells sent.
    ///
    /// # Errors
    /// When the backend fails. The next frame is then sent whole.
    pub fn send<B: Backend>(
        &mut self,
        frame: &Buffer,
        changed: &[Rect],
        backend: &mut B,
    ) -> Result<usize, B::Error> {
        self.updates.clear();
        let known = self.cells.take().filter(|cells| cells.area == frame.area);
        let whole = [frame.area];
        let changed = if known.is_some() { changed } else { &whole };
        if known.is_none() {
            // drawing nothing resets the colours that another program may have left
            backend.draw(iter::empty())?;
            backend.clear()?;
        }
        let mut cells = known.unwrap_or_else(|| Buffer::empty(frame.area));
        for area in changed {
            compare(&mut cells, frame, *area, &mut self.updates);
        }
        if !self.updates.is_empty() {
            let at = |(x, y): &(u16, u16)| frame.cell((*x, *y)).map(|cell| (*x, *y, cell));
            backend.draw(self.updates.iter().filter_map(at))?;
        }
        self.cells = Some(cells);
        Ok(self.updates.len())
    }
}

/// Copies an area of the next frame into the last one and adds the cells that must be sent. No wide
/// character crosses the edge of the area, because none crosses the edge of a part.
fn compare(last: &mut Buffer, next: &Buffer, area: Rect, updates: &mut Vec<(u16, u16)>) {
    let area = area.intersection(next.area);
    for y in area.top()..area.bottom() {
        let start = next.index_of(area.x, y);
        let end = start + usize::from(area.width);
        let (Some(before), Some(after)) =
            (last.content.get_mut(start..end), next.content.get(start..end))
        else {
            continue;
        };
        // a wide character of the next frame covers the columns before this one
        let mut covered = 0;
        // overwriting one half of a wide character erases the other: send the columns before this one
        let mut erased = 0;
        for (x, (before, after)) in (area.x..).zip(before.iter_mut().zip(after)) {
            let differs = before != after;
            if x < covered {
                if differs {
                    erased = erased.max(x + width(before));
                    before.clone_from(after);
                }
                continue;
            }
            let size = width(after);
            covered = x + size;
            if !differs && x >= erased {
                continue;
            }
            if differs {
                erased = erased.max(x + width(before));
                before.clone_from(after);
            }
            if after.symbol().contains('\u{fe0f}') {
                // some terminals draw such a character in one column and leave the next as it was
                updates.extend((x + 1..covered.min(area.right())).map(|column| (column, y)));
            }
            updates.push((x, y));
        }
    }
}

/// Returns the columns of a cell's character, at least one.
fn width(cell: &Cell) -> u16 {
    match cell.symbol().as_bytes() {
        // box drawing, blocks and braille: U+2500 to U+259F, U+2800 to U+28FF
        [_] | [0xe2, 0x94..=0x96 | 0xa0..=0xa3, _] => 1,
        _ => cell.cell_width().max(1),
    }
}
