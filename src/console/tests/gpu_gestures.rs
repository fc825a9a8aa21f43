//! Tests of moving models between GPUs and the CPU: dragging, two clicks and keys make the same
//! change.

use crossterm::event::KeyCode;

use super::fixtures;
use super::gestures::click_click;
use super::testing::TestConsole;
use crate::console::state::{Column, Target};
use crate::layout::{Bytes, Change, Edit, GpuId};

fn console() -> TestConsole {
    let mut layout = fixtures::layout();
    if let Some(detector) = layout.models.first_mut() {
        detector.gpu = Some(GpuId::Index(0));
        detector.gpu_memory = Some(Bytes(4 << 30));
    }
    let mut console = TestConsole::with(&layout, fixtures::machine(8, 4), 160, 40);
    console.show(fixtures::two_gpus());
    console
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
    let dragged = made(|console| {
        let (from, to) = (console.place(from), console.place(to));
        console.down(from);
        console.drag((from.0, from.1 + 1));
        console.drag(to);
        console.up(to);
    });
    let clicked = made(|console| click_click(console, from, to));
    let typed = made(|console| console.keys(keys));
    assert_eq!(dragged, clicked);
    assert_eq!(dragged, typed);
    dragged
}

fn onto(model: &str, gpu: Option<u32>, gpu_memory: Option<Bytes>) -> Change {
    Edit::SetGpu { model: model.into(), gpu: gpu.map(GpuId::Index), gpu_memory }.into()
}

fn gpu(index: u32) -> Target {
    Target::Gpu(Some(GpuId::Index(index)))
}

fn place(model: &str) -> Target {
    Target::Field(model.into(), Column::Gpu)
}

#[test]
pub(crate) fn gpu_to_row_equals_row_to_gpu() {
    let change = three_ways(&gpu(0), &place("ocr"), "jlllll+");
    assert_eq!(change, onto("ocr", Some(0), None));
    let change = three_ways(&place("ocr"), &gpu(0), "jlllll+");
    assert_eq!(change, onto("ocr", Some(0), None));
}

#[test]
pub(crate) fn gpu_limit_follows_the_model() {
    let change = three_ways(&place("detector"), &gpu(1), "lllll+");
    assert_eq!(change, onto("detector", Some(1), Some(Bytes(4 << 30))));
    let change = three_ways(&place("detector"), &Target::Gpu(None), "lllll-");
    assert_eq!(change, onto("detector", None, None));
}

#[test]
pub(crate) fn device_moves_to_another_row_by_key() {
    let change = made(|console| {
        console.keys("lllll j");
        console.key(KeyCode::Enter);
    });
    assert_eq!(change, onto("ocr", Some(0), None));
}

#[test]
pub(crate) fn drop_beside_a_device_does_nothing() {
    let mut console = console();
    let (from, beside) = (console.place(&place("detector")), (0, 0));
    console.down(from);
    console.drag(beside);
    console.up(beside);
    assert!(console.state.drag.is_none() && console.control.changes().is_empty());
    assert!(console.message().contains("cancelled"), "{}", console.message());
    console.keys("jlllll-");
    assert!(console.message().contains("CPU is the first place"), "{}", console.message());
    assert!(console.control.changes().is_empty());
}

#[test]
pub(crate) fn without_gpus_a_model_stays_on_the_cpu() {
    let mut console = TestConsole::new(160, 40);
    console.keys("lllll+");
    assert!(console.message().contains("stays on the CPU: no NVIDIA GPU"), "{}", console.message());
    assert!(console.control.changes().is_empty());
}

#[test]
pub(crate) fn gpu_lists_its_models_with_memory() {
    let console = console();
    let text = console.text();
    let line = text.lines().find(|line| line.contains("by the driver")).unwrap_or_default();
    for words in ["detector 1229M used, of 4GiB", "divvy 1600M by the driver"] {
        assert!(line.contains(words), "{words} in {text}");
    }
}

#[test]
pub(crate) fn gpu_drop_previews_the_build() {
    let mut console = console();
    let (from, to) = (console.place(&place("detector")), console.place(&gpu(1)));
    console.down(from);
    console.drag(to);
    let text = console.text();
    assert!(text.contains("detector moves to GPU 1; detector is first built on GPU 1"), "{text}");
    console.drag((0, 0));
    assert!(!console.text().contains("first first built on"), "off the GPU nothing would be built");
}
