//! The line of the server's clients.

use ratatui::layout::Rect;

use crate::console::state::{Command, Target};
use crate::console::view::canvas::{Canvas, row};
use crate::console::view::server_text::{self, Reasons};

/// Draws the line: clients, requests from outside, refused requests and bytes in flight.
pub(super) fn draw(canvas: &mut Canvas, area: Rect) {
    let state = canvas.state;
    let (Some(server), Some(mut pen)) = (state.snapshot.server.as_deref(), row(area, 0)) else {
        return;
    };
    let theme = &state.theme;
    canvas.hit(area, Target::Command(Command::Connections));
    canvas.put(&mut pen, " Clients ", theme.title);
    if area.width < server_text::WIDE {
        for (text, style) in server_text::brief(state, server) {
            canvas.put_fit(&mut pen, &text, style);
        }
        return;
    }
    let style = if server.is_draining { theme.warn } else { theme.text };
    canvas.put(&mut pen, &server_text::clients_of(server).replace(" clients", ""), style);
    let reasons = if area.width < 100 { Reasons::Hidden } else { Reasons::Listed };
    for (text, style) in server_text::traffic(state, server, reasons) {
        canvas.put(&mut pen, "   ", theme.dim);
        canvas.put_fit(&mut pen, &text, style);
    }
}
