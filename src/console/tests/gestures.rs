//! Dragging by mouse, two clicks or keys makes the same change; cancelling makes none.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEventKind};

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Action, Column, Command, Pane, Screen, Target};
use crate::layout::{Auto, Change, CoreOwner, CoreRequest, CoreSelection, Edit};
use crate::machine::{CoreId, CpuSet};
use crate::scheduler::Control;

fn model(name: &str) -> CoreOwner {
    CoreOwner::Model(name.into())
}

/// Drags from one target to another, over a cell between them.
pub(super) fn drag(console: &mut TestConsole, from: &Target, to: &Target) {
    let (from, to) = (console.place(from), console.place(to));
    console.down(from);
    console.drag((from.0, from.1.saturating_sub(1)));
    console.drag(to);
    console.up(to);
}

/// Clicks one target, moves the pointer, and clicks the other.
pub(super) fn click_click(console: &mut TestConsole, from: &Target, to: &Target) {
    let (from, to) = (console.place(from), console.place(to));
    console.down(from);
    console.up(from);
    console.mouse(MouseEventKind::Moved, to);
    console.down(to);
    console.up(to);
}

/// Returns the single change that a gesture made.
fn made(gesture: impl FnOnce(&mut TestConsole)) -> Change {
    let mut console = TestConsole::new(120, 36);
    gesture(&mut console);
    assert!(console.state.drag.is_none());
    let mut changes = console.control.changes();
    assert_eq!(changes.len(), 1, "{}", console.message());
    changes.remove(0)
}

fn three_ways(from: &Target, to: &Target, keys: impl FnOnce(&mut TestConsole)) -> Change {
    let dragged = made(|console| drag(console, from, to));
    let clicked = made(|console| click_click(console, from, to));
    let typed = made(keys);
    assert_eq!(dragged, clicked);
    assert_eq!(dragged, typed);
    dragged
}

fn transfer(cores: CoreSelection, from: CoreOwner, to: CoreOwner, share: bool) -> Change {
    Edit::TransferCores { cores, from, to, share }.into()
}

#[test]
pub(crate) fn core_moves_to_another_row() {
    let to = Target::Row(model("detector"));
    let change = three_ways(&Target::RowCore(model("ocr")), &to, |console| {
        console.keys("j k j");
        console.key(KeyCode::Up);
        console.key(KeyCode::Enter);
    });
    assert_eq!(change, transfer(CoreSelection::Count(1), model("ocr"), model("detector"), false));
}

#[test]
pub(crate) fn specific_core_moves_to_a_row() {
    let to = Target::Row(model("embedder"));
    let change = three_ways(&Target::Core(CoreId(4)), &to, |console| {
        console.key(KeyCode::Tab);
        console.keys("llll 3");
        console.key(KeyCode::Enter);
    });
    let these = CoreSelection::These(CpuSet::single(CoreId(4)));
    assert_eq!(change, transfer(these, model("ocr"), model("embedder"), false));
}

#[test]
pub(crate) fn core_moves_to_free_then_back() {
    let free = Target::Row(CoreOwner::Free);
    let change = three_ways(&Target::RowCore(model("detector")), &free, |console| {
        console.keys(" 0");
        console.key(KeyCode::Enter);
    });
    assert_eq!(
        change,
        transfer(CoreSelection::Count(1), model("detector"), CoreOwner::Free, false)
    );
    let change =
        three_ways(&Target::RowCore(CoreOwner::Free), &Target::Row(model("ocr")), |console| {
            console.keys("0 2");
            console.key(KeyCode::Enter);
        });
    assert_eq!(change, transfer(CoreSelection::Count(1), CoreOwner::Free, model("ocr"), false));
}

#[test]
pub(crate) fn instance_moves_to_another_row() {
    let to = Target::Row(model("ocr"));
    let change = three_ways(&Target::Instance("detector".into()), &to, |console| {
        console.keys("l j");
        console.key(KeyCode::Enter);
    });
    let edit = Edit::TransferConcurrency { count: 1, from: "detector".into(), to: "ocr".into() };
    assert_eq!(change, edit.into());
}

#[test]
pub(crate) fn wheel_steps_like_keys() {
    for (column, keys) in [
        (Column::Cores, "+"),
        (Column::Instances, "l+"),
        (Column::Threads, "ll+"),
        (Column::Queue, "lll+"),
        (Column::Slo, "llll+"),
    ] {
        let typed = made(|console| console.keys(keys));
        let wheeled = made(|console| {
            let at = console.place(&Target::Field("detector".into(), column));
            console.mouse_with(MouseEventKind::ScrollUp, at, KeyModifiers::CONTROL);
        });
        assert_eq!(typed, wheeled, "{column:?}");
    }
}

#[test]
pub(crate) fn plain_wheel_scrolls_over_a_value() {
    let mut console = TestConsole::new(120, 36);
    for column in Column::ALL.into_iter().take(5) {
        console.keys("1\t");
        let at = console.place(&Target::Field("detector".into(), column));
        console.mouse(MouseEventKind::ScrollDown, at);
        assert_eq!(console.state.selected, model("ocr"), "{column:?}");
        for _ in 0..3 {
            console.mouse(MouseEventKind::ScrollUp, at);
        }
        assert_eq!(console.state.selected, model("detector"), "{column:?}");
        assert_eq!(console.state.focus, Pane::Models, "{column:?}");
    }
    assert_eq!(console.control.changes(), []);
}

#[test]
pub(crate) fn step_asks_before_taking_the_last_core() {
    let mut console = TestConsole::new(120, 36);
    let at = console.place(&Target::Field("embedder".into(), Column::Cores));
    console.mouse_with(MouseEventKind::ScrollDown, at, KeyModifiers::CONTROL);
    assert!(console.text().contains("Take the last core of embedder?"), "{}", console.text());
    console.keys("n");
    console.keys("3---n");
    assert_eq!(console.control.changes(), []);
    console.keys("-y");
    assert!(console.control.desired().row("embedder").unwrap().cores.is_empty());
}

#[test]
pub(crate) fn modifier_shares_like_the_share_key() {
    let (from, to) = (Target::RowCore(model("ocr")), Target::Row(model("detector")));
    let held = made(|console| {
        let (from, to) = (console.place(&from), console.place(&to));
        console.down(from);
        let (drag, up) =
            (MouseEventKind::Drag(MouseButton::Left), MouseEventKind::Up(MouseButton::Left));
        console.mouse_with(drag, to, KeyModifiers::CONTROL);
        assert!(console.text().contains("share 1 core"), "{}", console.text());
        console.mouse_with(up, to, KeyModifiers::CONTROL);
    });
    let typed = made(|console| {
        console.keys("j x1");
        console.key(KeyCode::Enter);
    });
    assert_eq!(held, typed);
    assert_eq!(held, transfer(CoreSelection::Count(1), model("ocr"), model("detector"), true));
}

#[test]
pub(crate) fn drags_several_cores() {
    let wheeled = made(|console| {
        let (from, to) =
            (console.place(&Target::Core(CoreId(1))), console.place(&Target::Row(model("ocr"))));
        console.down(from);
        console.drag(to);
        console.mouse(MouseEventKind::ScrollUp, to);
        console.up(to);
    });
    let typed = made(|console| {
        console.key(KeyCode::Tab);
        console.keys("l +2");
        console.key(KeyCode::Enter);
    });
    assert_eq!(wheeled, typed);
    let set: CpuSet = "1-2".parse().unwrap();
    assert_eq!(
        wheeled,
        transfer(CoreSelection::These(set), model("detector"), model("ocr"), false)
    );
}

#[test]
pub(crate) fn every_cancel_makes_no_change() {
    type Way = fn(&mut TestConsole, (u16, u16));
    let ways: [(&str, Way); 10] = [
        ("esc", |console, _| console.key(KeyCode::Esc)),
        ("resize", |console, _| console.act(Action::Resized)),
        ("focus", |console, _| console.act(Action::FocusLost)),
        ("new press", |console, at| console.down(at)),
        ("right button", |console, at| console.mouse(MouseEventKind::Down(MouseButton::Right), at)),
        ("lost release", |console, at| console.mouse(MouseEventKind::Moved, at)),
        ("outside", |console, _| console.up((119, 0))),
        ("donor", |console, _| {
            let at = console.place(&Target::Row(model("ocr")));
            console.up(at);
        }),
        ("other screen", |console, _| console.keys("m")),
        ("suspend", |console, _| console.control_key('z')),
    ];
    for (name, way) in ways {
        let mut console = TestConsole::new(120, 36);
        let from = console.place(&Target::RowCore(model("ocr")));
        let to = console.place(&Target::Row(model("detector")));
        console.down(from);
        console.drag(to);
        assert!(console.state.drag.as_ref().is_some_and(|drag| drag.receiver.is_some()), "{name}");
        way(&mut console, to);
        assert!(console.state.drag.is_none(), "{name}");
        // a late release must not drop the item either
        console.up(to);
        assert_eq!(console.control.changes(), [], "{name}");
        assert!(console.message().contains("cancelled"), "{name}: {}", console.message());
    }
}

#[test]
pub(crate) fn footer_shows_drag_commands() {
    for by_click in [false, true] {
        let mut console = TestConsole::new(120, 36);
        if by_click {
            let at = console.place(&Target::RowCore(model("ocr")));
            console.down(at);
            console.up(at);
        } else {
            console.keys("j ");
        }
        for command in [Command::Up, Command::Share, Command::Accept] {
            assert!(console.state.drag.is_some(), "{command}: {}", console.message());
            let at = console.place(&Target::Command(command));
            console.mouse(MouseEventKind::Moved, at);
            console.down(at);
            console.up(at);
        }
        let to = transfer(CoreSelection::Count(1), model("ocr"), model("detector"), true);
        assert_eq!(console.control.changes(), [to], "{}", console.message());
    }
}

#[test]
pub(crate) fn press_acts_only_on_its_row() {
    let mut console = TestConsole::new(120, 36);
    let (from, to) =
        (console.place(&Target::Row(model("ocr"))), console.place(&Target::Row(model("detector"))));
    console.down(from);
    console.drag(to);
    console.up(to);
    assert_eq!(console.control.changes(), []);
    assert_eq!(console.state.selected, model("ocr"));
}

#[test]
pub(crate) fn drag_previews_its_consequence() {
    let mut console = TestConsole::new(120, 36);
    let from = console.place(&Target::RowCore(model("ocr")));
    let to = console.place(&Target::Row(model("detector")));
    console.down(from);
    console.drag(to);
    let text = console.text();
    assert!(text.contains("detector 4 -> 5 cores, ocr 2 -> 1"), "{text}");
    assert!(text.contains("1 core → detector"), "{text}");
    assert!(text.contains("+ emb embedder"), "{text}");
    assert_eq!(console.control.changes(), []);
}

#[test]
pub(crate) fn refused_drop_shows_the_reason() {
    let mut layout = fixtures::layout();
    layout.models[1].cores = CoreRequest::List("4-5".parse().unwrap());
    layout.models[1].reserve = true;
    let mut console = TestConsole::with(&layout, fixtures::machine(8, 4), 120, 36);
    // sharing a core with a row that keeps its cores for itself
    let (from, to) = (
        console.place(&Target::RowCore(model("detector"))),
        console.place(&Target::Row(model("ocr"))),
    );
    console.down(from);
    console.mouse_with(MouseEventKind::Drag(MouseButton::Left), to, KeyModifiers::ALT);
    let drag = console.state.drag.as_ref().unwrap();
    assert!(drag.refusal(&model("ocr")).is_some());
    assert!(console.text().contains("no: "), "{}", console.text());
    console.mouse_with(MouseEventKind::Up(MouseButton::Left), to, KeyModifiers::ALT);
    assert_eq!(console.control.changes(), []);
    assert!(console.message().starts_with("refused: "), "{}", console.message());
}

#[test]
pub(crate) fn steps_build_on_the_last_answer() {
    let mut console = TestConsole::new(120, 36);
    console.keys("l+++");
    let row = console.control.desired().row("detector").unwrap().clone();
    assert_eq!(row.concurrency, 7);
    assert!(console.text().contains("7×1"), "{}", console.text());
    console.refresh();
    assert_eq!(console.state.row("detector").unwrap().concurrency, 7);
}

#[test]
pub(crate) fn redo_restores_the_undone_layout() {
    let mut console = TestConsole::new(120, 36);
    let before = console.control.layout();
    console.keys("+");
    let after = console.control.layout();
    assert!(console.state.modified());
    console.keys("u");
    assert_eq!(console.control.layout(), before);
    assert!(!console.state.modified());
    console.control_key('r');
    assert_eq!(console.control.layout(), after);
    console.keys("uu");
    assert!(console.message().contains("nothing to undo"), "{}", console.message());
}

#[test]
pub(crate) fn selection_stays_on_its_model() {
    let mut console = TestConsole::new(120, 36);
    console.keys("3");
    let mut snapshot = (*console.state.snapshot).clone();
    snapshot.models.swap(0, 2);
    console.show(snapshot.clone());
    assert_eq!(console.state.selected, model("embedder"));
    snapshot.models.remove(0);
    console.show(snapshot);
    assert_eq!(console.state.selected, model("ocr"));
}

#[test]
pub(crate) fn filter_keeps_the_free_cores() {
    let mut console = TestConsole::new(120, 36);
    console.keys("/OC");
    console.key(KeyCode::Enter);
    assert_eq!(console.state.rows(), [model("ocr"), CoreOwner::Free]);
    assert_eq!(console.state.selected, model("ocr"));
    console.key(KeyCode::Esc);
    assert_eq!(console.state.rows().len(), 4);
}

#[test]
pub(crate) fn palette_runs_a_command_by_name() {
    let mut console = TestConsole::new(120, 36);
    console.keys(":mach");
    console.key(KeyCode::Enter);
    assert_eq!(console.state.screen, Screen::Machine);
}

#[test]
pub(crate) fn instance_dropped_on_free_is_removed() {
    let change = made(|console| {
        drag(console, &Target::Instance("detector".into()), &Target::Row(CoreOwner::Free));
    });
    let edit = Edit::SetConcurrency { model: "detector".into(), concurrency: Auto::Exactly(3) };
    assert_eq!(change, edit.into());
}
