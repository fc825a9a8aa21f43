//! Runs one request through the library. On the CPU, many threads may do this on one session at
//! once: the C API documents `Run` as safe for that.
#![allow(unsafe_code)]

use std::ptr;

use ort::AsPointer;
use ort::session::RunOptions;

use super::explain;
use super::library::NAME;
use super::run_buffers::{RunBuffers, ValueList};
use super::session::OrtSession;
use super::value::check_with_code;
use crate::engine::accounts::ModelAccounts;
use crate::engine::{Device, EngineError, NamedTensor, inputs};

/// The caller of runs: its buffers, and the accounts that it charges.
pub(super) struct Runner {
    pub(super) accounts: ModelAccounts,
    buffers: RunBuffers,
}

impl Runner {
    /// Returns a caller with empty buffers.
    pub(super) fn new(accounts: ModelAccounts) -> Self {
        Self { accounts, buffers: RunBuffers::default() }
    }

    /// Runs one request to its end on the calling thread and the session's helpers. The outputs are
    /// copied once, and charged to the account of outputs.
    pub(super) fn run(
        &mut self,
        session: &OrtSession,
        given: &[NamedTensor],
    ) -> Result<Vec<NamedTensor>, EngineError> {
        let _entered = self.accounts.model.enter();
        let fault =
            |reason: String| EngineError::Run { engine: NAME, reason: explain::run(&reason) };
        let signature = &session.file.signature;
        let RunBuffers { lent, results, shape } = &mut self.buffers;
        let mut lent = ValueList::new(lent);
        for (spec, tensor) in inputs::arrange(signature, given)? {
            lent.lend(&session.library, tensor, shape).map_err(|reason| EngineError::Input {
                input: spec.name.clone(),
                reason: reason.into(),
            })?;
        }
        let (input_names, output_names) = (session.inputs.pointers(), session.outputs.pointers());
        let mut results = ValueList::nulls(results, output_names.len());
        let options = if session.take_shrink_request() {
            Some(shrink_options(session.raw.device()).map_err(fault)?)
        } else {
            None
        };
        let _turn = session.wait_for_gpu_turn();
        // SAFETY: names and values are as many as their lengths say and live until the call returns;
        // `results` has a null for each output, which the library replaces by a value that is ours,
        // also if it fails. The session and the options live as long as the borrow. Null options mean
        // the defaults.
        let status = unsafe {
            (ort::api().Run)(
                session.raw.pointer().cast_mut(),
                options.as_ref().map_or(ptr::null(), AsPointer::ptr),
                input_names.as_ptr(),
                lent.pointers().as_ptr().cast(),
                lent.pointers().len(),
                output_names.as_ptr(),
                output_names.len(),
                results.pointers_mut().as_mut_ptr(),
            )
        };
        check_with_code(status).map_err(|error| {
            let failed = explain::failed_run(error.code(), error.message());
            if explain::is_general(error.code()) {
                inputs::explain_failure(signature, given, failed)
            } else {
                failed
            }
        })?;
        let _copies = self.accounts.outputs.enter();
        let mut tensors = Vec::with_capacity(output_names.len());
        for (spec, value) in signature.outputs.iter().zip(results.values()) {
            let value =
                value.ok_or_else(|| fault(format!("the output `{}` is empty", spec.name)))?;
            let tensor = value.tensor().map_err(fault)?;
            tensors.push(NamedTensor { name: spec.name.clone(), tensor });
        }
        Ok(tensors)
    }
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
