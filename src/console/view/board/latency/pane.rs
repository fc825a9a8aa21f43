//! The latency histogram of the selected model: each bar in its compute and its queue part, the
//! percentiles and the target marked below.

use ratatui::layout::Rect;

use super::canvas::{Canvas, Pen, row};
use crate::console::format;
use crate::console::state::Pane;
use crate::layout::Slo;
use crate::telemetry::{Histogram, ModelView};

/// Buckets of an octave, as [`Histogram`] has them.
const OCTAVE: usize = 8;

/// Buckets `low..high` on whole octaves, drawn `columns` a bucket or `buckets` a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale {
    low: usize,
    high: usize,
    columns: usize,
    buckets: usize,
}

fn bucket_of(us: u64) -> usize {
    ((us.max(1) as f64).log2() * OCTAVE as f64).floor() as usize
}

fn bound_of(bucket: usize) -> u64 {
    (bucket as f64 / OCTAVE as f64).exp2().round() as u64
}

impl Scale {
    /// Whole octaves that hold every request and the target; `None` without any request.
    fn of(histogram: &Histogram, slo: Option<Slo>, width: usize) -> Option<Self> {
        let filled =
            |(offset, count): (usize, &u64)| (*count > 0).then_some(histogram.first + offset);
        let first = histogram.total.iter().enumerate().find_map(filled)?;
        let last = histogram.total.iter().enumerate().rev().find_map(filled)?;
        let target = slo.map(|slo| bucket_of(slo.bound.as_micros() as u64));
        let low = first.min(target.unwrap_or(first)) / OCTAVE * OCTAVE;
        let high = (last.max(target.unwrap_or(last)) / OCTAVE + 1) * OCTAVE;
        let span = high - low;
        let columns = (width / span).max(1);
        let buckets = span.div_ceil(width.max(1)).max(1);
        Some(Self { low, high, columns, buckets })
    }

    fn width(&self) -> usize {
        (self.high - self.low).div_ceil(self.buckets) * self.columns
    }

    /// The column in which a latency lies.
    fn column(&self, us: u64) -> usize {
        let bucket = bucket_of(us).clamp(self.low, self.high - 1);
        (bucket - self.low) / self.buckets * self.columns
    }
}

/// Requests of a column, and the queue's share of their time.
fn bar(histogram: &Histogram, scale: &Scale, column: usize) -> (u64, f64) {
    let from = scale.low + column / scale.columns * scale.buckets;
    let sum = |values: &[u64]| -> u64 {
        (from..from + scale.buckets)
            .filter_map(|bucket| bucket.checked_sub(histogram.first))
            .filter_map(|at| values.get(at))
            .sum()
    };
    let (queue, compute) = (sum(&histogram.queue_us), sum(&histogram.compute_us));
    let share = queue as f64 / (queue + compute).max(1) as f64;
    (sum(&histogram.total), share)
}

/// Draws the pane.
pub(super) fn draw(canvas: &mut Canvas, area: Rect, boxed: bool) {
    let state = canvas.state;
    let theme = &state.theme;
    let Some(view) = state.selected_model() else {
        let inside = canvas.frame(area, boxed, Some(Pane::Latency), "Latency", "");
        return canvas.note(inside, "Select a model to see its latencies.", theme.dim);
    };
    let name = &view.row.budget.name;
    let room = (area.width as usize).saturating_sub(28);
    let short = format::fit(name, room, state.glyphs.ellipsis);
    let title = format!("{short}: latency, last 60 s");
    let window = &view.minute.total;
    let note = format!("{} requests", format::count(window.count));
    let inside = canvas.frame(area, boxed, Some(Pane::Latency), &title, &note);
    let slo = state.row(name).and_then(|row| row.budget.slo);
    let scale = Scale::of(&view.histogram, slo, inside.width as usize);
    let Some(scale) = scale.filter(|_| window.count > 0) else {
        return canvas.note(inside, &why_empty(view), theme.dim);
    };
    let height = inside.height.saturating_sub(3);
    let bars = Rect { y: inside.y + 1, height, ..inside };
    draw_bars(canvas, bars, view, &scale);
    figures(canvas, inside, view);
    axis(canvas, Rect { y: bars.bottom(), height: 1, ..inside }, &scale);
    marks(canvas, Rect { y: bars.bottom() + 1, height: 1, ..inside }, view, slo, &scale);
}

fn why_empty(view: &ModelView) -> String {
    let name = &view.row.budget.name;
    if view.counts.submitted == 0 {
        return format!("No request has come for {name} yet.");
    }
    if view.counts.completed == 0 {
        return format!(
            "No request of {name} was completed yet: {} submitted, {} waiting, {} failed.",
            view.counts.submitted, view.counts.queued, view.counts.failed
        );
    }
    format!("No request of {name} was completed in the last 60 s.")
}

/// The percentiles as figures, and what the two fills mean.
fn figures(canvas: &mut Canvas, area: Rect, view: &ModelView) {
    let Some(mut pen) = row(area, 0) else {
        return;
    };
    let state = canvas.state;
    let theme = &state.theme;
    let total = &view.minute.total;
    let index = state.index(&view.row.budget.name).unwrap_or(0);
    for (word, us) in [
        ("p50", total.p50_us),
        ("p90", total.p90_us),
        ("p99", total.p99_us),
        ("p99.9", total.p999_us),
    ] {
        canvas.put(&mut pen, word, theme.dim);
        // as wide whatever it is, so that what stands behind it stays
        let figure = format::right(&format::millis(us), 5);
        canvas.put(&mut pen, &format!(" {figure} "), theme.text);
    }
    canvas.put(&mut pen, "ms", theme.dim);
    let queue = format!(" {} queue", state.glyphs.queue);
    let compute = format!(" {} compute", state.glyphs.level(1.0));
    let size = format::width(&queue) + format::width(&compute);
    if size > pen.room() as usize {
        // on a line of its own; the bars below start further down there
        let Some(below) = row(area, 1) else {
            return;
        };
        pen = below;
    }
    canvas.put_end(&mut pen, &queue, theme.queue);
    canvas.put_end(&mut pen, &compute, theme.model(index));
}

fn draw_bars(canvas: &mut Canvas, area: Rect, view: &ModelView, scale: &Scale) {
    let state = canvas.state;
    let theme = &state.theme;
    let index = state.index(&view.row.budget.name).unwrap_or(0);
    let width = scale.width().min(area.width as usize);
    let bars: Vec<(u64, f64)> =
        (0..width).map(|column| bar(&view.histogram, scale, column)).collect();
    let most = bars.iter().map(|(count, _)| *count).max().unwrap_or(0).max(1);
    let steps = area.height as usize * 8;
    for (column, (count, queue)) in bars.iter().enumerate() {
        if *count == 0 {
            continue;
        }
        let tall = ((*count as f64 / most as f64) * steps as f64).round().max(1.0) as usize;
        // whole cells, so that the two fills meet on a line
        let cells = tall.div_ceil(8);
        let compute = cells - (cells as f64 * queue).round() as usize;
        for cell in 0..cells {
            let y = area.bottom() - 1 - cell as u16;
            let mut pen = Pen { x: area.x + column as u16, y, end: area.right() };
            let part = (tall - cell * 8).min(8) as f64 / 8.0;
            if cell < compute {
                canvas.put(&mut pen, state.glyphs.level(part), theme.model(index));
            } else {
                canvas.put(&mut pen, state.glyphs.queue, theme.queue);
            }
        }
    }
    // where the bars leave room: how many requests the tallest stands for
    let text = format!("{} at most", format::count(most));
    let room = area.width as usize;
    let used = bars.iter().rposition(|(count, _)| *count * 2 > most).map_or(0, |at| at + 1);
    if used + text.len() + 1 < room
        && let Some(mut pen) = row(area, 1)
    {
        canvas.put_end(&mut pen, &text, theme.dim);
    }
}

/// Latencies in ms below the bars, one at each octave as far as there is room.
fn axis(canvas: &mut Canvas, area: Rect, scale: &Scale) {
    let theme = &canvas.state.theme;
    let across = canvas.state.glyphs.frame[0];
    let Some(pen) = row(area, 0) else {
        return;
    };
    canvas.put(&mut pen.clone(), &across.repeat(area.width as usize), theme.frame);
    let mut free = 0;
    for bucket in (scale.low..scale.high).step_by(OCTAVE) {
        let column = (bucket - scale.low) / scale.buckets * scale.columns;
        let text = format!("{} ", tick(bound_of(bucket)));
        if column >= free && column + text.len() < area.width as usize {
            canvas.put(&mut Pen { x: pen.x + column as u16, ..pen }, &text, theme.dim);
            free = column + text.len() + 2;
        }
    }
}

/// A round latency in ms for the axis.
fn tick(us: u64) -> String {
    match us {
        0..1000 => format!("{:.2}", us as f64 / 1e3),
        1000..10_000 => format!("{:.1}", us as f64 / 1e3),
        _ => format!("{:.0}", us as f64 / 1e3),
    }
}

/// The percentiles and the target by their place.
fn marks(canvas: &mut Canvas, area: Rect, view: &ModelView, slo: Option<Slo>, scale: &Scale) {
    let state = canvas.state;
    let theme = &state.theme;
    let total = &view.minute.total;
    // in the order of what they mean to who set a target: where room is short, the earlier has it
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
    // the first one last: where two marks meet, it is the one that stays
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

/// Where the words of marks stand: to the right of the mark or to its left, over no other mark and
/// next to none, so that it is plain whose they are; without their "p" where only that has room;
/// `None`: the mark stands alone.
fn word_places<'a>(marks: &[(usize, &'a str)], width: usize) -> Vec<Option<(usize, &'a str)>> {
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut place = |column: usize, word: &'a str| {
        let size = format::width(word);
        [Some(column + 1), column.checked_sub(size)].into_iter().flatten().find_map(|start| {
            let end = start + size;
            // with a column of air on the side away from its mark
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
    fn buckets_and_bounds_agree() {
        for bucket in 40..200 {
            assert_eq!(bucket_of(bound_of(bucket) + 1), bucket, "{bucket}");
        }
    }

    #[test]
    fn the_scale_covers_every_request_and_the_target() {
        let histogram = Histogram {
            first: 100,
            total: vec![0, 3, 0, 0, 9],
            queue_us: vec![0; 5],
            compute_us: vec![1; 5],
        };
        let slo = Slo { percentile: 99.0, bound: std::time::Duration::from_millis(500) };
        let scale = Scale::of(&histogram, Some(slo), 60).unwrap();
        assert!(scale.low <= 101 && scale.high > bucket_of(500_000));
        assert!(scale.width() <= 60);
        let all: u64 = (0..scale.width())
            .step_by(scale.columns)
            .map(|column| bar(&histogram, &scale, column).0)
            .sum();
        assert_eq!(all, 12);
    }

    #[test]
    fn a_mark_keeps_its_place_where_its_word_has_no_room() {
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

    #[test]
    fn no_request_no_scale() {
        assert_eq!(Scale::of(&Histogram::default(), None, 60), None);
    }
}
