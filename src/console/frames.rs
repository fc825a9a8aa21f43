//! Frames of the console, with their styles, at the sizes and in the states that matter.

use std::sync::Arc;

use crossterm::event::KeyCode;

use super::state::{Action, Target};
use super::testing::Desk;
use super::{dump, fixtures};
use crate::layout::Party;
use crate::telemetry::Snapshot;

/// The board over a snapshot, with a minute of history behind it.
fn board(snapshot: &Snapshot, width: u16, height: u16) -> Desk {
    let mut desk = Desk::new(width, height);
    for second in (0..60).rev() {
        let mut past = snapshot.clone();
        past.uptime_us -= second * 1_000_000;
        desk.act(Action::Snapshot(Arc::new(past)));
    }
    desk
}

#[test]
#[ignore]
fn look() {
    for (width, height) in [(200, 60), (120, 36), (80, 24), (40, 12)] {
        println!("{}", board(&fixtures::board(), width, height).text());
    }
    println!("{}", board(&fixtures::huge(), 120, 36).text());
    println!("{}", board(&fixtures::names(), 120, 36).text());
    println!("{}", board(&fixtures::oversubscribed(), 120, 36).text());
    println!("{}", board(&fixtures::failed(), 120, 36).text());
    println!("{}", board(&fixtures::loading(), 80, 24).text());
    println!("{}", board(&fixtures::empty(), 80, 24).text());
    let mut desk = board(&fixtures::board(), 120, 36);
    for key in ["?", ":", "m", "d", "o", "J"] {
        desk.keys(key);
        println!("{}", desk.text());
        desk.key(KeyCode::Esc);
    }
    let at = desk.place(&Target::RowCore(Party::Model("ocr".into())));
    desk.down(at);
    desk.drag((at.0, at.1 - 1));
    println!("{}", desk.text());
}
