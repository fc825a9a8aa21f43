//! Pages written after the documentation of the programs; the figures are made up.
//!
//! Sources: Triton, `docs/user_guide/metrics.md`; vLLM, `docs/design/metrics.md`; Ray Serve, "Monitor Your
//! Application" and "Collecting and monitoring metrics"; `TorchServe`, `docs/metrics_api.md`; `KServe`,
//! `python/kserve/kserve/metrics.py` with the form of Python's `prometheus_client`.

/// Triton with its default settings; 10 requests of 2.5 ms and one failure per page.
pub(in crate::process) fn triton_counters(number: u64) -> String {
    let (done, time) = (100 + number * 10, 7_000 + number * 25_000);
    format!(
        "# HELP nv_inference_request_success Number of successful inference requests, all batch sizes\n\
         # TYPE nv_inference_request_success counter\n\
         nv_inference_request_success{{model=\"a\",version=\"1\"}} {done}\n\
         nv_inference_request_success{{model=\"b\",version=\"1\"}} 5\n\
         # TYPE nv_inference_request_failure counter\n\
         nv_inference_request_failure{{model=\"a\",reason=\"OTHER\",version=\"1\"}} {number}\n\
         # TYPE nv_inference_request_duration_us counter\n\
         nv_inference_request_duration_us{{model=\"a\",version=\"1\"}} {time}\n\
         nv_inference_request_duration_us{{model=\"b\",version=\"1\"}} 500\n\
         # TYPE nv_inference_queue_duration_us counter\n\
         nv_inference_queue_duration_us{{model=\"a\",version=\"1\"}} 11110\n\
         # TYPE nv_cpu_utilization gauge\n\
         nv_cpu_utilization 0.25\n"
    )
}

/// Triton with `summary_latencies=true`; two models, one without requests.
pub(in crate::process) fn triton_summaries(number: u64) -> String {
    let name = "nv_inference_request_summary_us";
    let summary = |model: &str, values: [&str; 3], count: u64| {
        let [half, slo, tail] = values;
        format!(
            "{name}_count{{model=\"{model}\",version=\"1\"}} {count}\n\
             {name}_sum{{model=\"{model}\",version=\"1\"}} {}\n\
             {name}{{model=\"{model}\",version=\"1\",quantile=\"0.5\"}} {half}\n\
             {name}{{model=\"{model}\",version=\"1\",quantile=\"0.95\"}} {slo}\n\
             {name}{{model=\"{model}\",version=\"1\",quantile=\"0.99\"}} {tail}\n",
            count * 1000
        )
    };
    let count = 50 + number * 7;
    triton_counters(number)
        + &format!("# TYPE {name} summary\n")
        + &summary("a", ["900", "3000", "4200"], count)
        + &summary("b", ["100", "200", "300"], 5)
        + &summary("c", ["Nan", "Nan", "Nan"], 0)
}

/// vLLM; 10 requests of 0.6 s per page.
pub(in crate::process) fn vllm(number: u64) -> String {
    let count = 201 + number * 10;
    let label = "engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\"";
    let name = "vllm:e2e_request_latency_seconds";
    format!(
        "# HELP vllm:request_success_total Count of successfully processed requests.\n\
         # TYPE vllm:request_success_total counter\n\
         vllm:request_success_total{{{label},finished_reason=\"stop\"}} {count}.0\n\
         vllm:request_success_total{{{label},finished_reason=\"length\"}} 0.0\n\
         # TYPE {name} histogram\n\
         {name}_bucket{{{label},le=\"0.3\"}} 0.0\n\
         {name}_bucket{{{label},le=\"0.5\"}} 1.0\n\
         {name}_bucket{{{label},le=\"0.8\"}} {count}.0\n\
         {name}_bucket{{{label},le=\"+Inf\"}} {count}.0\n\
         {name}_count{{{label}}} {count}.0\n\
         {name}_sum{{{label}}} {}\n\
         # TYPE vllm:num_requests_running gauge\n\
         vllm:num_requests_running{{{label}}} 8.0\n",
        120.6 + 6.0 * number as f64
    )
}

/// vLLM before its first request.
pub(in crate::process) const VLLM_IDLE: &str = "# HELP vllm:e2e_request_latency_seconds Histogram of e2e latency.\n\
     # TYPE vllm:e2e_request_latency_seconds histogram\n";

/// A node of Ray with an application of two deployments; 5 requests of 40 ms per page.
pub(in crate::process) fn ray_serve(number: u64) -> String {
    let histogram = |name: &str, label: &str, ms: u64| {
        let count = 3 + number * 5;
        format!(
            "# TYPE {name} histogram\n\
             {name}_bucket{{{label},le=\"10.0\"}} 0.0\n\
             {name}_bucket{{{label},le=\"50.0\"}} {count}.0\n\
             {name}_bucket{{{label},le=\"+Inf\"}} {count}.0\n\
             {name}_count{{{label}}} {count}.0\n\
             {name}_sum{{{label}}} {}.0\n",
            count * ms
        )
    };
    let deployment = "ray_serve_deployment_processing_latency_ms";
    histogram(deployment, "deployment=\"A\",route=\"/\"", 15)
        + &histogram(deployment, "deployment=\"B\",route=\"/\"", 20)
        + &histogram("ray_serve_http_request_latency_ms", "route=\"/\"", 40)
        + "# TYPE ray_serve_num_http_error_requests_total counter\n\
           ray_serve_num_http_error_requests_total{error_code=\"500\",route=\"/\"} 2.0\n\
           # TYPE ray_node_cpu_utilization gauge\nray_node_cpu_utilization{ip=\"127.0.0.1\"} 3.1\n"
}

/// `TorchServe`; 3 requests of 96.79 ms per page. Labels end with a comma there.
pub(in crate::process) fn torchserve(number: u64) -> String {
    let label = "model_name=\"resnet18\",model_version=\"default\",hostname=\"88665a372f4b\",";
    let (count, us) = (3 + number * 3, (3 + number * 3) * 96_790);
    format!(
        "# TYPE Requests4XX counter\n\
         Requests4XX{{Level=\"Host\",Hostname=\"88665a372f4b\",}} 2.0\n\
         # TYPE PredictionTime gauge\n\
         PredictionTime{{ModelName=\"resnet18\",Level=\"Model\",}} 83.13\n\
         # TYPE ts_inference_requests_total counter\n\
         ts_inference_requests_total{{{label}}} {count}.0\n\
         # TYPE ts_inference_latency_microseconds counter\n\
         ts_inference_latency_microseconds{{{label}}} {us}.0\n"
    )
}

/// `KServe`; 10 requests of 5 to 10 ms per page.
pub(in crate::process) fn kserve(number: u64) -> String {
    let count = 10 + number * 10;
    let label = "model_name=\"sklearn-iris\"";
    format!(
        "# TYPE request_preprocess_seconds histogram\n\
         request_preprocess_seconds_bucket{{le=\"+Inf\",{label}}} {count}.0\n\
         # TYPE request_predict_seconds histogram\n\
         request_predict_seconds_bucket{{le=\"0.005\",{label}}} 0.0\n\
         request_predict_seconds_bucket{{le=\"0.01\",{label}}} {count}.0\n\
         request_predict_seconds_bucket{{le=\"+Inf\",{label}}} {count}.0\n\
         request_predict_seconds_count{{{label}}} {count}.0\n\
         request_predict_seconds_sum{{{label}}} 0.07\n\
         # TYPE request_predict_seconds_created gauge\n\
         request_predict_seconds_created{{{label}}} 1.7e+09\n"
    )
}

/// A program of one's own.
pub(in crate::process) const CUSTOM: &str = "# TYPE inference_ms histogram\n\
     inference_ms_bucket{le=\"5\"} 1\n\
     inference_ms_bucket{le=\"+Inf\"} 2\n\
     inference_ms_sum 11\n\
     inference_ms_count 2\n\
     # TYPE queue_seconds summary\n\
     queue_seconds_sum 1\n\
     queue_seconds_count 2\n\
     # TYPE python_info gauge\n\
     python_info{version=\"3.11\"} 1\n";
