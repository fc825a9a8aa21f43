//! Time of a scrape of `/metrics` with many models: from the request to the whole answer, without a network.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde::Serialize;
use tower::ServiceExt;

use super::BenchArgs;
use super::by_name::NoopLoader;
use super::pools::TIMEOUT;
use super::report::{Setting, Table, print, quantile};
use crate::command::CommandError;
use crate::layout::{Auto, Budget, CoreRequest, Layout, ModelSource};
use crate::machine::{CpuSet, this_machine};
use crate::scheduler::{Options, Scheduler};
use crate::server::router;

/// The number of models.
const MODELS: usize = 64;

/// Requests to each model before the scrapes, so that the histograms have counts.
const REQUESTS: usize = 100;

/// Upper limit of the p99, in milliseconds.
const TARGET_MS: f64 = 2.0;

/// The report.
#[derive(Debug, Serialize)]
struct MetricsReport {
    #[serde(flatten)]
    setting: Setting,
    models: usize,
    /// The size of one answer in bytes.
    bytes: usize,
    scrapes: usize,
    median_ms: f64,
    p99_ms: f64,
    worst_ms: f64,
    target_ms: f64,
}

impl fmt::Display for MetricsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (models, bytes) = (self.models, self.bytes);
        writeln!(f, "{}, {models} models, {bytes} bytes", self.setting.title())?;
        let mut table = Table::new(&["", "scrapes", "p50 ms", "p99 ms", "worst ms", "target"]);
        table.row(vec![
            "/metrics".to_owned(),
            self.scrapes.to_string(),
            format!("{:.2}", self.median_ms),
            format!("{:.2}", self.p99_ms),
            format!("{:.2}", self.worst_ms),
            format!("< {TARGET_MS}"),
        ]);
        write!(f, "{table}")
    }
}

/// Measures scrapes.
///
/// # Errors
/// [`CommandError::Failed`] if the models do not start or a scrape fails.
pub(super) fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let machine = this_machine(None)?;
    let description = machine.describe();
    let models = (0..MODELS).map(|number| budget(number, description.limits.allowed)).collect();
    let layout = Layout { description: "bench metrics".to_owned(), models };
    let scheduler = Scheduler::start(&layout, Options::new(machine, Arc::new(NoopLoader)))
        .map_err(|refusal| CommandError::Failed(refusal.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let routes = router(&scheduler);
    let (times, bytes) = runtime.block_on(async {
        run_requests(&scheduler).await?;
        // the first one fills caches
        scrape(&routes).await?;
        let (mut times, mut bytes) = (Vec::new(), 0);
        let end = Instant::now() + Duration::from_secs_f64(args.seconds);
        while Instant::now() < end {
            let start = Instant::now();
            bytes = scrape(&routes).await?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        Ok::<_, CommandError>((times, bytes))
    })?;
    scheduler.stop(TIMEOUT);
    let report = MetricsReport {
        setting: Setting::new("metrics", args, &description, "no-op".to_owned()),
        models: MODELS,
        bytes,
        scrapes: times.len(),
        median_ms: quantile(&times, 0.5),
        p99_ms: quantile(&times, 0.99),
        worst_ms: quantile(&times, 1.0),
        target_ms: TARGET_MS,
    };
    print(args, &report)
}

fn budget(number: usize, cores: CpuSet) -> Budget {
    let source = ModelSource::Embedded("noop.onnx".to_owned());
    Budget {
        cores: CoreRequest::List(cores),
        concurrency: Auto::Exactly(1),
        threads: Auto::Exactly(1),
        ..Budget::new(format!("model-{number}"), source)
    }
}

/// Runs requests of all models once each serves.
async fn run_requests(scheduler: &Scheduler) -> Result<(), CommandError> {
    let end = Instant::now() + TIMEOUT;
    let clients = scheduler.models().all();
    for (name, client) in &*clients {
        while client.seats().serving == 0 {
            if Instant::now() > end {
                return Err(CommandError::Failed(format!("{name} is not ready after a minute")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..REQUESTS {
            drop(client.submit(Arc::default()).await);
        }
    }
    Ok(())
}

/// Scrapes once and returns the size of the answer.
async fn scrape(routes: &Router) -> Result<usize, CommandError> {
    let failed = |reason: String| CommandError::Failed(format!("/metrics: {reason}"));
    let request =
        Request::get("/metrics").body(Body::empty()).map_err(|error| failed(error.to_string()))?;
    let Ok(answer) = routes.clone().oneshot(request).await;
    if !answer.status().is_success() {
        return Err(failed(answer.status().to_string()));
    }
    let body = to_bytes(answer.into_body(), usize::MAX).await;
    Ok(body.map_err(|error| failed(error.to_string()))?.len())
}
