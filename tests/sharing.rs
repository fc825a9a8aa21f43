//! End-to-end tests of rows that share one loaded model, on both engines. Tests of ONNX Runtime are
//! skipped if it is not found.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use divvy::engine::{Engines, MemorySource, onnx};
use divvy::layout::{
    Auto, Budget, Bytes, Change, CoreRequest, Edit, EngineChoice, Layout, ModelSource,
};
use divvy::machine::allocation::CountingAllocator;
use divvy::machine::this_machine;
use divvy::scheduler::{Control, EngineLoader, Options, Scheduler};
use divvy::telemetry::{Author, MemoryTable, ModelState};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with one model under two names, and an engine.
struct Bench {
    folder: tempfile::TempDir,
    engine: EngineChoice,
}

impl Bench {
    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn row(&self, name: &str) -> Budget {
        Budget {
            engine: self.engine,
            cores: CoreRequest::List(this_machine(None).unwrap().describe().limits.allowed),
            threads: Auto::Exactly(1),
            concurrency: Auto::Exactly(1),
            ..Budget::new(name, ModelSource::File(self.path("a.onnx")))
        }
    }

    fn start(&self, models: Vec<Budget>) -> Running {
        let layout = Layout { description: String::new(), models };
        let loader = EngineLoader::new(Arc::new(Engines::new(self.engine, None)));
        let mut options = Options::new(this_machine(None).unwrap(), Arc::new(loader));
        options.interval = Duration::from_millis(50);
        Running(Scheduler::start(&layout, options).unwrap())
    }
}

/// The available engines.
fn benches() -> Vec<Bench> {
    let mut engines = vec![EngineChoice::Rten];
    match Engines::new(EngineChoice::Auto, None).onnxruntime() {
        Ok(_) => engines.push(EngineChoice::OnnxRuntime),
        Err(error) => println!("skipped for ONNX Runtime: {error}"),
    }
    engines.into_iter().map(bench).collect()
}

fn bench(engine: EngineChoice) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let source = ModelSource::Embedded("ranker.onnx".to_owned());
    let bytes = onnx::model_bytes(&source).unwrap();
    for file in ["a.onnx", "b.onnx"] {
        std::fs::write(folder.path().join(file), &bytes).unwrap();
    }
    Bench { folder, engine }
}

struct Running(Scheduler);

impl Running {
    /// Waits until all models run and the memory table meets a condition.
    fn until(&self, what: &str, done: impl Fn(&MemoryTable) -> bool) -> MemoryTable {
        let start = Instant::now();
        loop {
            let snapshot = self.0.snapshots().borrow().clone();
            let table = &snapshot.memory_table;
            let is_running = !snapshot.models.is_empty()
                && snapshot.models.iter().all(|view| view.state == ModelState::Running);
            if is_running && table.models.len() == snapshot.models.len() && done(table) {
                check_sums(table);
                return table.clone();
            }
            assert!(start.elapsed() < PATIENCE, "timed out: {what}: {table:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn apply(&self, edit: Edit) {
        self.0.apply(Change::from(edit), Author::Api).unwrap();
    }

    /// Runs one request of a model.
    fn answers(&self, model: &str) -> bool {
        let client = self.0.client(model).unwrap();
        let tensor = divvy::engine::Tensor::new(
            vec![1, 512, 128],
            divvy::engine::TensorData::F32(vec![0.5; 512 * 128]),
        );
        let inputs = vec![divvy::engine::NamedTensor {
            name: "features".to_owned(),
            tensor: tensor.unwrap(),
        }];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(client.infer(Arc::new(inputs))).result.is_ok()
    }
}

/// The parts of a shared model add up to it exactly.
fn check_sums(table: &MemoryTable) {
    for loaded in table.loaded.iter().filter(|loaded| loaded.models.len() > 1) {
        let rows = table.models.iter().filter(|row| loaded.models.contains(&row.model));
        assert_eq!(rows.map(|row| row.shared_bytes).sum::<u64>(), loaded.total(), "{loaded:?}");
    }
    let parts = table.sum_bytes.cast_signed() + table.unattributed_bytes;
    assert_eq!(parts, table.process_bytes.cast_signed());
}

fn users(table: &MemoryTable) -> Vec<Vec<&str>> {
    table.loaded.iter().map(|it| it.models.iter().map(String::as_str).collect()).collect()
}

fn file_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn hundred_rows_hold_one_model() {
    for bench in benches() {
        let rows = (0..100).map(|index| bench.row(&format!("m{index}"))).collect();
        let running = bench.start(rows);
        let table = running.until("100 rows", |table| table.loaded.len() == 1);
        assert_eq!(table.loaded[0].models.len(), 100);
        let weights: u64 = table.models.iter().map(|row| row.weights_bytes).sum();
        assert!(weights < 4 * file_bytes(&bench.path("a.onnx")), "{weights}");
        assert!(table.models.iter().all(|row| row.not_shared.is_none()));
        assert!(running.answers("m0") && running.answers("m99"));
    }
}

#[test]
fn remaining_rows_serve_after_a_removal() {
    for bench in benches() {
        let running = bench.start(["prod", "batch", "test"].map(|name| bench.row(name)).into());
        let before = running.until("three", |table| users(table) == [["prod", "batch", "test"]]);
        running.apply(Edit::Remove { model: "prod".to_owned() });
        let after = running.until("two", |table| users(table) == [["batch", "test"]]);
        assert!(after.models[0].shared_bytes > before.models[1].shared_bytes);
        assert!(running.answers("batch") && running.answers("test"));
        running.apply(Edit::Remove { model: "batch".to_owned() });
        let last = running.until("one", |table| users(table) == [["test"]]);
        assert_eq!(last.models[0].shared_bytes, 0);
        assert!(running.answers("test"));
    }
}

#[test]
fn row_with_another_file_leaves_the_sharing() {
    for bench in benches() {
        let running = bench.start(["prod", "batch"].map(|name| bench.row(name)).into());
        running.until("shared", |table| users(table) == [["prod", "batch"]]);
        let other =
            Budget { source: ModelSource::File(bench.path("b.onnx")).into(), ..bench.row("batch") };
        running.apply(Edit::SetRow { budget: Box::new(other), base: None });
        running.until("left", |table| {
            users(table).len() == 2 && table.models.iter().all(|row| row.shared_bytes == 0)
        });
        assert!(running.answers("prod") && running.answers("batch"));
        running.apply(Edit::SetRow { budget: Box::new(bench.row("batch")), base: None });
        running.until("joined", |table| users(table) == [["prod", "batch"]]);
        assert!(running.answers("prod") && running.answers("batch"));
    }
}

#[test]
fn failed_row_leaves_the_others_running() {
    for bench in benches() {
        let broken = Budget { dims: [("nothing".to_owned(), 3)].into(), ..bench.row("broken") };
        let running = bench.start(vec![bench.row("prod"), broken, bench.row("batch")]);
        let start = Instant::now();
        loop {
            let snapshot = running.0.snapshots().borrow().clone();
            let is_failed = |name| {
                snapshot.model(name).map(|view| matches!(view.state, ModelState::Failed { .. }))
            };
            if is_failed("broken") == Some(true)
                && users(&snapshot.memory_table) == [["prod", "batch"]]
            {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "{:#?}", snapshot.memory_table);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(running.answers("prod") && running.answers("batch"));
    }
}

#[test]
fn onnx_runtime_row_with_threads_leaves_the_sharing() {
    for bench in benches().into_iter().filter(|it| it.engine == EngineChoice::OnnxRuntime) {
        let running = bench.start(["prod", "batch"].map(|name| bench.row(name)).into());
        running.until("shared", |table| users(table) == [["prod", "batch"]]);
        let threads = |threads| Edit::SetThreads {
            model: "batch".to_owned(),
            threads: Auto::Exactly(threads),
        };
        let plan = running.0.plan(&Change::from(threads(2))).unwrap();
        assert!(plan.warnings.iter().any(|line| line.contains("no longer shared: prod")));
        running.apply(threads(2));
        let table = running.until("left", |table| users(table) == [["prod"]]);
        assert_eq!(table.models[1].copies, 1);
        let reason = table.models[1].not_shared.as_deref().unwrap_or_default();
        assert!(reason.contains("one thread"), "{reason}");
        assert!(running.answers("prod") && running.answers("batch"));
        running.apply(threads(1));
        running.until("joined", |table| users(table) == [["prod", "batch"]]);
        assert!(running.answers("prod") && running.answers("batch"));
    }
}

#[test]
fn rten_rows_share_at_any_width() {
    let bench = bench(EngineChoice::Rten);
    let wide = Budget { threads: Auto::Exactly(2), ..bench.row("batch") };
    let running = bench.start(vec![bench.row("prod"), wide]);
    let table = running.until("shared", |table| users(table) == [["prod", "batch"]]);
    assert_eq!(table.models[0].weights_source, MemorySource::Measured);
    assert!(running.answers("prod") && running.answers("batch"));
}

#[test]
fn budgets_that_fit_only_when_shared_load() {
    for bench in benches() {
        let size = |running: &Running| {
            let table = running.until("loaded", |table| table.loaded.len() == 1);
            (table.loaded[0].total(), table.models[0].total() - table.loaded[0].total())
        };
        let (shared, own) = size(&bench.start(vec![bench.row("alone")]));
        let memory = Some(Bytes(own + shared * 3 / 4 + (1 << 20)));
        let row = |name| Budget { memory, ..bench.row(name) };
        let running = bench.start(vec![row("prod"), row("batch")]);
        running.until("both", |table| users(table) == [["prod", "batch"]]);
    }
}

#[test]
fn plan_refuses_a_charge_above_the_budget() {
    for bench in benches() {
        let running = bench.start(["prod", "batch"].map(|name| bench.row(name)).into());
        let table = running.until("shared", |table| users(table) == [["prod", "batch"]]);
        let row = &table.models[0];
        let memory = Some(Bytes(row.total() + row.shared_bytes / 2));
        running.apply(Edit::SetMemory { model: "prod".to_owned(), memory });
        running.until("budget", |table| table.models[0].limit_bytes.is_some());
        let change = Change::from(Edit::Remove { model: "batch".to_owned() });
        let refusal = running.0.plan(&change).unwrap_err();
        assert_eq!(refusal.model.as_deref(), Some("prod"));
        assert_eq!(running.0.apply(change.clone(), Author::Api).unwrap_err(), refusal);
        running.until("unchanged", |table| users(table) == [["prod", "batch"]]);
        running.apply(Edit::SetMemory { model: "prod".to_owned(), memory: None });
        running.until("no budget", |table| table.models[0].limit_bytes.is_none());
        running.0.apply(change, Author::Api).unwrap();
        running.until("alone", |table| users(table) == [["prod"]]);
    }
}
