//! Tests of dragging several cores, selected by Shift or Ctrl, as one change.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEventKind};

use super::fixtures;
use super::testing::TestConsole;
use crate::console::state::{Action, Pane, Target};
use crate::layout::{Change, CoreOwner, CoreSelection, Edit};
use crate::machine::{CoreId, CpuSet};

fn model(name: &str) -> CoreOwner {
    CoreOwner::Model(name.to_owned())
}

fn set(list: &str) -> CpuSet {
    list.parse().unwrap()
}

fn core(id: u16) -> Target {
    Target::Core(CoreId(id))
}

fn shifted(console: &mut TestConsole, code: KeyCode) {
    console.act(Action::Key(KeyEvent::new(code, KeyModifiers::SHIFT)));
}

/// Clicks a target with a modifier held.
fn click_with(console: &mut TestConsole, target: &Target, modifiers: KeyModifiers) {
    let at = console.place(target);
    console.mouse_with(MouseEventKind::Down(MouseButton::Left), at, modifiers);
    console.mouse_with(MouseEventKind::Up(MouseButton::Left), at, modifiers);
}

fn click(console: &mut TestConsole, target: &Target) {
    click_with(console, target, KeyModifiers::NONE);
}

fn drag(console: &mut TestConsole, from: &Target, to: &Target) {
    let (from, to) = (console.place(from), console.place(to));
    console.down(from);
    console.drag(to);
    console.up(to);
}

fn made(gesture: impl FnOnce(&mut TestConsole)) -> Change {
    let mut console = TestConsole::new(120, 36);
    gesture(&mut console);
    assert!(console.state.drag.is_none() && console.state.picked.is_empty());
    let mut changes = console.control.changes();
    assert_eq!(changes.len(), 1, "{}", console.message());
    changes.remove(0)
}

fn given(cores: &str, from: CoreOwner, to: &str) -> Edit {
    let cores = CoreSelection::These(set(cores));
    Edit::TransferCores { cores, from, to: model(to), share: false }
}

#[test]
pub(crate) fn range_of_cores_moves_to_a_row() {
    let to = Target::Row(model("embedder"));
    let typed = made(|console| {
        console.key(KeyCode::Tab);
        console.keys("l");
        shifted(console, KeyCode::Right);
        console.keys("> 3");
        console.key(KeyCode::Enter);
    });
    let dragged = made(|console| {
        click_with(console, &core(1), KeyModifiers::CONTROL);
        click_with(console, &core(3), KeyModifiers::SHIFT);
        drag(console, &core(2), &to);
    });
    let clicked = made(|console| {
        for id in [3, 1, 2] {
            click_with(console, &core(id), KeyModifiers::CONTROL);
        }
        click(console, &core(1));
        click(console, &to);
    });
    assert_eq!((&typed, &typed), (&dragged, &clicked));
    assert_eq!(typed, given("1-3", model("detector"), "embedder").into());
}

#[test]
pub(crate) fn cores_of_several_models_move_together() {
    let change = made(|console| {
        console.key(KeyCode::Tab);
        console.keys("lll");
        for _ in 0..4 {
            shifted(console, KeyCode::Right);
        }
        assert_eq!(console.state.picked, set("3-7"));
        console.keys(" ");
        assert!(console.text().contains("cores 3-7 of detector and ocr and embedder and free"));
        console.keys("3");
        assert!(console.text().contains("embedder 1 -> 5"), "{}", console.text());
        console.key(KeyCode::Enter);
    });
    let edits = vec![
        given("3", model("detector"), "embedder"),
        given("4-5", model("ocr"), "embedder"),
        given("7", CoreOwner::Free, "embedder"),
    ];
    assert_eq!(change, Change { edits });
}

#[test]
pub(crate) fn range_shrinks_on_the_way_back() {
    let mut console = TestConsole::new(120, 36);
    console.keys(">");
    assert_eq!((console.state.focus, console.state.picked), (Pane::Cores, CpuSet::EMPTY));
    console.keys(">>>");
    assert_eq!(console.state.picked, set("0-3"));
    console.keys("<");
    assert_eq!(console.state.picked, set("0-2"));
    console.keys("l");
    assert_eq!((console.state.picked, console.state.core), (CpuSet::EMPTY, Some(CoreId(3))));
    console.keys("<");
    assert_eq!(console.state.picked, set("2-3"));
    console.key(KeyCode::Esc);
    assert_eq!(console.state.picked, CpuSet::EMPTY);
    assert_eq!(console.control.changes(), []);
}

#[test]
pub(crate) fn ctrl_click_deselects_a_core() {
    let mut console = TestConsole::new(120, 36);
    for id in [0, 1, 2] {
        click_with(&mut console, &core(id), KeyModifiers::CONTROL);
    }
    click_with(&mut console, &core(1), KeyModifiers::ALT);
    assert_eq!(console.state.picked, set("0,2"));
    click(&mut console, &core(5));
    assert_eq!(console.state.picked, CpuSet::EMPTY);
    let item = &console.state.drag.as_ref().unwrap().item;
    assert_eq!(item.title(), "core 5");
}

#[test]
pub(crate) fn range_follows_the_screen_order() {
    let mut machine = fixtures::machine(8, 4);
    for core in &mut machine.topology.cores {
        core.l3 = Some(u32::from(core.id.0 % 2));
    }
    let console = || TestConsole::with(&fixtures::layout(), machine.clone(), 120, 36);
    // the pane shows 0 2 4 6, then 1 3 5 7
    let mut clicked = console();
    click_with(&mut clicked, &core(4), KeyModifiers::CONTROL);
    click_with(&mut clicked, &core(1), KeyModifiers::SHIFT);
    assert_eq!(clicked.state.picked, set("1,4,6"));
    let mut typed = console();
    typed.key(KeyCode::Tab);
    typed.keys("ll");
    assert_eq!(typed.state.core, Some(CoreId(4)), "steps go by the screen too");
    typed.keys(">>");
    assert_eq!(typed.state.picked, set("1,4,6"));
}

#[test]
pub(crate) fn cancelled_drag_keeps_the_selection() {
    let mut console = TestConsole::new(120, 36);
    console.keys(">>");
    console.keys(" ");
    console.key(KeyCode::Esc);
    assert!(console.message().contains("cancelled"), "{}", console.message());
    assert_eq!(console.state.picked, set("0-1"));
}

#[test]
pub(crate) fn sharing_leaves_donors_their_cores() {
    let change = made(|console| {
        console.keys(">>>>> ");
        console.keys("x2");
        console.key(KeyCode::Enter);
    });
    let cores = CoreSelection::These(set("0-3"));
    let shared =
        Edit::TransferCores { cores, from: model("detector"), to: model("ocr"), share: true };
    assert_eq!(change, shared.into());
}
