//! Allocations of one request, counted per thread. An upper bound for each layer, so that a further
//! allocation per request is noticed.
#![allow(clippy::unwrap_used, clippy::panic, unsafe_code, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use divvy::engine::onnxruntime::OnnxRuntime;
use divvy::engine::rten::Rten;
use divvy::engine::{
    Engine, EngineKind, Instance, InstanceSetup, NamedTensor, Tensor, TensorData, inputs,
};
use divvy::layout::ModelSource;

/// Counts the calls of a thread that allocate.
struct CallCounter;

#[global_allocator]
static ALLOCATOR: CallCounter = CallCounter;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call is forwarded to the system allocator.
unsafe impl GlobalAlloc for CallCounter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller has the same obligations.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Returns the number of allocations of `body` on this thread.
fn allocations(body: impl FnOnce()) -> u64 {
    let before = CALLS.with(Cell::get);
    body();
    CALLS.with(Cell::get) - before
}

fn image() -> Vec<NamedTensor> {
    let data = TensorData::F32(vec![0.5; 3 * 192 * 192]);
    let tensor = Tensor::new(vec![1, 3, 192, 192], data).unwrap();
    vec![NamedTensor { name: "image".to_owned(), tensor }]
}

/// Returns the allocations of a request to the detector, which has one input and two outputs.
fn detector_run(engine: &dyn Engine) -> u64 {
    let model = engine.load(&ModelSource::Embedded("detector.onnx".to_owned())).unwrap();
    let mut instance = model.instance(InstanceSetup::cpu(1)).unwrap();
    let (request, mut most) = (image(), 0);
    instance.occupy(&mut |instance: &mut dyn Instance| {
        // The first runs fill buffers that are kept.
        for _ in 0..3 {
            instance.run(&request).unwrap();
        }
        most = allocations(|| drop(instance.run(&request).unwrap()));
    });
    println!("{}: {most} allocations", engine.title());
    most
}

#[test]
fn onnxruntime_allocates_outputs_only() {
    let engine = match OnnxRuntime::find(None) {
        Ok(engine) => engine,
        Err(error) if std::env::var_os("DIVVY_REQUIRE_ORT").is_some() => panic!("{error}"),
        Err(error) => return eprintln!("skipped: {error}"),
    };
    assert_eq!(engine.kind(), EngineKind::OnnxRuntime);
    // The list of outputs, and the name, shape and elements of each.
    let most = detector_run(&engine);
    assert!(most <= 1 + 2 * 3, "{most}");
}

#[test]
fn rten_allocations_are_bounded() {
    // Nearly all are rten's own, for its plan and its operators.
    let most = detector_run(&Rten::default());
    assert!(most <= 70, "{most}");
}

#[test]
fn check_of_good_inputs_allocates_nothing() {
    let model = Rten::default().load(&ModelSource::Embedded("detector.onnx".to_owned())).unwrap();
    let request = image();
    let made = allocations(|| inputs::check_inputs(model.signature(), &request).unwrap());
    assert_eq!(made, 0);
}
