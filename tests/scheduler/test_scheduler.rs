//! A scheduler over scripted models and a simulated machine, with callers that count their answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use divvy::engine::synthetic::{Script, SyntheticModel};
use divvy::engine::{EngineError, EngineKind, InstanceSetup};
use divvy::layout::{
    Auto, Budget, Change, CoreOwner, CoreRequest, CoreSelection, Edit, Layout, ModelSource,
    QueuePolicy,
};
use divvy::machine::{CpuSet, SimulatedMachine, ThreadId, current_thread};
use divvy::pool::{Outcome, Request, RequestError};
use divvy::scheduler::{
    Control, LoadRequest, LoadedModel, Loader, Options, PreparedRequests, Scheduler,
};
use divvy::telemetry::{Applied, Author, ModelState, ModelView, Snapshot};

/// Long enough for anything on a busy machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A file that does not load.
pub(crate) const BAD_FILE: &str = "/not-a-model.onnx";

/// Scripted models by name; a name without a script does not load.
#[derive(Default)]
#[allow(clippy::struct_field_names)]
pub(crate) struct Scripts {
    scripts: Mutex<BTreeMap<String, Arc<Script>>>,
    pub loads: AtomicUsize,
    /// The setup that each model was loaded for.
    pub setups: Mutex<BTreeMap<String, Option<InstanceSetup>>>,
    /// The thread that loaded each model last.
    pub load_threads: Mutex<BTreeMap<String, ThreadId>>,
    /// The threads that all loads share.
    pub threads: Mutex<Vec<ThreadId>>,
    /// The name of a model whose load must wait.
    pub load_blocked: Mutex<Option<String>>,
}

impl Scripts {
    /// Returns the script of a model; makes one if there is none.
    pub(crate) fn of(&self, name: &str) -> Arc<Script> {
        self.scripts.lock().unwrap().entry(name.to_owned()).or_default().clone()
    }
}

impl Loader for Scripts {
    fn load(&self, request: &LoadRequest) -> Result<LoadedModel, EngineError> {
        let budget = &request.budget;
        self.setups.lock().unwrap().insert(budget.name.clone(), request.setup);
        self.load_threads.lock().unwrap().insert(budget.name.clone(), current_thread());
        self.loads.fetch_add(1, Ordering::SeqCst);
        while self.load_blocked.lock().unwrap().as_ref() == Some(&budget.name) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if budget.source == ModelSource::File(BAD_FILE.into()).into() {
            return Err(EngineError::Unavailable { reason: "it is no model".to_owned() });
        }
        let script = self.scripts.lock().unwrap().get(&budget.name).cloned();
        let Some(script) = script else {
            return Err(EngineError::Unavailable { reason: "no script of this name".to_owned() });
        };
        Ok(LoadedModel {
            model: Arc::new(SyntheticModel::new(script)),
            engine: EngineKind::Synthetic,
            title: "scripted".to_owned(),
            requests: PreparedRequests {
                inputs: vec![Arc::default()],
                ..PreparedRequests::default()
            },
        })
    }

    fn threads(&self) -> Vec<ThreadId> {
        self.threads.lock().unwrap().clone()
    }
}

/// The reason why a model of [`Unguessable`] was not tried.
pub(crate) const NO_GUESS: &str = "no guess runs";

/// A loader that guesses no request of a row without a load.
pub(crate) struct Unguessable(pub Arc<dyn Loader>);

impl Loader for Unguessable {
    fn load(&self, request: &LoadRequest) -> Result<LoadedModel, EngineError> {
        let mut loaded = self.0.load(request)?;
        if request.budget.load.is_none() {
            let untried = Some(NO_GUESS.to_owned());
            loaded.requests = PreparedRequests { untried, ..PreparedRequests::default() };
        }
        Ok(loaded)
    }
}

pub(crate) struct TestScheduler {
    pub scheduler: Scheduler,
    pub machine: Arc<SimulatedMachine>,
    pub scripts: Arc<Scripts>,
}

pub(crate) fn set(list: &str) -> CpuSet {
    list.parse().unwrap()
}

/// A row on a CPU list.
pub(crate) fn row(name: &str, cores: &str) -> Budget {
    let source = ModelSource::File(format!("/{name}.onnx").into());
    let queue = QueuePolicy { limit: 100_000, ..QueuePolicy::default() };
    Budget { cores: CoreRequest::List(set(cores)), queue, ..Budget::new(name, source) }
}

pub(crate) fn layout(models: Vec<Budget>) -> Layout {
    Layout { description: String::new(), models }
}

pub(crate) fn transfer(count: usize, from: &str, to: &str) -> Edit {
    Edit::TransferCores {
        cores: CoreSelection::Count(count),
        from: CoreOwner::Model(from.to_owned()),
        to: CoreOwner::Model(to.to_owned()),
        share: false,
    }
}

pub(crate) fn concurrency(model: &str, count: usize) -> Edit {
    Edit::SetConcurrency { model: model.to_owned(), concurrency: Auto::Exactly(count) }
}

pub(crate) fn threads(model: &str, count: usize) -> Edit {
    Edit::SetThreads { model: model.to_owned(), threads: Auto::Exactly(count) }
}

impl TestScheduler {
    /// Starts a layout on a machine of `cores` CPUs; every row has a script, and all run.
    pub(crate) fn start(cores: usize, models: Vec<Budget>) -> Self {
        let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
        let test = Self::start_with(cores, models, &names, |_| {});
        for name in &names {
            test.until(name, |view| view.actual.active == view.row.concurrency && warm(view));
        }
        test
    }

    /// Starts a layout; `scripted` names the rows whose models can be loaded.
    pub(crate) fn start_with(
        cores: usize,
        models: Vec<Budget>,
        scripted: &[String],
        adjust: impl FnOnce(&mut Options),
    ) -> Self {
        let machine = Arc::new(SimulatedMachine::uniform(cores));
        let scripts = Arc::new(Scripts::default());
        for name in scripted {
            scripts.of(name);
        }
        let mut options = Options::new(machine.clone(), scripts.clone());
        options.interval = Duration::from_millis(50);
        options.machine_check = Duration::from_millis(20);
        adjust(&mut options);
        let scheduler = Scheduler::start(&layout(models), options).unwrap();
        Self { scheduler, machine, scripts }
    }

    pub(crate) fn apply(&self, edit: Edit) -> Applied {
        self.scheduler.apply(Change::from(edit), Author::Api).unwrap()
    }

    /// Applies a change that must be refused without effect. Returns the reason.
    pub(crate) fn refused(&self, edit: Edit) -> String {
        let (layout, journal) = (self.scheduler.layout(), self.scheduler.journal().len());
        let masks = self.machine.masks();
        let change = Change::from(edit);
        let planned = self.scheduler.plan(&change).unwrap_err();
        let refusal = self.scheduler.apply(change, Author::Api).unwrap_err();
        assert_eq!(planned, refusal, "plan and apply refuse alike");
        assert_eq!(self.scheduler.layout(), layout);
        assert_eq!(self.scheduler.journal().len(), journal);
        assert_eq!(self.machine.masks(), masks);
        refusal.to_string()
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.scheduler.snapshots().borrow().clone()
    }

    /// Waits for a new snapshot in which `done` holds for a model.
    pub(crate) fn until(&self, model: &str, done: impl Fn(&ModelView) -> bool) -> ModelView {
        let (start, seen) = (Instant::now(), self.snapshot().sequence);
        loop {
            let snapshot = self.snapshot();
            if snapshot.sequence == seen {
                assert!(start.elapsed() < PATIENCE, "no new snapshot");
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
            for view in &snapshot.models {
                assert!(view.counts.balanced(), "{}: {:?}", view.row.budget.name, view.counts);
            }
            match snapshot.model(model) {
                Some(view) if done(view) => return view.clone(),
                view => assert!(start.elapsed() < PATIENCE, "{model} in vain: {view:?}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until `done` holds.
    #[allow(clippy::unused_self)]
    pub(crate) fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < PATIENCE, "in vain: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends all scripted failures, touches each row, and waits until each model runs as its row asks
    /// and has answered a request.
    pub(crate) fn recover(&self, touched: impl Fn(Applied)) {
        for script in self.scripts.scripts.lock().unwrap().values() {
            script.heal();
        }
        let names: Vec<String> =
            self.scheduler.layout().models.into_iter().map(|model| model.name).collect();
        for model in &names {
            // Pending builds end first; they may still fail.
            self.until(model, |view| {
                let seats = self.scheduler.client(model).unwrap().current().unwrap().seats();
                warm(view) && seats.repairing == 0
            });
            let queue = QueuePolicy { limit: 99_999, ..QueuePolicy::default() };
            touched(self.apply(Edit::SetQueue { model: model.clone(), queue }));
            let view = self.until(model, |view| {
                let state = if view.row.concurrency == 0 {
                    ModelState::Paused
                } else {
                    ModelState::Running
                };
                view.row.budget.queue == queue
                    && view.state == state
                    && view.actual.active == view.row.concurrency
            });
            if view.row.concurrency > 0 {
                let answers = Arc::new(Answers::default());
                self.submit(model, 1, &answers);
                self.wait("an answer", || answers.all());
                assert_eq!(answers.completed.load(Ordering::SeqCst), 1, "{model}: {answers:?}");
            }
        }
    }

    /// Submits more requests if few are left.
    pub(crate) fn top_up(&self, model: &str, answers: &Arc<Answers>) {
        if answers.asked.load(Ordering::SeqCst) < answers.answered() + 500 {
            self.submit(model, 500, answers);
        }
    }

    /// Submits requests and counts their outcomes.
    pub(crate) fn submit(&self, model: &str, count: usize, answers: &Arc<Answers>) {
        let sender = self.scheduler.client(model).unwrap().sender();
        for _ in 0..count {
            let answers = answers.clone();
            answers.asked.fetch_add(1, Ordering::SeqCst);
            let reply = Box::new(move |outcome| answers.note(&outcome));
            sender.submit(Request::new(Arc::default(), reply));
        }
    }
}

/// Returns true if no build is pending.
pub(crate) fn warm(view: &ModelView) -> bool {
    !matches!(view.state, ModelState::Warming { .. } | ModelState::Loading)
}

/// Outcomes by kind.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub asked: AtomicUsize,
    pub completed: AtomicUsize,
    pub rejected: AtomicUsize,
    pub timed_out: AtomicUsize,
    pub cancelled: AtomicUsize,
    pub failed: AtomicUsize,
}

impl Answers {
    pub(crate) fn note(&self, outcome: &Outcome) {
        let kind = match &outcome.result {
            Ok(_) => &self.completed,
            Err(RequestError::Rejected { .. }) => &self.rejected,
            Err(RequestError::TimedOut { .. }) => &self.timed_out,
            Err(RequestError::Cancelled) => &self.cancelled,
            Err(_) => &self.failed,
        };
        kind.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn answered(&self) -> usize {
        [&self.completed, &self.rejected, &self.timed_out, &self.cancelled, &self.failed]
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .sum()
    }

    pub(crate) fn all(&self) -> bool {
        self.answered() == self.asked.load(Ordering::SeqCst)
    }
}
