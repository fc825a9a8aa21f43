//! Runs one request through the library. On the CPU, many threads may do this on one session at
//! once: the C API documents `Run` as safe for that.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::ptr;

use ort::AsPointer;
use ort::session::RunOptions;

use super::explain;
use super::library::NAME;
use super::session::OrtSession;
use super::value::{Value, check_with_code};
use crate::engine::{Device, EngineError, NamedTensor, inputs};

/// Runs one request to its end on the calling thread and the session's helpers.
pub(super) fn run(
    session: &OrtSession,
    given: &[NamedTensor],
) -> Result<Vec<NamedTensor>, EngineError> {
    let fault = |reason: String| EngineError::Run { engine: NAME, reason: explain::run(&reason) };
    let signature = &session.file.signature;
    let arranged = inputs::arrange(signature, given)?;
    let mut lent = Vec::with_capacity(given.len());
    for (spec, tensor) in arranged {
        lent.push(
            Value::lend(&session.library, tensor)
                .map_err(|reason| EngineError::Input { input: spec.name.clone(), reason })?,
        );
    }
    let input_names: Vec<*const c_char> = session.inputs.iter().map(pointer).collect();
    let output_names: Vec<*const c_char> = session.outputs.iter().map(pointer).collect();
    let values: Vec<_> = lent.iter().map(Value::pointer).collect();
    let mut results = vec![ptr::null_mut(); output_names.len()];
    let options = if session.take_shrink_request() {
        Some(shrink_options(session.raw.device()).map_err(fault)?)
    } else {
        None
    };
    let _turn = session.wait_for_gpu_turn();
    // SAFETY: names and values are as many as their lengths say and live until the call returns;
    // `results` has a null for each output, which the library replaces by a value that is ours. The
    // session and the options live as long as the borrow. Null options mean the defaults.
    let status = unsafe {
        (ort::api().Run)(
            session.raw.pointer().cast_mut(),
            options.as_ref().map_or(ptr::null(), AsPointer::ptr),
            input_names.as_ptr(),
            values.as_ptr(),
            values.len(),
            output_names.as_ptr(),
            output_names.len(),
            results.as_mut_ptr(),
        )
    };
    // Take ownership of all outputs before anything can fail, so that none leaks.
    // SAFETY: each is null or a value that the call above made for us.
    let results: Vec<Option<Value<'_>>> =
        results.into_iter().map(|result| unsafe { Value::from_raw(result) }).collect();
    check_with_code(status).map_err(|error| {
        let failed = explain::failed_run(error.code(), error.message());
        if explain::is_general(error.code()) {
            inputs::explain_failure(signature, given, failed)
        } else {
            failed
        }
    })?;
    signature
        .outputs
        .iter()
        .zip(results)
        .map(|(spec, value)| {
            let value =
                value.ok_or_else(|| fault(format!("the output `{}` is empty", spec.name)))?;
            Ok(NamedTensor { name: spec.name.clone(), tensor: value.tensor().map_err(fault)? })
        })
        .collect()
}

/// Returns the options of a run that frees the unused parts of the arenas when it ends: of the
/// CPU's, and of that on the session's GPU.
fn shrink_options(device: Option<Device>) -> Result<RunOptions, String> {
    let arenas =
        device.map_or_else(|| "cpu:0".to_owned(), |device| format!("cpu:0;gpu:{}", device.ordinal));
    let mut options = RunOptions::new().map_err(|error| error.to_string())?;
    options
        .set("memory.enable_memory_arena_shrinkage", arenas)
        .map_err(|error| error.to_string())?;
    Ok(options)
}

fn pointer(name: &CString) -> *const c_char {
    name.as_ptr()
}
