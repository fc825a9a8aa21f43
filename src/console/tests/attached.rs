//! A console that is attached to a run in another process, beside other consoles.

use std::time::Instant;

use crossterm::event::KeyCode;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Action, Attachment, Effect, Mode, Target};
use crate::layout::{CoreOwner, Edit};
use crate::scheduler::{Connection, Control, LayoutStore};
use crate::telemetry::VerdictStatus;

fn connect(console: &mut TestConsole, pid: u32) {
    let connection = Connection::Connected { pid };
    console.act(Action::Connection { connection, lost_s: 0 });
}

fn lose(console: &mut TestConsole) {
    let reason = "it may be suspended".to_owned();
    let connection = Connection::Lost { since: Instant::now(), reason };
    console.act(Action::Connection { connection, lost_s: 3 });
}

fn attached() -> TestConsole {
    let mut console = TestConsole::new(120, 36);
    let connection = Connection::Ended { since: Instant::now() };
    console.state.attached =
        Some(Attachment { name: "night".into(), connection, lost_s: 0, asks_at_quit: false });
    connect(&mut console, 7);
    console
}

#[test]
fn header_names_the_run() {
    let console = attached();
    assert!(console.text().contains("attached to night"), "{}", console.text());
    assert!(console.text().contains("detach"), "{}", console.text());
}

#[test]
fn lost_connection_greys_the_frame() {
    let mut console = attached();
    let row = console.place(&Target::Row(CoreOwner::Model("detector".into())));
    let colour = |console: &TestConsole| console.frame[row].fg;
    let before = colour(&console);
    lose(&mut console);
    let text = console.text();
    assert!(text.contains("connection to night lost 3 s ago; reconnecting"), "{text}");
    assert!(text.contains("LOST") && !text.contains("LIVE"), "{text}");
    assert_eq!(Some(colour(&console)), console.state.theme.dim.fg);
    connect(&mut console, 7);
    assert_eq!(colour(&console), before);
    assert_eq!(console.message(), "connected to night again");
}

#[test]
fn lost_connection_refuses_changes() {
    let mut console = attached();
    lose(&mut console);
    for key in "+pu aXsSR".chars() {
        console.key(KeyCode::Char(key));
        assert!(console.message().contains("nothing can be changed while"), "{key}");
    }
    assert!(console.control.changes().is_empty() && console.state.dialog.is_none());
    connect(&mut console, 7);
    console.keys("+");
    assert_eq!(console.control.changes().len(), 1);
}

#[test]
fn restarted_run_is_a_new_one() {
    let mut console = attached();
    console.keys("t+");
    assert!(console.state.mode == Mode::Staged && !console.state.staged.is_empty());
    lose(&mut console);
    connect(&mut console, 8);
    assert!(console.message().contains("started again (process 8)"), "{}", console.message());
    assert!(console.state.staged.is_empty());
    console.refresh();
    assert!(console.text().contains("detector"), "{}", console.text());
}

#[test]
fn detaching_leaves_unsaved_changes() {
    let mut console = attached();
    console.keys("+");
    console.refresh();
    assert!(console.state.modified());
    console.keys("q");
    assert_eq!(console.left, [Effect::Quit]);
}

#[test]
fn own_run_is_left_or_stopped() {
    let mut console = attached();
    console.state.attached.as_mut().unwrap().asks_at_quit = true;
    console.keys("q");
    assert!(console.text().contains("leave it running"), "{}", console.text());
    console.keys("n");
    assert!(console.left.is_empty());
    // this console has no run to end
    console.keys("qs");
    assert!(console.message().contains("not ended"), "{}", console.message());
    assert!(console.left.is_empty());
    console.keys("q");
    console.act(Action::RunStopped(Ok(())));
    assert!(console.left.is_empty(), "another console has stopped it");
    console.keys("d");
    assert_eq!(console.left, [Effect::Quit]);
}

#[test]
fn end_of_the_run_is_asked_for() {
    let mut console = attached();
    console.keys("Q");
    assert!(console.text().contains("End night?"), "{}", console.text());
    console.keys("n");
    assert!(console.left.is_empty());
    // this console has no run to end
    console.keys("Qy");
    assert!(console.message().contains("not ended"), "{}", console.message());
}

#[test]
fn layout_of_another_console_is_adopted() {
    let mut console = attached();
    let mut layout = console.control.layout();
    layout.models[0].weight = 7;
    console.profiles.put("alt", &layout);
    let load = Edit::Load { layout: Box::new(layout) };
    console.profiles.set_current(Some("alt"), None);
    let mut entry = fixtures::entry(7, VerdictStatus::Open, 750);
    entry.change = load.into();
    let mut snapshot = (*console.state.snapshot).clone();
    snapshot.changes.push(entry.into());
    console.show(snapshot);
    assert_eq!(console.state.profile_name(), "alt");
    assert!(console.message().contains("it is alt now"), "{}", console.message());
    assert_eq!(console.profiles.told(), [Some("alt".to_owned())], "it is not recorded again");
}
