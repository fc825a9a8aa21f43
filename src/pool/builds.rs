//! The builds of a pool: which batch is pending, and the threads of all instances.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::build::Build;
use super::engine_threads::EngineThread;
use super::event::BatchId;
use super::inner::Inner;
use super::worker;
use crate::engine::InstanceSetup;

/// An order for instances.
pub(super) struct BuildOrder {
    /// The model's name, for the names of threads.
    pub(super) model: String,
    /// Instances that are to serve, 1 or more.
    pub(super) count: usize,
    /// The settings of each instance.
    pub(super) setup: InstanceSetup,
}

/// The batches and workers of a pool.
pub(super) struct Builds {
    /// The setups of the serving generation and of later ones.
    setups: Vec<(u64, InstanceSetup)>,
    latest: Option<Arc<Build>>,
    /// The generation whose instances are to be replaced.
    stale: Option<u64>,
    workers: Vec<JoinHandle<()>>,
    next_instance: usize,
    next_generation: u64,
    next_batch: u64,
}

impl Default for Builds {
    fn default() -> Self {
        Self {
            setups: Vec::new(),
            latest: None,
            stale: None,
            workers: Vec::new(),
            next_instance: 0,
            next_generation: 1,
            next_batch: 1,
        }
    }
}

impl Builds {
    /// Returns the batch that is not over.
    fn pending(&self) -> Option<Arc<Build>> {
        self.latest.as_ref().filter(|build| build.progress().is_some()).cloned()
    }

    /// Returns how many instances of the newest batch are ready, and how many it has; `None` if it is
    /// over.
    pub(super) fn progress(&self) -> Option<(usize, usize)> {
        self.latest.as_ref().and_then(|build| build.progress())
    }

    /// Returns the number of the newest batch and its instances; `None` if it is over.
    pub(super) fn batch(&self) -> Option<(u64, usize)> {
        let build = self.latest.as_ref()?;
        build.progress().map(|(_, total)| (build.id().batch, total))
    }

    /// Returns true if no newer batch exists.
    pub(super) fn is_newest(&self, id: BatchId) -> bool {
        self.latest.as_ref().is_none_or(|build| build.id() == id)
    }

    /// Makes the next [`Builds::ensure`] replace the instances of this generation.
    pub(super) fn mark_stale(&mut self, generation: u64) {
        self.stale = Some(generation);
    }

    /// Cancels [`Builds::mark_stale`].
    pub(super) fn clear_stale(&mut self) {
        self.stale = None;
    }

    /// Returns true if the instances of this generation are to be replaced.
    pub(super) fn is_stale(&self, generation: u64) -> bool {
        self.stale == Some(generation)
    }

    /// Ends the pending batch. Instances that are being built end before their next step.
    pub(super) fn cancel(&self, inner: &Inner) {
        if let Some(build) = &self.latest {
            build.supersede(inner);
        }
    }

    /// Returns the number of workers that have not ended, also those that build.
    pub(super) fn workers(&mut self) -> usize {
        self.workers.retain(|worker| !worker.is_finished());
        self.workers.len()
    }

    /// Returns true if all workers have ended.
    pub(super) fn have_ended(&mut self) -> bool {
        self.workers() == 0
    }

    /// Returns the setup of the pending batch; without one, that of the serving instances.
    pub(super) fn setup(&self, inner: &Inner) -> Option<InstanceSetup> {
        self.pending().map(|build| build.setup()).or_else(|| {
            let serving = inner.gate.seats().generation;
            let found = self.setups.iter().find(|(generation, _)| *generation == serving);
            found.map(|(_, setup)| *setup)
        })
    }

    /// Starts to build the instances that are missing. Returns true if instances are being built.
    pub(super) fn ensure(&mut self, inner: &Arc<Inner>, order: &BuildOrder) -> bool {
        let BuildOrder { count, setup, .. } = *order;
        self.workers.retain(|worker| !worker.is_finished());
        let mut pending = self.pending();
        if let Some(build) = pending.take_if(|build| build.setup() != setup) {
            build.supersede(inner);
        }
        if let Some(build) = pending {
            let (ready, total) = build.progress().unwrap_or_default();
            let seats = inner.gate.seats();
            let existing = if build.id().generation == seats.generation {
                seats.serving + seats.repairing + total.saturating_sub(ready)
            } else {
                total
            };
            let surplus = existing.saturating_sub(count).min(total.saturating_sub(ready));
            if surplus > 0 {
                build.shrink(inner, total - surplus);
            }
            let missing = count.saturating_sub(existing);
            if build.extend(missing) {
                self.start_workers(inner, &build, missing, order);
                return true;
            }
            // Its last instance has just become ready, so the batch already serves.
        }
        let seats = inner.gate.seats();
        self.setups.retain(|(generation, _)| *generation >= seats.generation);
        let is_serving = self.setups.contains(&(seats.generation, setup))
            && self.stale != Some(seats.generation);
        let (generation, existing) = if is_serving {
            (seats.generation, seats.serving + seats.repairing)
        } else {
            self.next_generation += 1;
            (self.next_generation - 1, 0)
        };
        let missing = count.saturating_sub(existing);
        if missing == 0 {
            return false;
        }
        let id = BatchId { batch: self.next_batch, generation };
        self.next_batch += 1;
        let build = Arc::new(Build::new(id, setup, missing));
        self.setups.push((generation, setup));
        self.setups.dedup();
        self.latest = Some(build.clone());
        self.start_workers(inner, &build, missing, order);
        true
    }

    fn start_workers(
        &mut self,
        inner: &Arc<Inner>,
        build: &Arc<Build>,
        count: usize,
        order: &BuildOrder,
    ) {
        for _ in 0..count {
            match self.start_worker(inner, build, order) {
                Ok(worker) => self.workers.push(worker),
                Err(error) => build.fail(inner, format!("cannot start a thread: {error}")),
            }
        }
    }

    fn start_worker(
        &mut self,
        inner: &Arc<Inner>,
        build: &Arc<Build>,
        order: &BuildOrder,
    ) -> io::Result<JoinHandle<()>> {
        let instance = self.next_instance;
        self.next_instance += 1;
        let (inner, build) = (inner.clone(), build.clone());
        let running = EngineThread::start();
        std::thread::Builder::new().name(thread_name(&order.model, instance)).spawn(move || {
            let _running = running;
            worker::work(&inner, &build, instance);
        })
    }
}

/// Returns a name of at most 15 bytes, which the kernel keeps, with the instance's number.
pub(super) fn thread_name(model: &str, instance: usize) -> String {
    let suffix = format!("/{instance}");
    let mut name = String::new();
    for letter in model.chars().filter(|letter| *letter != '\0') {
        if name.len() + letter.len_utf8() + suffix.len() > 15 {
            break;
        }
        name.push(letter);
    }
    name + &suffix
}
