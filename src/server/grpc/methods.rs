//! The methods that need no model to run.

use super::messages::{
    Flag, InferBatchStatistics, InferStatistics, ModelConfig, ModelConfigResponse, ModelIndex,
    ModelInput, ModelInstanceGroup, ModelMetadataResponse, ModelName, ModelOutput, ModelStatistics,
    ModelStatisticsResponse, RepositoryIndexRequest, RepositoryIndexResponse,
    ServerMetadataResponse, StatisticDuration, TensorMetadata,
};
use crate::server::serve_error::{ErrorKind, ServeError};
use crate::server::state::ServerState;
use crate::server::{config, metadata, statistics};

pub(super) fn server_live() -> Flag {
    Flag { value: true }
}

pub(super) fn server_ready(state: &ServerState) -> Flag {
    Flag { value: state.is_ready() }
}

/// A model that does not exist is not ready; that is no error, as in Triton.
pub(super) fn model_ready(state: &ServerState, model: &ModelName) -> Flag {
    let exists = state.find(&model.name, Some(&model.version)).is_ok();
    Flag { value: exists && state.is_model_ready(&model.name) }
}

pub(super) fn server_metadata(state: &ServerState) -> ServerMetadataResponse {
    let metadata = state.metadata();
    ServerMetadataResponse {
        name: metadata.name.to_owned(),
        version: metadata.version.to_owned(),
        extensions: metadata.extensions.iter().map(|name| (*name).to_owned()).collect(),
    }
}

pub(super) fn model_metadata(
    state: &ServerState,
    model: &ModelName,
) -> Result<ModelMetadataResponse, ServeError> {
    let metadata = state.model_metadata(&model.name, Some(&model.version))?;
    let tensor = |tensor: metadata::TensorMetadata| TensorMetadata {
        name: tensor.name,
        datatype: tensor.datatype.to_owned(),
        shape: tensor.shape,
    };
    Ok(ModelMetadataResponse {
        name: metadata.name,
        versions: metadata.versions,
        platform: metadata.platform.to_owned(),
        inputs: metadata.inputs.into_iter().map(tensor).collect(),
        outputs: metadata.outputs.into_iter().map(tensor).collect(),
    })
}

pub(super) fn model_config(
    state: &ServerState,
    model: &ModelName,
) -> Result<ModelConfigResponse, ServeError> {
    let config = state.model_config(&model.name, Some(&model.version))?;
    let input = |tensor: config::TensorConfig| ModelInput {
        name: tensor.name,
        data_type: tensor.data_type_number,
        dims: tensor.dims,
    };
    let output = |tensor: config::TensorConfig| ModelOutput {
        name: tensor.name,
        data_type: tensor.data_type_number,
        dims: tensor.dims,
    };
    let group = |group: config::InstanceGroup| ModelInstanceGroup {
        name: group.name,
        count: group.count,
        kind: if group.kind == "KIND_GPU" { 1 } else { 2 },
    };
    Ok(ModelConfigResponse {
        config: Some(ModelConfig {
            name: config.name,
            platform: config.platform.to_owned(),
            max_batch_size: config.max_batch_size,
            input: config.input.into_iter().map(input).collect(),
            output: config.output.into_iter().map(output).collect(),
            instance_group: config.instance_group.into_iter().map(group).collect(),
            backend: config.backend.to_owned(),
        }),
    })
}

pub(super) fn repository_index(
    state: &ServerState,
    request: &RepositoryIndexRequest,
) -> RepositoryIndexResponse {
    let entry = |entry: metadata::IndexEntry| ModelIndex {
        name: entry.name,
        version: entry.version,
        state: entry.state.to_owned(),
        reason: entry.reason,
    };
    let models = state.repository_index(request.ready);
    RepositoryIndexResponse { models: models.into_iter().map(entry).collect() }
}

/// Returns the statistics of a model; of all if no model is named.
///
/// # Errors
/// If there is no model of this name or version.
pub(super) fn model_statistics(
    state: &ServerState,
    model: &ModelName,
) -> Result<ModelStatisticsResponse, ServeError> {
    let statistics = if model.name.is_empty() {
        state.statistics(None)
    } else {
        state.find(&model.name, Some(&model.version))?;
        state.statistics(Some(&model.name))
    };
    Ok(ModelStatisticsResponse { model_stats: statistics.into_iter().map(write_model).collect() })
}

fn write_model(model: statistics::ModelStatistics) -> ModelStatistics {
    let sum = |sum: statistics::StatisticDuration| {
        Some(StatisticDuration { count: sum.count, ns: sum.ns })
    };
    let batch = |batch: statistics::BatchStatistics| InferBatchStatistics {
        batch_size: batch.batch_size,
        compute_input: sum(batch.compute_input),
        compute_infer: sum(batch.compute_infer),
        compute_output: sum(batch.compute_output),
    };
    let stages = model.inference_stats;
    ModelStatistics {
        name: model.name,
        version: model.version,
        last_inference: model.last_inference,
        inference_count: model.inference_count,
        execution_count: model.execution_count,
        inference_stats: Some(InferStatistics {
            success: sum(stages.success),
            fail: sum(stages.fail),
            queue: sum(stages.queue),
            compute_input: sum(stages.compute_input),
            compute_infer: sum(stages.compute_infer),
            compute_output: sum(stages.compute_output),
            cache_hit: sum(stages.cache_hit),
            cache_miss: sum(stages.cache_miss),
        }),
        batch_stats: model.batch_stats.into_iter().map(batch).collect(),
    }
}

/// Returns the error of a method that the protocol has and the server does not offer, or of one that does not
/// exist.
pub(super) fn not_implemented(method: &str) -> ServeError {
    let reason = match method {
        "RepositoryModelLoad" | "RepositoryModelUnload" => {
            "clients cannot load or unload models; the operator adds and removes them"
        }
        "SystemSharedMemoryStatus"
        | "SystemSharedMemoryRegister"
        | "SystemSharedMemoryUnregister"
        | "CudaSharedMemoryStatus"
        | "CudaSharedMemoryRegister"
        | "CudaSharedMemoryUnregister" => {
            "shared memory is not supported; send tensors in the request"
        }
        "TraceSetting" => "clients cannot change trace settings",
        "LogSettings" => "clients cannot change log settings",
        _ => "there is no such method in inference.GRPCInferenceService",
    };
    ServeError::new(ErrorKind::NotImplemented, format!("{method}: {reason}"))
}
