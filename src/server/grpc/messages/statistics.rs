//! The statistics of models.

/// The answer to `ModelStatistics`.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct ModelStatisticsResponse {
    #[prost(message, repeated, tag = "1")]
    pub model_stats: Vec<ModelStatistics>,
}

/// The statistics of one model since its start.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct ModelStatistics {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
    /// The end of the last request in ms since 1970; 0 before the first.
    #[prost(uint64, tag = "3")]
    pub last_inference: u64,
    #[prost(uint64, tag = "4")]
    pub inference_count: u64,
    #[prost(uint64, tag = "5")]
    pub execution_count: u64,
    #[prost(message, optional, tag = "6")]
    pub inference_stats: Option<InferStatistics>,
    #[prost(message, repeated, tag = "7")]
    pub batch_stats: Vec<InferBatchStatistics>,
}

/// A number of requests and the sum of their durations.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct StatisticDuration {
    #[prost(uint64, tag = "1")]
    pub count: u64,
    /// The sum in nanoseconds.
    #[prost(uint64, tag = "2")]
    pub ns: u64,
}

/// The durations of a model's requests.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct InferStatistics {
    #[prost(message, optional, tag = "1")]
    pub success: Option<StatisticDuration>,
    #[prost(message, optional, tag = "2")]
    pub fail: Option<StatisticDuration>,
    #[prost(message, optional, tag = "3")]
    pub queue: Option<StatisticDuration>,
    #[prost(message, optional, tag = "4")]
    pub compute_input: Option<StatisticDuration>,
    #[prost(message, optional, tag = "5")]
    pub compute_infer: Option<StatisticDuration>,
    #[prost(message, optional, tag = "6")]
    pub compute_output: Option<StatisticDuration>,
    #[prost(message, optional, tag = "7")]
    pub cache_hit: Option<StatisticDuration>,
    #[prost(message, optional, tag = "8")]
    pub cache_miss: Option<StatisticDuration>,
}

/// The durations of the runs with one batch size.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(in crate::server::grpc) struct InferBatchStatistics {
    #[prost(uint64, tag = "1")]
    pub batch_size: u64,
    #[prost(message, optional, tag = "2")]
    pub compute_input: Option<StatisticDuration>,
    #[prost(message, optional, tag = "3")]
    pub compute_infer: Option<StatisticDuration>,
    #[prost(message, optional, tag = "4")]
    pub compute_output: Option<StatisticDuration>,
}
