//! A program that embeds divvy: runs several models and changes their budgets while they serve.
//!
//! `cargo run --example embed [LAYOUT]`

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use divvy::engine::Engines;
use divvy::engine::inputs::{self, InputRules};
use divvy::layout::{Auto, Edit, EngineChoice, FileCheck, demo};
use divvy::machine::allocation::CountingAllocator;
use divvy::machine::this_machine;
use divvy::scheduler::{EngineLoader, Options};
use divvy::telemetry::{Author, ModelState};
use divvy::{Change, Control, Layout, Scheduler};

/// Measures memory per model; without it, the memory of the Rust side is unknown.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let document = match std::env::args_os().nth(1).map(PathBuf::from) {
        Some(path) => Layout::read(&path, FileCheck::Required)?,
        None => demo()?,
    };
    let layout = document.layout();
    // ONNX Runtime if it is found, else rten.
    let engines = Arc::new(Engines::new(EngineChoice::Auto, None));
    let options = Options::new(this_machine(None)?, Arc::new(EngineLoader::new(engines)));
    let scheduler = Scheduler::start(layout, options)?;

    // Models load in the background. Requests would wait for that, but this needs the signatures.
    let mut snapshots = scheduler.snapshots();
    let has_settled = |state: &ModelState| {
        matches!(state, ModelState::Running | ModelState::Paused | ModelState::Failed { .. })
    };
    snapshots
        .wait_for(|now| {
            !now.models.is_empty() && now.models.iter().all(|it| has_settled(&it.state))
        })
        .await?;

    for model in &layout.models {
        let client = scheduler.client(&model.name).ok_or("the scheduler has stopped")?;
        let signature = client.sender().signature();
        let rules = InputRules {
            signature: &signature,
            bounds: &BTreeMap::new(),
            dims: &model.dims,
            inputs: &model.inputs,
        };
        let request = inputs::synthesize(&rules, 1)?;
        let outcome = client.infer(Arc::new(request.tensors)).await;
        match outcome.result {
            Ok(outputs) => println!(
                "{}: {} outputs after {:?} in the queue and {:?} of work",
                model.name,
                outputs.len(),
                outcome.queue,
                outcome.compute
            ),
            // Synthesized inputs do not fit every model; the other models are not affected.
            Err(error) => println!("{}: {error}", model.name),
        }
    }

    // Let the first model run one more request at once.
    let now = snapshots.borrow().clone();
    if let (Some(first), Some(now)) = (layout.models.first(), now.models.first()) {
        let change = Change::from(Edit::SetConcurrency {
            model: first.name.clone(),
            concurrency: Auto::Exactly(now.row.concurrency + 1),
        });
        println!("plan: {}", scheduler.plan(&change)?.summary);
        let applied = scheduler.apply(change, Author::Api)?;
        println!("in force after {} us", applied.force_us);
        println!("undone after {} us", scheduler.undo(Author::Api)?.force_us);
    }
    scheduler.stop(Duration::from_secs(2));
    Ok(())
}
