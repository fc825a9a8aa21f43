//! Several cores at once: selected by shift or ctrl, lifted, dragged and dropped as one change,
//! whichever hand does it.

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

/// A click with a modifier held.
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
fn a_range_of_cores_goes_to_a_row_in_every_way() {
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
fn cores_of_several_models_go_as_one_change_and_those_of_the_receiver_stay() {
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
fn a_range_shrinks_when_one_goes_back_and_ends_with_a_plain_step_or_esc() {
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
fn a_click_elsewhere_lifts_that_core_alone_and_ctrl_takes_one_out_again() {
    let mut console = TestConsole::new(120, 36);
    for id in [0, 1, 2] {
        click_with(&mut console, &core(id), KeyModifiers::CONTROL);
    }
    click_with(&mut console, &core(1), KeyModifiers::ALT);
    assert_eq!(console.state.picked, set("0,2"));
    click(&mut console, &core(5));
    assert_eq!(console.state.picked, CpuSet::EMPTY);
    let token = &console.state.drag.as_ref().unwrap().item;
    assert_eq!(token.title(), "core 5");
}

#[test]
fn a_range_is_what_lies_between_on_the_screen_where_caches_take_turns() {
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
fn what_is_put_back_stays_selected() {
    let mut console = TestConsole::new(120, 36);
    console.keys(">>");
    console.keys(" ");
    console.key(KeyCode::Esc);
    assert!(console.message().contains("cancelled"), "{}", console.message());
    assert_eq!(console.state.picked, set("0-1"));
}

#[test]
fn a_shared_drag_of_a_selection_leaves_its_donors_their_cores() {
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
