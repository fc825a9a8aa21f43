//! The marks of percentiles and target below the latency histogram.

use ratatui::layout::Rect;

use super::scale::Scale;
use crate::console::format;
use crate::console::view::canvas::{Canvas, Pen};
use crate::telemetry::ModelView;

/// Draws the marks of the percentiles and of the target below the histogram.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, view: &ModelView, scale: &Scale) {
    let state = canvas.state;
    let theme = &state.theme;
    let total = &view.minute.total;
    let slo = state.row(&view.row.budget.name).and_then(|row| row.budget.slo);
    // the most important first: it gets the room where there is little
    let mut marks = vec![
        (scale.column(total.p99_us), "p99".to_owned(), theme.text),
        (scale.column(total.p50_us), "p50".to_owned(), theme.text),
        (scale.column(total.p90_us), "p90".to_owned(), theme.text),
        (scale.column(total.p999_us), "p99.9".to_owned(), theme.text),
    ];
    if let Some(slo) = slo {
        let us = slo.bound.as_micros() as u64;
        let met = view.minute.slo_us.is_none_or(|now| now <= us);
        let style = if met { theme.good } else { theme.bad };
        marks.insert(0, (scale.column(us), format!("SLO p{}", slo.percentile), style));
    }
    let wanted: Vec<(usize, &str)> =
        marks.iter().map(|(column, word, _)| (*column, word.as_str())).collect();
    let places = word_places(&wanted, area.width as usize);
    // the first is drawn last, so that it stays where two marks meet
    for ((column, _, style), place) in marks.iter().zip(places).rev() {
        let put = |canvas: &mut Canvas, at: usize, text: &str| {
            let mut pen = Pen { x: area.x + at as u16, y: area.y, end: area.right() };
            canvas.put(&mut pen, text, *style);
        };
        put(canvas, *column, state.glyphs.mark);
        if let Some((start, word)) = place {
            put(canvas, start, word);
        }
    }
}

/// Returns the column and the text of each mark's word: right or left of its mark, and neither over
/// nor next to another mark. A word loses its "p" if only the rest has room; `None` if nothing has.
fn word_places<'a>(marks: &[(usize, &'a str)], width: usize) -> Vec<Option<(usize, &'a str)>> {
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut place = |column: usize, word: &'a str| {
        let size = format::width(word);
        [Some(column + 1), column.checked_sub(size)].into_iter().flatten().find_map(|start| {
            let end = start + size;
            // with a free column on the side away from its mark
            let (from, to) =
                if start > column { (start, end + 1) } else { (start.saturating_sub(1), end) };
            let free = end <= width
                && marks.iter().all(|(other, _)| !(from..to).contains(other))
                && taken.iter().all(|(low, high)| to <= *low || *high <= from);
            free.then(|| {
                taken.push((from, to));
                (start, word)
            })
        })
    };
    let mut words = Vec::new();
    for (column, word) in marks {
        let short = word.strip_prefix('p');
        let placed = place(*column, word).or_else(|| place(*column, short?));
        words.push(placed);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_without_room_loses_its_word() {
        let places = |marks: &[(usize, &'static str)]| word_places(marks, 40);
        // apart: each word right of its mark
        assert_eq!(places(&[(10, "p50"), (20, "p90")]), [Some((11, "p50")), Some((21, "p90"))]);
        // side by side, on the same column, at the edge
        let slo = Some((11, "SLO p99"));
        assert_eq!(places(&[(10, "SLO p99"), (9, "p99")]), [slo, Some((6, "p99"))]);
        assert_eq!(places(&[(10, "SLO p99"), (10, "p99")]), [slo, Some((7, "p99"))]);
        assert_eq!(places(&[(39, "p99")]), [Some((36, "p99"))]);
        // a word next to another's mark would be read as that one's
        assert_eq!(places(&[(20, "p99"), (24, "p90")])[0], Some((17, "p99")));
        let marks = [(27, "SLO p99"), (23, "p99"), (19, "p90"), (25, "p99.9")];
        let slo = Some((28, "SLO p99"));
        assert_eq!(places(&marks), [slo, Some((21, "99")), Some((16, "p90")), None]);
    }
}
