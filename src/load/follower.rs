//! Runs the built-in loads that a scheduler orders, and reports how much each has offered.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::driver::LoadDriver;
use super::error::LoadError;
use super::job::LoadJob;
use super::requests::LoadRequests;
use crate::machine::{Clock, SystemClock, ThreadId};
use crate::scheduler::LoadOrder;

/// Time between reports of offered arrivals, and between checks for a stop.
const REPORT_INTERVAL: Duration = Duration::from_millis(200);

/// The load generators of a scheduler. Dropping it stops all built-in load.
pub struct LoadFollower {
    driver: Arc<LoadDriver>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A load that runs.
struct FollowedLoad {
    order: LoadOrder,
    requests: Arc<LoadRequests>,
    /// Arrivals that the model's earlier loads offered and the generators no longer count.
    offered_before: u64,
}

impl FollowedLoad {
    /// Returns the generators' name of the load.
    fn key(generation: u64) -> String {
        generation.to_string()
    }

    /// Reports the arrivals so far to the scheduler.
    fn report(&self, driver: &LoadDriver) {
        let offered = driver.offered(&Self::key(self.order.model.generation));
        self.order.offered.store(self.offered_before + offered, Ordering::Relaxed);
    }
}

/// The loads that run, by the generation of their models: a renamed model keeps its load.
type FollowedLoads = BTreeMap<u64, FollowedLoad>;

impl LoadFollower {
    /// Starts the generators and the thread that follows the orders.
    ///
    /// # Errors
    /// The system's error if a thread cannot be started.
    pub fn start(orders: watch::Receiver<Arc<Vec<LoadOrder>>>) -> io::Result<Self> {
        Self::start_with(orders, Arc::new(SystemClock))
    }

    /// Starts the generators and the thread that follows the orders. Arrivals are due by `clock`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(
        orders: watch::Receiver<Arc<Vec<LoadOrder>>>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let driver = Arc::new(LoadDriver::start_with(clock)?);
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (followed, stopped) = (driver.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("divvy-follow".to_owned())
            .spawn(move || runtime.block_on(follow(orders, &followed, &stopped)))?;
        Ok(Self { driver, stop, thread: Some(thread) })
    }

    /// Returns the id of the generators' thread, so that it can be kept off reserved cores.
    pub fn thread(&self) -> ThreadId {
        self.driver.thread()
    }

    /// Stops all load and waits until its requests are answered, for at most `patience`. Returns how
    /// many requests are still unanswered.
    pub fn stop(&self, patience: Duration) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.driver.stop(patience)
    }
}

impl Drop for LoadFollower {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
        if let Some(thread) = self.thread.take() {
            // The panic hook has logged a panic of it.
            let _ = thread.join();
        }
    }
}

async fn follow(
    mut orders: watch::Receiver<Arc<Vec<LoadOrder>>>,
    driver: &LoadDriver,
    stop: &AtomicBool,
) {
    let mut current = FollowedLoads::new();
    orders.mark_changed();
    while !stop.load(Ordering::Acquire) {
        match tokio::time::timeout(REPORT_INTERVAL, orders.changed()).await {
            Ok(Ok(())) => {
                let ordered = orders.borrow_and_update().clone();
                current = switch(current, &ordered, driver);
            }
            Ok(Err(_)) => break,
            Err(_) => {}
        }
        for load in current.values() {
            load.report(driver);
        }
    }
    stop_all(&current, driver);
}

/// Switches the generators to the new orders.
fn switch(mut current: FollowedLoads, orders: &[LoadOrder], driver: &LoadDriver) -> FollowedLoads {
    let mut next = FollowedLoads::new();
    for order in orders {
        let generation = order.model.generation;
        let known = current.remove(&generation);
        match start(order, known, driver) {
            Ok(load) => drop(next.insert(generation, load)),
            Err(error) => tracing::error!("{}: {error}", order.model.name),
        }
    }
    stop_all(&current, driver);
    next
}

/// Starts or changes a load.
fn start(
    order: &LoadOrder,
    known: Option<FollowedLoad>,
    driver: &LoadDriver,
) -> Result<FollowedLoad, LoadError> {
    let key = FollowedLoad::key(order.model.generation);
    let (requests, offered_before) = if let Some(load) = known {
        (load.requests, load.offered_before)
    } else {
        let reported = order.offered.load(Ordering::Relaxed);
        let requests = Arc::new(LoadRequests::of_order(&order.requests)?);
        (requests, reported.saturating_sub(driver.offered(&key)))
    };
    let (sender, spec, seed) = (order.sender.clone(), order.spec.clone(), order.seed);
    let job = LoadJob { sender, spec, requests: requests.clone(), seed };
    driver.set(&key, Some(job))?;
    Ok(FollowedLoad { order: order.clone(), requests, offered_before })
}

fn stop_all(loads: &FollowedLoads, driver: &LoadDriver) {
    for (generation, load) in loads {
        load.report(driver);
        // An error means that the generators have stopped already.
        let _ = driver.set(&FollowedLoad::key(*generation), None);
    }
}
