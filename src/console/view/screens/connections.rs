//! The clients of the server: totals, and one line per connection.

use ratatui::layout::Rect;

use crate::console::format;
use crate::console::state::{ConnectionKey, ConsoleState, ScrollArea, Target, protocol_name};
use crate::console::view::canvas::{Canvas, PaneFrame, StyledLine, flow, row};
use crate::console::view::server_text::{self, Reasons};
use crate::telemetry::{ConnectionView, ServerView};

/// A column: its key, title, least width, and rank (1 is left out last).
type ConnectionColumn = (ConnectionKey, &'static str, usize, u8);

/// Columns from left to right.
const ALL: [ConnectionColumn; 9] = [
    (ConnectionKey::Peer, "peer", 15, 1),
    (ConnectionKey::Protocol, "proto", 5, 6),
    (ConnectionKey::Model, "model", 8, 2),
    (ConnectionKey::Rate, "req/s", 6, 3),
    (ConnectionKey::Open, "open", 5, 4),
    (ConnectionKey::Requests, "requests", 8, 8),
    (ConnectionKey::Received, "in", 5, 5),
    (ConnectionKey::Sent, "out", 5, 5),
    (ConnectionKey::Age, "age", 8, 7),
];

/// Columns of the longest address: IPv6 with a port.
const LONGEST_PEER: usize = 47;

/// Columns of the longest name of a model that is shown whole.
const LONGEST_MODEL: usize = 32;

/// Draws the screen.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let theme = &state.theme;
    let Some(server) = state.snapshot.server.as_deref() else {
        let inside = canvas.frame(PaneFrame::boxed(area, "Connections"));
        let text = "No server is running. Start divvy with --listen 127.0.0.1:8000 to serve clients \
                    over HTTP, or with --listen-grpc 127.0.0.1:8001 over gRPC.";
        return canvas.note(inside, text, theme.dim);
    };
    let mut title = "Connections".to_owned();
    if !state.filter.is_empty() {
        title = format!("Connections with \"{}\"", state.filter);
    }
    title = format!("{title} {}", state.connection_order.words());
    let note = if area.width >= 100 { "req/s over 1 s   bytes of bodies in and out" } else { "" };
    let inside = canvas.frame(PaneFrame::boxed(area, &title).note(note));
    let totals = totals(state, server, inside.width as usize);
    // the list keeps at least half of the screen
    let shown = totals.len().min(inside.height as usize / 2);
    canvas.put_from(Rect { height: shown as u16, ..inside }, &totals, 0);
    let below = Rect {
        y: inside.y + shown as u16,
        height: inside.height.saturating_sub(shown as u16),
        ..inside
    };
    let listed = state.connections();
    let columns = columns(inside.width as usize, &listed);
    draw_titles(canvas, below, &columns);
    let list = Rect { y: below.y + 1, height: below.height.saturating_sub(1), ..below };
    if listed.is_empty() {
        let text = if server.connections == 0 {
            "No client is connected."
        } else {
            "No connection matches the filter."
        };
        return canvas.note(list, text, theme.dim);
    }
    let mut lines: Vec<StyledLine> =
        listed.iter().map(|connection| line(state, connection, &columns)).collect();
    let unlisted = server.connections.saturating_sub(server.busiest.len());
    if unlisted > 0 && state.filter.is_empty() {
        let text = format!("{} less busy: not listed", format::counted(unlisted, "connection"));
        lines.push(vec![(text, theme.dim)]);
    }
    canvas.put_lines(ScrollArea::Screen, list, &lines, state.scroll);
}

/// Returns the totals on as many lines as they need.
fn totals(state: &ConsoleState, server: &ServerView, width: usize) -> Vec<StyledLine> {
    let theme = &state.theme;
    if width < usize::from(server_text::WIDE) {
        let mut first = vec![("Clients ".to_owned(), theme.dim)];
        first.extend(server_text::brief(state, server));
        return vec![first, vec![(server_text::listeners(server), theme.dim)]];
    }
    let style = if server.is_draining { theme.warn } else { theme.text };
    let mut clients = vec![(server_text::clients_of(server), style)];
    clients.extend(
        server_text::traffic(state, server, Reasons::Listed)
            .into_iter()
            .flat_map(|(text, style)| [("   ".to_owned(), theme.dim), (text, style)]),
    );
    let mut lines = vec![vec![(server_text::listeners(server), theme.dim)]];
    lines.extend(flow(clients, width, 0));
    let refused = server_text::refused_since_start(server);
    if !refused.is_empty() {
        let words = refused.split_inclusive(' ').map(|word| (word.to_owned(), theme.dim));
        lines.extend(flow(words, width, 2));
    }
    lines
}

/// Returns the columns that fit into `width`, with their widths. Spare room goes to addresses, then to
/// names of models.
fn columns(width: usize, listed: &[&ConnectionView]) -> Vec<(ConnectionColumn, usize)> {
    let mut room = width;
    let mut order = ALL;
    order.sort_by_key(|(.., rank)| *rank);
    let mut shown = Vec::new();
    for (key, _, size, _) in order {
        if room < size + 1 {
            break;
        }
        room -= size + 1;
        shown.push(key);
    }
    let mut columns: Vec<(ConnectionColumn, usize)> = ALL
        .into_iter()
        .filter(|(key, ..)| shown.contains(key))
        .map(|column| (column, column.2))
        .collect();
    let widest = |text: fn(&ConnectionView) -> &str, most: usize| {
        let widths = listed.iter().map(|connection| format::width(text(connection)));
        widths.max().unwrap_or(0).min(most)
    };
    for (wanted, needed) in [
        (ConnectionKey::Peer, widest(|connection| &connection.peer, LONGEST_PEER)),
        (ConnectionKey::Model, widest(|connection| &connection.model, LONGEST_MODEL)),
    ] {
        if let Some((_, size)) = columns.iter_mut().find(|((key, ..), _)| *key == wanted) {
            let more = needed.saturating_sub(*size).min(room);
            *size += more;
            room -= more;
        }
    }
    columns
}

/// Returns true if a column holds numbers, which are aligned right.
fn is_numeric(key: ConnectionKey) -> bool {
    !matches!(key, ConnectionKey::Peer | ConnectionKey::Protocol | ConnectionKey::Model)
}

/// Draws the titles of the columns, which sort the list.
fn draw_titles(canvas: &mut Canvas, area: Rect, columns: &[(ConnectionColumn, usize)]) {
    let state = canvas.state;
    let Some(mut pen) = row(area, 0) else { return };
    for ((key, title, ..), size) in columns {
        let start = pen.x;
        let order = state.connection_order;
        let mark = match (order.key() == *key, order.rising()) {
            (false, _) => "",
            (true, true) => state.glyphs.mark,
            (true, false) => state.glyphs.change,
        };
        // a mark without room is left out
        let mark = if format::width(title) < *size { mark } else { "" };
        let text = format!("{title}{mark}");
        if is_numeric(*key) {
            canvas.put_right(&mut pen, &text, *size, state.theme.dim);
        } else {
            canvas.put_left(&mut pen, &text, *size, state.theme.dim);
        }
        let place = Rect { x: start, y: pen.y, width: pen.x.saturating_sub(start), height: 1 };
        canvas.hit(place, Target::ConnectionTitle(*key));
        pen.x += 1;
    }
}

fn line(
    state: &ConsoleState,
    connection: &ConnectionView,
    columns: &[(ConnectionColumn, usize)],
) -> StyledLine {
    let theme = &state.theme;
    let cell = |((key, ..), size): &(ConnectionColumn, usize)| {
        let text = match key {
            ConnectionKey::Peer => connection.peer.clone(),
            ConnectionKey::Protocol => protocol_name(connection.protocol).to_owned(),
            ConnectionKey::Model if connection.model.is_empty() => "-".to_owned(),
            ConnectionKey::Model => connection.model.clone(),
            ConnectionKey::Rate => format::rate(connection.requests_per_s),
            ConnectionKey::Open => format::count(connection.open_requests),
            ConnectionKey::Requests => format::count(connection.requests),
            ConnectionKey::Received => format::traffic(connection.received_bytes),
            ConnectionKey::Sent => format::traffic(connection.sent_bytes),
            ConnectionKey::Age => format::clock(connection.age_us),
        };
        let quiet = connection.requests_per_s <= 0.0 && connection.open_requests == 0;
        let style = if quiet { theme.dim } else { theme.text };
        let text = if is_numeric(*key) {
            format::right(&text, *size)
        } else {
            format::left(&text, *size, state.glyphs.ellipsis)
        };
        (format!("{text} "), style)
    };
    columns.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_into_the_width() {
        for width in 38..300 {
            let used: usize = columns(width, &[]).iter().map(|(_, size)| size + 1).sum();
            assert!(used <= width + 1, "{width}: {used}");
        }
        assert_eq!(columns(100, &[]).len(), ALL.len());
    }
}
