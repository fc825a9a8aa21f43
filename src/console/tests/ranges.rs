//! Several cores at once: selected by shift or ctrl, lifted, dragged and dropped as one change,
//! whichever hand does it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEventKind};

use super::fixtures;
use super::testing::Desk;
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

fn shifted(desk: &mut Desk, code: KeyCode) {
    desk.act(Action::Key(KeyEvent::new(code, KeyModifiers::SHIFT)));
}

/// A click with a modifier held.
fn click_with(desk: &mut Desk, target: &Target, modifiers: KeyModifiers) {
    let at = desk.place(target);
    desk.mouse_with(MouseEventKind::Down(MouseButton::Left), at, modifiers);
    desk.mouse_with(MouseEventKind::Up(MouseButton::Left), at, modifiers);
}

fn click(desk: &mut Desk, target: &Target) {
    click_with(desk, target, KeyModifiers::NONE);
}

fn drag(desk: &mut Desk, from: &Target, to: &Target) {
    let (from, to) = (desk.place(from), desk.place(to));
    desk.down(from);
    desk.drag(to);
    desk.up(to);
}

fn made(gesture: impl FnOnce(&mut Desk)) -> Change {
    let mut desk = Desk::new(120, 36);
    gesture(&mut desk);
    assert!(desk.state.carry.is_none() && desk.state.picked.is_empty());
    let mut changes = desk.control.changes();
    assert_eq!(changes.len(), 1, "{}", desk.message());
    changes.remove(0)
}

fn given(cores: &str, from: CoreOwner, to: &str) -> Edit {
    let cores = CoreSelection::These(set(cores));
    Edit::TransferCores { cores, from, to: model(to), share: false }
}

#[test]
fn a_range_of_cores_goes_to_a_row_in_every_way() {
    let to = Target::Row(model("embedder"));
    let typed = made(|desk| {
        desk.key(KeyCode::Tab);
        desk.keys("l");
        shifted(desk, KeyCode::Right);
        desk.keys("> 3");
        desk.key(KeyCode::Enter);
    });
    let dragged = made(|desk| {
        click_with(desk, &core(1), KeyModifiers::CONTROL);
        click_with(desk, &core(3), KeyModifiers::SHIFT);
        drag(desk, &core(2), &to);
    });
    let clicked = made(|desk| {
        for id in [3, 1, 2] {
            click_with(desk, &core(id), KeyModifiers::CONTROL);
        }
        click(desk, &core(1));
        click(desk, &to);
    });
    assert_eq!((&typed, &typed), (&dragged, &clicked));
    assert_eq!(typed, given("1-3", model("detector"), "embedder").into());
}

#[test]
fn cores_of_several_models_go_as_one_change_and_those_of_the_receiver_stay() {
    let change = made(|desk| {
        desk.key(KeyCode::Tab);
        desk.keys("lll");
        for _ in 0..4 {
            shifted(desk, KeyCode::Right);
        }
        assert_eq!(desk.state.picked, set("3-7"));
        desk.keys(" ");
        assert!(desk.text().contains("cores 3-7 of detector and ocr and embedder and free"));
        desk.keys("3");
        assert!(desk.text().contains("embedder 1 -> 5"), "{}", desk.text());
        desk.key(KeyCode::Enter);
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
    let mut desk = Desk::new(120, 36);
    desk.keys(">");
    assert_eq!((desk.state.focus, desk.state.picked), (Pane::Cores, CpuSet::EMPTY));
    desk.keys(">>>");
    assert_eq!(desk.state.picked, set("0-3"));
    desk.keys("<");
    assert_eq!(desk.state.picked, set("0-2"));
    desk.keys("l");
    assert_eq!((desk.state.picked, desk.state.core), (CpuSet::EMPTY, Some(CoreId(3))));
    desk.keys("<");
    assert_eq!(desk.state.picked, set("2-3"));
    desk.key(KeyCode::Esc);
    assert_eq!(desk.state.picked, CpuSet::EMPTY);
    assert_eq!(desk.control.changes(), []);
}

#[test]
fn a_click_elsewhere_lifts_that_core_alone_and_ctrl_takes_one_out_again() {
    let mut desk = Desk::new(120, 36);
    for id in [0, 1, 2] {
        click_with(&mut desk, &core(id), KeyModifiers::CONTROL);
    }
    click_with(&mut desk, &core(1), KeyModifiers::ALT);
    assert_eq!(desk.state.picked, set("0,2"));
    click(&mut desk, &core(5));
    assert_eq!(desk.state.picked, CpuSet::EMPTY);
    let token = &desk.state.carry.as_ref().unwrap().token;
    assert_eq!(token.title(), "core 5");
}

#[test]
fn a_range_is_what_lies_between_on_the_screen_where_caches_take_turns() {
    let mut machine = fixtures::machine(8, 4);
    for core in &mut machine.topology.cores {
        core.l3 = Some(u32::from(core.id.0 % 2));
    }
    let desk = || Desk::with(&fixtures::layout(), machine.clone(), 120, 36);
    // the pane shows 0 2 4 6, then 1 3 5 7
    let mut clicked = desk();
    click_with(&mut clicked, &core(4), KeyModifiers::CONTROL);
    click_with(&mut clicked, &core(1), KeyModifiers::SHIFT);
    assert_eq!(clicked.state.picked, set("1,4,6"));
    let mut typed = desk();
    typed.key(KeyCode::Tab);
    typed.keys("ll");
    assert_eq!(typed.state.core, Some(CoreId(4)), "steps go by the screen too");
    typed.keys(">>");
    assert_eq!(typed.state.picked, set("1,4,6"));
}

#[test]
fn what_is_put_back_stays_selected() {
    let mut desk = Desk::new(120, 36);
    desk.keys(">>");
    desk.keys(" ");
    desk.key(KeyCode::Esc);
    assert!(desk.message().contains("put back"), "{}", desk.message());
    assert_eq!(desk.state.picked, set("0-1"));
}

#[test]
fn a_shared_drag_of_a_selection_leaves_its_donors_their_cores() {
    let change = made(|desk| {
        desk.keys(">>>>> ");
        desk.keys("x2");
        desk.key(KeyCode::Enter);
    });
    let cores = CoreSelection::These(set("0-3"));
    let shared =
        Edit::TransferCores { cores, from: model("detector"), to: model("ocr"), share: true };
    assert_eq!(change, shared.into());
}
