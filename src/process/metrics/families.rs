//! The metrics that divvy reads: those of known programs, or the one that the URL names.
//!
//! Sources of the names: Triton, `docs/user_guide/metrics.md`; vLLM, `docs/usage/metrics.md`; Ray Serve,
//! "Monitor Your Application" (Ray adds the prefix `ray_`); `TorchServe`, `docs/metrics_api.md`; `KServe`,
//! `python/kserve/kserve/metrics.py`.

use std::collections::HashMap;

/// Microseconds per second, the unit of Prometheus.
const SECOND: f64 = 1e6;

/// Microseconds per millisecond.
const MILLISECOND: f64 = 1e3;

/// The metrics of one program.
#[derive(Clone, Debug)]
pub(super) struct Family {
    /// The program.
    pub(super) program: String,
    /// The unit of its latencies, in microseconds.
    pub(super) unit_us: f64,
    /// The remedy if it reports no distribution.
    pub(super) hint: &'static str,
}

/// The meaning of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Completed requests.
    Requests,
    /// Failed requests.
    Failed,
    /// Time of all requests, where no histogram or summary has it.
    Time,
    /// Time of all requests of the histogram or summary.
    Sum,
    /// Requests of the histogram or summary.
    Count,
    /// Requests up to a bound.
    Bucket,
    /// A quantile of a summary, or the time of all requests if it has no label for that.
    Latency,
}

/// A known family, by its place in [`Families::list`], and the meaning of a value in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) family: usize,
    pub(super) role: Role,
}

/// The families that are read, the preferred first.
pub(super) struct Families {
    pub(super) list: Vec<Family>,
    names: HashMap<String, Meaning>,
    /// The name in the URL.
    pub(super) named: Option<String>,
}

/// The names of one known program.
struct KnownProgram {
    program: &'static str,
    unit_us: f64,
    hint: &'static str,
    latency: &'static str,
    time: &'static str,
    requests: &'static str,
    failed: &'static [&'static str],
}

const NO_DISTRIBUTION: &str = "the program reports no distribution";

/// The known programs. Of those on one page, the first counts: an HTTP proxy sees whole requests, a
/// deployment behind it only its part.
const KNOWN: [KnownProgram; 6] = [
    KnownProgram {
        program: "Triton",
        unit_us: 1.0,
        hint: "start Triton with --metrics-config summary_latencies=true",
        latency: "nv_inference_request_summary_us",
        time: "nv_inference_request_duration_us",
        requests: "nv_inference_request_success",
        failed: &["nv_inference_request_failure"],
    },
    KnownProgram {
        program: "vLLM",
        unit_us: SECOND,
        hint: NO_DISTRIBUTION,
        latency: "vllm:e2e_request_latency_seconds",
        time: "",
        requests: "vllm:request_success",
        failed: &[],
    },
    KnownProgram {
        program: "Ray Serve, HTTP",
        unit_us: MILLISECOND,
        hint: NO_DISTRIBUTION,
        latency: "serve_http_request_latency_ms",
        time: "",
        requests: "",
        failed: &["serve_num_http_error_requests"],
    },
    KnownProgram {
        program: "Ray Serve, deployments",
        unit_us: MILLISECOND,
        hint: NO_DISTRIBUTION,
        latency: "serve_deployment_processing_latency_ms",
        time: "",
        requests: "",
        failed: &["serve_deployment_error_counter"],
    },
    KnownProgram {
        program: "TorchServe",
        unit_us: 1.0,
        hint: NO_DISTRIBUTION,
        latency: "",
        time: "ts_inference_latency_microseconds",
        requests: "ts_inference_requests_total",
        failed: &["Requests4XX", "Requests5XX"],
    },
    KnownProgram {
        program: "KServe",
        unit_us: SECOND,
        hint: NO_DISTRIBUTION,
        latency: "request_predict_seconds",
        time: "",
        requests: "",
        failed: &[],
    },
];

impl Families {
    /// Returns the known families, or the one that a URL names.
    pub(super) fn new(named: Option<&str>) -> Self {
        let mut families =
            Self { list: Vec::new(), names: HashMap::new(), named: named.map(str::to_owned) };
        if let Some(name) = named {
            // the name may be that of a part
            let parts = ["_bucket", "_sum", "_count", "_total"];
            let name = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
            families.add_latency(name);
            families.list.push(Family {
                program: name.to_owned(),
                unit_us: unit_us(name),
                hint: NO_DISTRIBUTION,
            });
            return families;
        }
        for known in &KNOWN {
            families.add_latency(known.latency);
            families.add_counter(known.time, Role::Time);
            families.add_counter(known.requests, Role::Requests);
            for failed in known.failed {
                families.add_counter(failed, Role::Failed);
            }
            families.list.push(Family {
                program: known.program.to_owned(),
                unit_us: known.unit_us,
                hint: known.hint,
            });
        }
        families
    }

    /// Returns the meaning of a sample's name; `None` if it is not read.
    pub(super) fn meaning(&self, name: &str) -> Option<Meaning> {
        let without_ray = || self.names.get(name.strip_prefix("ray_")?);
        self.names.get(name).or_else(without_ray).copied()
    }

    fn add(&mut self, name: String, role: Role) {
        self.names.insert(name, Meaning { family: self.list.len(), role });
    }

    /// Adds the parts of a histogram or a summary.
    fn add_latency(&mut self, name: &str) {
        if name.is_empty() {
            return;
        }
        for (part, role) in [
            ("_bucket", Role::Bucket),
            ("_sum", Role::Sum),
            ("_count", Role::Count),
            ("", Role::Latency),
            ("_total", Role::Latency),
        ] {
            self.add(format!("{name}{part}"), role);
        }
    }

    /// Adds a counter. `OpenMetrics` adds `_total` to its name.
    fn add_counter(&mut self, name: &str, role: Role) {
        if name.is_empty() {
            return;
        }
        self.add(name.to_owned(), role);
        self.add(format!("{name}_total"), role);
    }
}

/// Returns the unit that a name ends with; seconds, as Prometheus advises, if it has none.
fn unit_us(name: &str) -> f64 {
    let is_in = |units: &[&str]| units.iter().any(|unit| name.ends_with(unit));
    if is_in(&["_us", "_usec", "_microseconds", "_micros"]) {
        1.0
    } else if is_in(&["_ms", "_msec", "_milliseconds", "_millis"]) {
        MILLISECOND
    } else if is_in(&["_ns", "_nsec", "_nanoseconds", "_nanos"]) {
        1e-3
    } else {
        SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_tells_the_unit() {
        let units = [("a_seconds", 1e6), ("a", 1e6), ("a_ms", 1e3), ("a_us", 1.0), ("a_ns", 1e-3)];
        for (name, unit) in units {
            assert_eq!((name, unit_us(name)), (name, unit));
        }
    }

    #[test]
    fn ray_prefix_is_optional() {
        let families = Families::new(None);
        let plain = families.meaning("serve_http_request_latency_ms_bucket");
        assert_eq!(plain, Some(Meaning { family: 2, role: Role::Bucket }));
        assert_eq!(families.meaning("ray_serve_http_request_latency_ms_bucket"), plain);
        assert_eq!(families.meaning("ray_node_cpu_utilization"), None);
    }

    #[test]
    fn named_part_means_its_family() {
        let families = Families::new(Some("x_seconds_bucket"));
        assert_eq!(families.meaning("x_seconds_sum").map(|it| it.role), Some(Role::Sum));
        assert_eq!(families.meaning("nv_inference_request_success"), None);
        assert_eq!(families.list[0].program, "x_seconds");
    }
}
