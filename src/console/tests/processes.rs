//! Gestures on rows of processes: the same by mouse, by two clicks and by keys, as on models.

use crossterm::event::{KeyCode, KeyModifiers, MouseEventKind};

use super::gestures::{click_click, drag};
use super::testing::TestConsole;
use super::{fixtures, process_fixtures};
use crate::console::state::{Column, Target};
use crate::layout::{Change, CoreOwner, CoreSelection, Edit};
use crate::machine::CoreId;

fn row(name: &str) -> CoreOwner {
    CoreOwner::Model(name.into())
}

fn console() -> TestConsole {
    TestConsole::with(&process_fixtures::layout(), fixtures::machine(8, 4), 120, 36)
}

fn made(gesture: impl FnOnce(&mut TestConsole)) -> Change {
    let mut console = console();
    gesture(&mut console);
    assert!(console.state.drag.is_none());
    let mut changes = console.control.changes();
    assert_eq!(changes.len(), 1, "{}", console.message());
    changes.remove(0)
}

/// Makes the same change by dragging, by two clicks and by keys. Returns the change.
fn three_ways(from: &Target, to: &Target, keys: &str) -> Change {
    let dragged = made(|console| drag(console, from, to));
    let clicked = made(|console| click_click(console, from, to));
    let typed = made(|console| {
        console.keys(keys);
        console.key(KeyCode::Enter);
    });
    assert_eq!(dragged, clicked);
    assert_eq!(dragged, typed);
    dragged
}

fn one_core(from: CoreOwner, to: CoreOwner) -> Change {
    Edit::TransferCores { cores: CoreSelection::Count(1), from, to, share: false }.into()
}

#[test]
pub(crate) fn core_moves_from_processes_to_a_model() {
    let to = Target::Row(row("detector"));
    let change = three_ways(&Target::RowCore(row("redis")), &to, "j 1");
    assert_eq!(change, one_core(row("redis"), row("detector")));
}

#[test]
pub(crate) fn core_moves_from_a_model_to_processes() {
    let to = Target::Row(row("redis"));
    let change = three_ways(&Target::RowCore(row("detector")), &to, " 2");
    assert_eq!(change, one_core(row("detector"), row("redis")));
}

#[test]
pub(crate) fn core_moves_between_rows_of_processes() {
    let to = Target::Row(row("triton"));
    let change = three_ways(&Target::RowCore(row("redis")), &to, "j 3");
    assert_eq!(change, one_core(row("redis"), row("triton")));
}

#[test]
pub(crate) fn wheel_steps_processes_like_keys() {
    for (column, keys, steps_down) in [
        (Column::Cores, "j+", false),
        (Column::Cores, "jj-", true),
        (Column::Slo, "jjllll+", false),
    ] {
        let name = if keys.starts_with("jj") { "triton" } else { "redis" };
        let typed = made(|console| console.keys(keys));
        let wheeled = made(|console| {
            let at = console.place(&Target::Field(name.into(), column));
            let kind =
                if steps_down { MouseEventKind::ScrollDown } else { MouseEventKind::ScrollUp };
            console.mouse_with(kind, at, KeyModifiers::CONTROL);
        });
        assert_eq!(typed, wheeled, "{keys}");
    }
}

#[test]
pub(crate) fn reserve_key_works_on_processes() {
    let edit = Edit::SetReserve { model: "redis".into(), reserve: true };
    assert_eq!(made(|console| console.keys("jE")), edit.into());
}

#[test]
pub(crate) fn first_core_becomes_the_budget() {
    let mut layout = process_fixtures::layout();
    layout.models.push(process_fixtures::process("nginx", "nginx", 0));
    let mut console = TestConsole::with(&layout, fixtures::machine(8, 4), 120, 36);
    assert!(console.text().contains("any"), "{}", console.text());
    console.keys("5+");
    assert_eq!(console.control.changes(), [one_core(CoreOwner::Free, row("nginx"))]);
    assert!(console.message().starts_with("nginx 0 -> 1 cores"), "{}", console.message());
}

#[test]
pub(crate) fn last_core_of_processes_goes_unasked() {
    let mut console = console();
    console.keys("3-");
    assert!(console.state.dialog.is_none());
    assert_eq!(console.control.changes(), [one_core(row("triton"), CoreOwner::Free)]);
    assert!(console.message().contains("runs on all unreserved cores"), "{}", console.message());
}

#[test]
pub(crate) fn model_only_keys_say_why() {
    for keys in ["2p", "2l+", "2ll+", "2lll+"] {
        let mut console = console();
        console.keys(keys);
        assert!(console.control.changes().is_empty(), "{keys}");
        let message = console.message();
        assert!(message.starts_with("refused: redis: is a process: it has cores"), "{message}");
    }
}

#[test]
pub(crate) fn instances_do_not_move_to_processes() {
    let mut console = console();
    console.keys("1l 2");
    assert!(console.text().contains("no: is a process"), "{}", console.text());
    console.key(KeyCode::Enter);
    assert!(console.control.changes().is_empty());
    assert!(console.message().contains("is a process"), "{}", console.message());
}

#[test]
pub(crate) fn read_only_row_is_not_lifted() {
    let mut console = console();
    let mut snapshot = (*console.state.snapshot).clone();
    make_read_only(&mut snapshot, "redis");
    console.show(snapshot);
    let from = console.place(&Target::RowCore(row("redis")));
    console.down(from);
    assert!(console.state.drag.is_none());
    let reason = "not lifted: redis: cannot be changed: process 4711 belongs to user postgres";
    assert!(console.message().starts_with(reason), "{}", console.message());
    console.up(from);
    for keys in ["2 ", "2+", "2-", "2E"] {
        console.keys(keys);
        assert!(console.state.drag.is_none(), "{keys}");
        assert!(console.message().contains("run divvy as that user"), "{keys}");
    }
    let core = console.state.snapshot.models[1].row.cores.iter().next().unwrap();
    let at = console.place(&Target::Core(core));
    console.down(at);
    assert!(console.state.drag.is_none());
    assert!(console.control.changes().is_empty());
}

#[test]
pub(crate) fn read_only_row_receives_no_core() {
    let mut console = console();
    let (from, to) = (Target::RowCore(row("detector")), Target::Row(row("postgres")));
    let from = console.place(&from);
    console.down(from);
    let to = console.place(&to);
    console.drag(to);
    let text = console.text();
    assert!(text.contains("no: cannot be changed: process 4711"), "{text}");
    assert!(text.contains("not possible: postgres: cannot be changed"), "{text}");
    console.up(to);
    assert!(console.control.changes().is_empty());
    assert!(console.message().starts_with("refused: postgres: cannot be"), "{}", console.message());
}

#[test]
pub(crate) fn read_only_row_is_not_staged() {
    let mut console = console();
    console.keys("t4+");
    assert!(console.state.staged.is_empty());
    assert!(console.message().starts_with("refused: postgres: cannot be"), "{}", console.message());
}

#[test]
pub(crate) fn staged_change_of_processes_is_undone() {
    let mut console = console();
    console.keys("t2+3-");
    console.key(KeyCode::Enter);
    assert_eq!(console.control.changes().len(), 1, "{}", console.message());
    console.refresh();
    assert_eq!(console.control.desired().row("redis").unwrap().cores.len(), 3);
    console.keys("tu");
    assert_eq!(console.control.desired().row("redis").unwrap().cores.len(), 2);
    assert_eq!(console.control.desired().row("triton").unwrap().cores.len(), 1);
}

#[test]
pub(crate) fn question_before_removing_processes_fits() {
    let mut console = console();
    console.keys("2X");
    assert!(console.text().contains("Its processes go on"), "{}", console.text());
    console.keys("y");
    assert_eq!(console.control.changes(), [Edit::Remove { model: "redis".into() }.into()]);
}

#[test]
pub(crate) fn picked_cores_of_processes_move_together() {
    let mut console = console();
    let cores: Vec<CoreId> = console.state.snapshot.models[1].row.cores.iter().collect();
    for core in &cores {
        let at = console.place(&Target::Core(*core));
        let control = KeyModifiers::CONTROL;
        let left = crossterm::event::MouseButton::Left;
        console.mouse_with(MouseEventKind::Down(left), at, control);
        console.mouse_with(MouseEventKind::Up(left), at, control);
    }
    let to = console.place(&Target::Row(row("detector")));
    let from = console.place(&Target::Core(cores[0]));
    console.down(from);
    console.drag(to);
    console.up(to);
    assert_eq!(console.control.changes().len(), 1, "{}", console.message());
    assert!(console.control.desired().row("redis").unwrap().cores.is_empty());
}

fn make_read_only(snapshot: &mut crate::telemetry::Snapshot, name: &str) {
    let reason = snapshot.model("postgres").unwrap().read_only().map(str::to_owned);
    let view = snapshot.models.iter_mut().find(|view| view.row.budget.name == name).unwrap();
    let mut process = (**view.process.as_ref().unwrap()).clone();
    process.read_only = reason;
    view.process = Some(process.into());
}
