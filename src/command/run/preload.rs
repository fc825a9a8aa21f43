//! Loads all models before the scheduler starts, so that a run of which no model can serve ends with
//! exit code 2 before anything is started.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::command::CommandError;
use crate::engine::{EngineError, NamedTensor};
use crate::layout::{Budget, DesiredState, Layout, possible_sharers};
use crate::machine::{Description, ThreadId, panic_message};
use crate::pool::BUILDS_AT_ONCE;
use crate::scheduler::{LoadRequest, LoadedModel, Loader};
use crate::telemetry::name_list;

/// Loading time before progress is printed.
const PROGRESS_DELAY: Duration = Duration::from_millis(400);

/// The models that must load for a run to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequiredModels {
    /// Every model.
    All,
    /// At least one; the others fail alone.
    Any,
}

/// A loader that hands out the result of each preloaded model once, and loads all others.
pub(super) struct PreloadedModels<L> {
    loader: L,
    tried: Mutex<HashMap<String, TriedModel>>,
}

/// The result of preloading one model.
struct TriedModel {
    /// The row that it was loaded for.
    budget: Budget,
    /// The model, or the reason why it cannot serve.
    result: Result<LoadedModel, String>,
}

impl<L: Loader> Loader for PreloadedModels<L> {
    fn load(&self, request: &LoadRequest) -> Result<LoadedModel, EngineError> {
        let budget = &request.budget;
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner).remove(&budget.name);
        match tried {
            Some(tried) if same_model(&tried.budget, budget) => {
                tried.result.map_err(|reason| EngineError::Unavailable { reason })
            }
            _ => self.loader.load(request),
        }
    }

    fn threads(&self) -> Vec<ThreadId> {
        self.loader.threads()
    }
}

fn same_model(a: &Budget, b: &Budget) -> bool {
    (&a.source, a.engine, &a.dims, &a.inputs, &a.load)
        == (&b.source, b.engine, &b.dims, &b.inputs, &b.load)
}

/// The models to load.
#[derive(Clone, Copy)]
pub(super) struct PreloadPlan<'a> {
    pub(super) layout: &'a Layout,
    pub(super) machine: &'a Description,
    pub(super) required: RequiredModels,
}

/// Loads all models of a layout, at most [`BUILDS_AT_ONCE`] at once, and runs one request on each. Prints
/// progress if that takes long, and the names of models that failed while the others run on.
///
/// # Errors
/// [`CommandError::BadInput`] with the faults of all models that fail to load or run, if a required
/// one is among them.
pub(super) fn preload<L: Loader>(
    plan: PreloadPlan<'_>,
    loader: L,
    progress: &mut dyn Write,
) -> Result<PreloadedModels<L>, CommandError> {
    let PreloadPlan { layout, machine, required } = plan;
    let mut tried = HashMap::new();
    let mut faults = Vec::new();
    let begun = Instant::now();
    let mut printed = false;
    let models = || layout.models.iter().filter(|row| !row.is_process());
    let untried = Mutex::new(models());
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        let (loader, untried) = (&loader, &untried);
        let next = move || untried.lock().unwrap_or_else(PoisonError::into_inner).next();
        for _ in 0..models().count().min(BUILDS_AT_ONCE) {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(budget) = next() {
                    let request = load_request(budget, layout, machine);
                    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        trial_run(loader, &request)
                    }));
                    let result = tried.unwrap_or_else(|panic| {
                        Err(format!("the engine panicked: {}", panic_message(&*panic)))
                    });
                    // the receiver outlives this scope
                    let _ = sender.send((budget, result));
                }
            });
        }
        drop(sender);
        let mut waiting: Vec<&str> = models().map(|budget| budget.name.as_str()).collect();
        while !waiting.is_empty() {
            let patience = PROGRESS_DELAY.saturating_sub(begun.elapsed());
            match results.recv_timeout(patience.max(Duration::from_millis(250))) {
                Ok((budget, result)) => {
                    waiting.retain(|name| *name != budget.name);
                    if let Err(reason) = &result {
                        faults.push((budget.name.as_str(), reason.clone()));
                    }
                    let budget = budget.clone();
                    tried.insert(budget.name.clone(), TriedModel { budget, result });
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    printed = true;
                    let done = models().count() - waiting.len();
                    // a closed stderr must not stop the load
                    let _ = writeln!(
                        progress,
                        "loading {} ({done} of {} models ready after {:.0} s)",
                        name_list(&waiting),
                        models().count(),
                        begun.elapsed().as_secs_f64(),
                    );
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    if printed && faults.is_empty() {
        let _ = writeln!(progress, "all {} models loaded", models().count());
    }
    if !faults.is_empty() {
        let (failed, all) = (faults.len(), models().count());
        let has_processes = all < layout.models.len();
        if required == RequiredModels::All || (failed == all && !has_processes) {
            return Err(CommandError::BadInput(describe(&layout.models, &faults)));
        }
        // The run itself shows the reasons. A closed stderr must not stop it.
        let names: Vec<&str> = faults.iter().map(|(name, _)| *name).collect();
        let _ = writeln!(
            progress,
            "divvy: {failed} of {all} models cannot be loaded ({}); the others run (--strict refuses \
             such a layout)",
            name_list(&names)
        );
    }
    Ok(PreloadedModels { loader, tried: Mutex::new(tried) })
}

/// Returns one line per reason with the models that it affects, in layout order.
fn describe(models: &[Budget], faults: &[(&str, String)]) -> String {
    let mut lines: Vec<(Vec<&str>, &str)> = Vec::new();
    for budget in models {
        let Some((name, reason)) = faults.iter().find(|(name, _)| *name == budget.name) else {
            continue;
        };
        match lines.iter_mut().find(|(_, known)| known == reason) {
            Some((names, _)) => names.push(name),
            None => lines.push((vec![name], reason)),
        }
    }
    let lines: Vec<String> =
        lines.iter().map(|(names, reason)| format!("{}: {reason}", name_list(names))).collect();
    lines.join("\ndivvy: ")
}

/// Loads a model and runs the first request of its built-in load: a model that cannot run its own inputs
/// is as bad as one that does not load. Without a load, the loader has tried the requests, and its callers
/// know the inputs if none runs.
fn trial_run(loader: &impl Loader, request: &LoadRequest) -> Result<LoadedModel, String> {
    let loaded = loader.load(request).map_err(|error| error.to_string())?;
    if request.budget.load.is_none() {
        return Ok(loaded);
    }
    let inputs = loaded.requests.inputs.first();
    let mut result = Ok(());
    loaded
        .model
        .with_trial_instance(&mut |instance| {
            if let Some(inputs) = inputs {
                result = instance.run(inputs).map(drop).map_err(|error| {
                    format!("its trial request failed: {error}{}", tried_shapes(&loaded, inputs))
                });
            }
        })
        .map_err(|error| error.to_string())?;
    result.map(|()| loaded)
}

/// Returns the request for a row. A layout that cannot be placed on this machine is reported later.
fn load_request(budget: &Budget, layout: &Layout, machine: &Description) -> LoadRequest {
    let all = DesiredState::resolve(layout, machine).ok();
    let row = all.as_ref().and_then(|all| Some((all, all.row(&budget.name)?)));
    match row {
        Some((all, row)) => LoadRequest::of_row(row, all, machine),
        None => LoadRequest {
            sharers: possible_sharers(&layout.models, budget),
            ..LoadRequest::alone(budget.clone())
        },
    }
}

/// Returns the shapes of a failed trial request, and how to set others; an empty text if the model
/// has no open dimension.
fn tried_shapes(loaded: &LoadedModel, inputs: &[NamedTensor]) -> String {
    let open = loaded.model.signature().open_dim_names();
    let Some(first) = open.first() else { return String::new() };
    let shapes: Vec<String> =
        inputs.iter().map(|input| format!("{} {:?}", input.name, input.tensor.shape())).collect();
    format!(
        "\n  tried with {}; if the model needs other sizes, set them in a layout, for example dims = {{ \
         \"{first}\" = 1 }} (open dimensions: {}), or set arrays with inputs.NAME = {{ npy = \
         \"file.npy\" }}",
        shapes.join(", "),
        name_list(&open),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::EngineKind;
    use crate::engine::synthetic::{Script, SyntheticModel};
    use crate::layout::ModelSource;
    use crate::scheduler::PreparedRequests;

    /// Counts the loads that run now, and the most so far.
    #[derive(Default)]
    struct CountingLoader {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Loader for CountingLoader {
        fn load(&self, _: &LoadRequest) -> Result<LoadedModel, EngineError> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(LoadedModel {
                model: Arc::new(SyntheticModel::new(Arc::new(Script::default()))),
                engine: EngineKind::Synthetic,
                title: String::new(),
                requests: PreparedRequests::default(),
            })
        }
    }

    #[test]
    fn loads_a_few_models_at_once() {
        let budget = |at| Budget::new(format!("m{at}"), ModelSource::File("/m.onnx".into()));
        let models: Vec<Budget> = (0..3 * BUILDS_AT_ONCE).map(budget).collect();
        let count = models.len();
        let layout = Layout { description: String::new(), models };
        let machine = Description::uniform(2);
        let plan =
            PreloadPlan { layout: &layout, machine: &machine, required: RequiredModels::All };
        let preloaded = preload(plan, CountingLoader::default(), &mut Vec::new()).unwrap();
        assert_eq!(preloaded.tried.lock().unwrap().len(), count);
        assert!(preloaded.loader.most.load(Ordering::SeqCst) <= BUILDS_AT_ONCE);
    }
}
