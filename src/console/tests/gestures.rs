//! Mouse, two clicks and keys must give the same change; every way out must give none.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEventKind};

use super::fixtures;
use super::testing::Desk;
use crate::console::state::{Action, Column, Command, Mode, Screen, Target};
use crate::layout::{Auto, Change, CoreOwner, CoreRequest, CoreSelection, Edit};
use crate::machine::{CoreId, CpuSet};
use crate::scheduler::Control;
use crate::telemetry::{Author, VerdictStatus};

fn model(name: &str) -> CoreOwner {
    CoreOwner::Model(name.into())
}

/// Drags from one target to another, over a place between them.
fn drag(desk: &mut Desk, from: &Target, to: &Target) {
    let (from, to) = (desk.place(from), desk.place(to));
    desk.down(from);
    desk.drag((from.0, from.1.saturating_sub(1)));
    desk.drag(to);
    desk.up(to);
}

/// Clicks one target, moves, clicks the other.
pub(super) fn click_click(desk: &mut Desk, from: &Target, to: &Target) {
    let (from, to) = (desk.place(from), desk.place(to));
    desk.down(from);
    desk.up(from);
    desk.mouse(MouseEventKind::Moved, to);
    desk.down(to);
    desk.up(to);
}

/// The one change that a gesture made.
fn made(gesture: impl FnOnce(&mut Desk)) -> Change {
    let mut desk = Desk::new(120, 36);
    gesture(&mut desk);
    assert!(desk.state.carry.is_none());
    let mut changes = desk.control.changes();
    assert_eq!(changes.len(), 1, "{}", desk.message());
    changes.remove(0)
}

fn three_ways(from: &Target, to: &Target, keys: impl FnOnce(&mut Desk)) -> Change {
    let dragged = made(|desk| drag(desk, from, to));
    let clicked = made(|desk| click_click(desk, from, to));
    let typed = made(keys);
    assert_eq!(dragged, clicked);
    assert_eq!(dragged, typed);
    dragged
}

fn transfer(cores: CoreSelection, from: CoreOwner, to: CoreOwner, share: bool) -> Change {
    Edit::TransferCores { cores, from, to, share }.into()
}

#[test]
fn a_core_of_a_row_goes_to_another_row_in_three_ways() {
    let to = Target::Row(model("detector"));
    let change = three_ways(&Target::RowCore(model("ocr")), &to, |desk| {
        desk.keys("j k j");
        desk.key(KeyCode::Up);
        desk.key(KeyCode::Enter);
    });
    assert_eq!(change, transfer(CoreSelection::Count(1), model("ocr"), model("detector"), false));
}

#[test]
fn a_certain_core_goes_to_a_row_in_three_ways() {
    let to = Target::Row(model("embedder"));
    let change = three_ways(&Target::Core(CoreId(4)), &to, |desk| {
        desk.key(KeyCode::Tab);
        desk.keys("llll 3");
        desk.key(KeyCode::Enter);
    });
    let these = CoreSelection::These(CpuSet::single(CoreId(4)));
    assert_eq!(change, transfer(these, model("ocr"), model("embedder"), false));
}

#[test]
fn a_core_goes_to_free_and_comes_from_free_in_three_ways() {
    let free = Target::Row(CoreOwner::Free);
    let change = three_ways(&Target::RowCore(model("detector")), &free, |desk| {
        desk.keys(" 0");
        desk.key(KeyCode::Enter);
    });
    assert_eq!(
        change,
        transfer(CoreSelection::Count(1), model("detector"), CoreOwner::Free, false)
    );
    let change =
        three_ways(&Target::RowCore(CoreOwner::Free), &Target::Row(model("ocr")), |desk| {
            desk.keys("0 2");
            desk.key(KeyCode::Enter);
        });
    assert_eq!(change, transfer(CoreSelection::Count(1), CoreOwner::Free, model("ocr"), false));
}

#[test]
fn an_instance_goes_to_another_row_in_three_ways() {
    let to = Target::Row(model("ocr"));
    let change = three_ways(&Target::Instance("detector".into()), &to, |desk| {
        desk.keys("l j");
        desk.key(KeyCode::Enter);
    });
    let edit = Edit::TransferConcurrency { count: 1, from: "detector".into(), to: "ocr".into() };
    assert_eq!(change, edit.into());
}

#[test]
fn the_wheel_and_the_keys_step_alike() {
    for (column, keys) in [
        (Column::Cores, "+"),
        (Column::Instances, "l+"),
        (Column::Threads, "ll+"),
        (Column::Queue, "lll+"),
        (Column::Slo, "llll+"),
    ] {
        let typed = made(|desk| desk.keys(keys));
        let wheeled = made(|desk| {
            let at = desk.place(&Target::Field("detector".into(), column));
            desk.mouse(MouseEventKind::ScrollUp, at);
        });
        assert_eq!(typed, wheeled, "{column:?}");
    }
}

#[test]
fn a_modifier_and_the_share_key_both_share() {
    let (from, to) = (Target::RowCore(model("ocr")), Target::Row(model("detector")));
    let held = made(|desk| {
        let (from, to) = (desk.place(&from), desk.place(&to));
        desk.down(from);
        let (drag, up) =
            (MouseEventKind::Drag(MouseButton::Left), MouseEventKind::Up(MouseButton::Left));
        desk.mouse_with(drag, to, KeyModifiers::CONTROL);
        assert!(desk.text().contains("share 1 core"), "{}", desk.text());
        desk.mouse_with(up, to, KeyModifiers::CONTROL);
    });
    let typed = made(|desk| {
        desk.keys("j x1");
        desk.key(KeyCode::Enter);
    });
    assert_eq!(held, typed);
    assert_eq!(held, transfer(CoreSelection::Count(1), model("ocr"), model("detector"), true));
}

#[test]
fn more_than_one_core_is_carried_by_wheel_and_by_key() {
    let wheeled = made(|desk| {
        let (from, to) =
            (desk.place(&Target::Core(CoreId(1))), desk.place(&Target::Row(model("ocr"))));
        desk.down(from);
        desk.drag(to);
        desk.mouse(MouseEventKind::ScrollUp, to);
        desk.up(to);
    });
    let typed = made(|desk| {
        desk.key(KeyCode::Tab);
        desk.keys("l +2");
        desk.key(KeyCode::Enter);
    });
    assert_eq!(wheeled, typed);
    let set: CpuSet = "1-2".parse().unwrap();
    assert_eq!(
        wheeled,
        transfer(CoreSelection::These(set), model("detector"), model("ocr"), false)
    );
}

#[test]
fn every_way_out_puts_the_token_back() {
    type Way = fn(&mut Desk, (u16, u16));
    let ways: [(&str, Way); 10] = [
        ("esc", |desk, _| desk.key(KeyCode::Esc)),
        ("resize", |desk, _| desk.act(Action::Resized)),
        ("focus", |desk, _| desk.act(Action::FocusLost)),
        ("new press", |desk, at| desk.down(at)),
        ("right button", |desk, at| desk.mouse(MouseEventKind::Down(MouseButton::Right), at)),
        ("lost release", |desk, at| desk.mouse(MouseEventKind::Moved, at)),
        ("outside", |desk, _| desk.up((119, 0))),
        ("donor", |desk, _| {
            let at = desk.place(&Target::Row(model("ocr")));
            desk.up(at);
        }),
        ("other screen", |desk, _| desk.keys("m")),
        ("suspend", |desk, _| desk.control_key('z')),
    ];
    for (name, way) in ways {
        let mut desk = Desk::new(120, 36);
        let from = desk.place(&Target::RowCore(model("ocr")));
        let to = desk.place(&Target::Row(model("detector")));
        desk.down(from);
        desk.drag(to);
        assert!(desk.state.carry.as_ref().is_some_and(|carry| carry.to.is_some()), "{name}");
        way(&mut desk, to);
        assert!(desk.state.carry.is_none(), "{name}");
        // a release that comes late must not drop anything either
        desk.up(to);
        assert_eq!(desk.control.changes(), [], "{name}");
        assert!(desk.message().contains("put back"), "{name}: {}", desk.message());
    }
}

#[test]
fn what_the_footer_offers_while_something_is_carried_is_about_that() {
    for by_click in [false, true] {
        let mut desk = Desk::new(120, 36);
        if by_click {
            let at = desk.place(&Target::RowCore(model("ocr")));
            desk.down(at);
            desk.up(at);
        } else {
            desk.keys("j ");
        }
        for command in [Command::Up, Command::Share, Command::Accept] {
            assert!(desk.state.carry.is_some(), "{command}: {}", desk.message());
            let at = desk.place(&Target::Command(command));
            desk.mouse(MouseEventKind::Moved, at);
            desk.down(at);
            desk.up(at);
        }
        let to = transfer(CoreSelection::Count(1), model("ocr"), model("detector"), true);
        assert_eq!(desk.control.changes(), [to], "{}", desk.message());
    }
}

#[test]
fn a_press_in_one_row_never_acts_on_another() {
    let mut desk = Desk::new(120, 36);
    let (from, to) =
        (desk.place(&Target::Row(model("ocr"))), desk.place(&Target::Row(model("detector"))));
    desk.down(from);
    desk.drag(to);
    desk.up(to);
    assert_eq!(desk.control.changes(), []);
    assert_eq!(desk.state.selected, model("ocr"));
}

#[test]
fn the_consequence_is_told_before_the_drop_and_the_rows_light_up() {
    let mut desk = Desk::new(120, 36);
    let from = desk.place(&Target::RowCore(model("ocr")));
    let to = desk.place(&Target::Row(model("detector")));
    desk.down(from);
    desk.drag(to);
    let text = desk.text();
    assert!(text.contains("detector 4 -> 5 cores, ocr 2 -> 1"), "{text}");
    assert!(text.contains("1 core → detector"), "{text}");
    assert!(text.contains("+ emb embedder"), "{text}");
    assert_eq!(desk.control.changes(), []);
}

#[test]
fn a_row_that_cannot_take_it_says_why_and_refuses_the_drop() {
    let mut layout = fixtures::layout();
    layout.models[1].cores = CoreRequest::List("4-5".parse().unwrap());
    layout.models[1].reserve = true;
    let mut desk = Desk::with(&layout, fixtures::machine(8, 4), 120, 36);
    // sharing a core with a row that keeps its cores for itself
    let (from, to) =
        (desk.place(&Target::RowCore(model("detector"))), desk.place(&Target::Row(model("ocr"))));
    desk.down(from);
    desk.mouse_with(MouseEventKind::Drag(MouseButton::Left), to, KeyModifiers::ALT);
    let carry = desk.state.carry.as_ref().unwrap();
    assert!(carry.refusal(&model("ocr")).is_some());
    assert!(desk.text().contains("no: "), "{}", desk.text());
    desk.mouse_with(MouseEventKind::Up(MouseButton::Left), to, KeyModifiers::ALT);
    assert_eq!(desk.control.changes(), []);
    assert!(desk.message().starts_with("refused: "), "{}", desk.message());
}

#[test]
fn repeated_steps_build_on_the_last_answer_without_waiting_for_a_snapshot() {
    let mut desk = Desk::new(120, 36);
    desk.keys("l+++");
    let row = desk.control.desired().row("detector").unwrap().clone();
    assert_eq!(row.concurrency, 7);
    assert!(desk.text().contains("7×1"), "{}", desk.text());
    desk.refresh();
    assert_eq!(desk.state.row("detector").unwrap().concurrency, 7);
}

#[test]
fn undo_and_redo_come_back_to_the_same_layout() {
    let mut desk = Desk::new(120, 36);
    let before = desk.control.layout();
    desk.keys("+");
    let after = desk.control.layout();
    assert!(desk.state.modified());
    desk.keys("u");
    assert_eq!(desk.control.layout(), before);
    assert!(!desk.state.modified());
    desk.control_key('r');
    assert_eq!(desk.control.layout(), after);
    desk.keys("uu");
    assert!(desk.message().contains("nothing to undo"), "{}", desk.message());
}

#[test]
fn staged_gestures_add_up_to_one_transaction() {
    let mut desk = Desk::new(120, 36);
    desk.keys("t+j -");
    desk.key(KeyCode::Esc);
    desk.keys("lp");
    assert_eq!(desk.control.changes(), []);
    assert_eq!(desk.state.staged.len(), 2);
    assert_eq!(desk.state.row("detector").unwrap().cores.len(), 5);
    assert!(desk.text().contains("detector*"), "{}", desk.text());
    desk.key(KeyCode::Enter);
    let changes = desk.control.changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].edits.len(), 2);
    assert!(desk.state.staged.is_empty());
    assert_eq!(desk.state.mode, Mode::Staged);
}

#[test]
fn staged_gestures_are_taken_back_one_by_one_or_dropped() {
    let mut desk = Desk::new(120, 36);
    desk.keys("tl++u");
    assert_eq!(desk.state.staged.len(), 1);
    assert_eq!(desk.state.row("detector").unwrap().concurrency, 5);
    desk.key(KeyCode::Esc);
    assert!(desk.state.staged.is_empty() && desk.state.staged_plan.is_none());
    assert_eq!(desk.state.row("detector").unwrap().concurrency, 4);
    assert_eq!(desk.control.changes(), []);
}

#[test]
fn an_impossible_gesture_is_not_staged_and_the_rest_stays() {
    let mut desk = Desk::new(120, 36);
    // the one free core, then one that is not there
    desk.keys("t++");
    assert_eq!(desk.state.staged.len(), 1, "{}", desk.message());
    assert!(desk.message().starts_with("not staged: "), "{}", desk.message());
    assert_eq!(desk.state.row("detector").unwrap().cores.len(), 5);
}

#[test]
fn what_is_staged_is_planned_anew_on_rows_that_have_changed() {
    let mut desk = Desk::new(120, 36);
    desk.keys("tl+");
    let instances = |desk: &Desk, name| {
        desk.state.staged_plan.as_ref().unwrap().after.row(name).unwrap().concurrency
    };
    assert_eq!((instances(&desk, "detector"), instances(&desk, "ocr")), (5, 2));
    // somebody else changes another row
    let edit = Edit::SetConcurrency { model: "ocr".into(), concurrency: Auto::Exactly(7) };
    desk.control.apply(edit.into(), Author::Api).unwrap();
    let mut snapshot = (*desk.control.snapshots().borrow()).as_ref().clone();
    snapshot.changes.push(fixtures::entry(99, VerdictStatus::Open, 750));
    desk.show(snapshot.clone());
    assert_eq!((instances(&desk, "detector"), instances(&desk, "ocr")), (5, 7));
    // the model of what is staged is gone: so is the gesture, and the reason is told
    desk.control.apply(Edit::Remove { model: "detector".into() }.into(), Author::Api).unwrap();
    snapshot.changes.push(fixtures::entry(100, VerdictStatus::Open, 751));
    desk.show(snapshot);
    assert!(desk.state.staged.is_empty());
    assert!(desk.message().starts_with("after a newer change"), "{}", desk.message());
}

#[test]
fn read_only_shows_everything_and_changes_nothing() {
    let mut desk = Desk::new(120, 36);
    desk.state.readonly = true;
    desk.draw();
    let before = desk.control.layout();
    drag(&mut desk, &Target::RowCore(model("ocr")), &Target::Row(model("detector")));
    click_click(&mut desk, &Target::Core(CoreId(0)), &Target::Row(CoreOwner::Free));
    let at = desk.place(&Target::Field("ocr".into(), Column::Queue));
    desk.mouse(MouseEventKind::ScrollUp, at);
    desk.keys("+-up1e");
    assert!(desk.text().contains("as a layout file writes it"), "{}", desk.text());
    desk.key(KeyCode::Enter);
    assert!(desk.message().contains("read-only"), "{}", desk.message());
    desk.key(KeyCode::Esc);
    desk.keys("EaXsSR");
    desk.key(KeyCode::Char(' '));
    desk.keys("o");
    desk.key(KeyCode::Enter);
    assert_eq!(desk.control.layout(), before);
    assert_eq!(desk.control.changes(), []);
    assert!(desk.text().contains("READ-ONLY"), "{}", desk.text());
}

#[test]
fn the_selection_stays_on_its_model() {
    let mut desk = Desk::new(120, 36);
    desk.keys("3");
    let mut snapshot = (*desk.state.snapshot).clone();
    snapshot.models.swap(0, 2);
    desk.show(snapshot.clone());
    assert_eq!(desk.state.selected, model("embedder"));
    snapshot.models.remove(0);
    desk.show(snapshot);
    assert_eq!(desk.state.selected, model("ocr"));
}

#[test]
fn the_filter_hides_rows_and_keeps_the_free_cores() {
    let mut desk = Desk::new(120, 36);
    desk.keys("/OC");
    desk.key(KeyCode::Enter);
    assert_eq!(desk.state.rows(), [model("ocr"), CoreOwner::Free]);
    assert_eq!(desk.state.selected, model("ocr"));
    desk.key(KeyCode::Esc);
    assert_eq!(desk.state.rows().len(), 4);
}

#[test]
fn the_palette_runs_a_command_by_its_name() {
    let mut desk = Desk::new(120, 36);
    desk.keys(":mach");
    desk.key(KeyCode::Enter);
    assert_eq!(desk.state.screen, Screen::Machine);
}

#[test]
fn an_instance_given_to_free_is_an_instance_fewer() {
    let change = made(|desk| {
        drag(desk, &Target::Instance("detector".into()), &Target::Row(CoreOwner::Free))
    });
    let edit = Edit::SetConcurrency { model: "detector".into(), concurrency: Auto::Exactly(3) };
    assert_eq!(change, edit.into());
}
