//! The messages of `inference.GRPCInferenceService`, with the field numbers of the public
//! `grpc_service.proto`. Fields that are not listed are skipped when reading.

mod config;
mod statistics;
mod tensor;

pub(super) use config::{
    ModelConfig, ModelConfigResponse, ModelInput, ModelInstanceGroup, ModelOutput,
};
pub(super) use statistics::{
    InferBatchStatistics, InferStatistics, ModelStatistics, ModelStatisticsResponse,
    StatisticDuration,
};
pub(super) use tensor::{
    InferInputTensor, InferOutputTensor, InferParameter, InferRequestedOutputTensor,
    InferTensorContents, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse,
    ParameterChoice,
};

/// A request without fields, and a request of which no field is read.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Empty {}

/// A model by name and version. `ModelReady`, `ModelMetadata`, `ModelConfig` and `ModelStatistics` use it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelName {
    #[prost(string, tag = "1")]
    pub name: String,
    /// Empty for the version that is served.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// An answer of yes or no: `live` of `ServerLive`, `ready` of `ServerReady` and `ModelReady`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Flag {
    #[prost(bool, tag = "1")]
    pub value: bool,
}

/// The answer to `ServerMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ServerMetadataResponse {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(string, repeated, tag = "3")]
    pub extensions: Vec<String>,
}

/// The answer to `ModelMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelMetadataResponse {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "2")]
    pub versions: Vec<String>,
    #[prost(string, tag = "3")]
    pub platform: String,
    #[prost(message, repeated, tag = "4")]
    pub inputs: Vec<TensorMetadata>,
    #[prost(message, repeated, tag = "5")]
    pub outputs: Vec<TensorMetadata>,
}

/// An input or output of a model. An open dimension is -1.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorMetadata {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub shape: Vec<i64>,
}

/// A request for the list of models.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RepositoryIndexRequest {
    #[prost(string, tag = "1")]
    pub repository_name: String,
    /// Lists only models that are ready.
    #[prost(bool, tag = "2")]
    pub ready: bool,
}

/// The list of models.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RepositoryIndexResponse {
    #[prost(message, repeated, tag = "1")]
    pub models: Vec<ModelIndex>,
}

/// A model of the list.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelIndex {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(string, tag = "3")]
    pub state: String,
    /// The reason why it is not ready; empty if it is.
    #[prost(string, tag = "4")]
    pub reason: String,
}
