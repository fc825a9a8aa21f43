//! The configuration of a model, with the field numbers of the public `model_config.proto`.

/// The answer to `ModelConfig`.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct ModelConfigResponse {
    #[prost(message, optional, tag = "1")]
    pub config: Option<ModelConfig>,
}

/// The configuration of a model.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct ModelConfig {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub platform: String,
    #[prost(int32, tag = "4")]
    pub max_batch_size: i32,
    #[prost(message, repeated, tag = "5")]
    pub input: Vec<ModelInput>,
    #[prost(message, repeated, tag = "6")]
    pub output: Vec<ModelOutput>,
    #[prost(message, repeated, tag = "7")]
    pub instance_group: Vec<ModelInstanceGroup>,
    #[prost(string, tag = "17")]
    pub backend: String,
}

/// An input. An open dimension is -1.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct ModelInput {
    #[prost(string, tag = "1")]
    pub name: String,
    /// A number of the enumeration `DataType`.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(int64, repeated, tag = "4")]
    pub dims: Vec<i64>,
}

/// An output. An open dimension is -1.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct ModelOutput {
    #[prost(string, tag = "1")]
    pub name: String,
    /// A number of the enumeration `DataType`.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(int64, repeated, tag = "3")]
    pub dims: Vec<i64>,
}

/// The instances of a model.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct ModelInstanceGroup {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int32, tag = "2")]
    pub count: i32,
    /// A number of the enumeration `Kind`: 1 for a GPU, 2 for the CPU.
    #[prost(int32, tag = "4")]
    pub kind: i32,
}
