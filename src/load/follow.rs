//! Keeps the load generators in step with the layout: follows the scheduler's load orders, and
//! tells each order how much has been offered.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::{LoadDriver, LoadJob, LoadRequests};
use crate::machine::ThreadId;
use crate::scheduler::LoadOrder;

/// How often offered arrivals are told, and a request to stop is looked for.
const TELL: Duration = Duration::from_millis(200);

/// The load generators, following a scheduler. Dropping it ends all built-in load.
pub struct LoadFollower {
    driver: Arc<LoadDriver>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Current {
    order: LoadOrder,
    requests: Arc<LoadRequests>,
    /// Arrivals that earlier loads of the same name had offered.
    base: u64,
}

impl LoadFollower {
    /// Starts the generators and the thread that follows the orders.
    ///
    /// # Errors
    /// When the system gives no further thread.
    pub fn start(orders: watch::Receiver<Arc<Vec<LoadOrder>>>) -> io::Result<Self> {
        let driver = Arc::new(LoadDriver::start()?);
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (followed, stopped) = (driver.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("divvy-follow".to_owned())
            .spawn(move || runtime.block_on(follow(orders, &followed, &stopped)))?;
        Ok(Self { driver, stop, thread: Some(thread) })
    }

    /// The generators' thread, so that it can be kept off reserved cores.
    pub fn thread(&self) -> ThreadId {
        self.driver.thread()
    }

    /// Ends all load and waits, at most for `patience`, until what was asked is answered. Returns how
    /// many requests were still without an answer.
    pub fn stop(&self, patience: Duration) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.driver.stop(patience)
    }
}

impl Drop for LoadFollower {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
        if let Some(thread) = self.thread.take() {
            // A panic of it has been printed already.
            let _ = thread.join();
        }
    }
}

async fn follow(
    mut orders: watch::Receiver<Arc<Vec<LoadOrder>>>,
    driver: &LoadDriver,
    stop: &AtomicBool,
) {
    let mut current: BTreeMap<String, Current> = BTreeMap::new();
    orders.mark_changed();
    while !stop.load(Ordering::Acquire) {
        match tokio::time::timeout(TELL, orders.changed()).await {
            Ok(Ok(())) => {
                let wanted = orders.borrow_and_update().clone();
                current = switch(current, &wanted, driver);
            }
            Ok(Err(_)) => break,
            Err(_) => {}
        }
        for (model, load) in &current {
            let offered = driver.offered(model) - load.base;
            load.order.offered.store(offered, Ordering::Relaxed);
        }
    }
    for model in current.keys() {
        // An error says that the generators have ended already.
        let _ = driver.set(model, None);
    }
}

/// Brings the generators from the current orders to the wanted ones.
fn switch(
    mut current: BTreeMap<String, Current>,
    wanted: &[LoadOrder],
    driver: &LoadDriver,
) -> BTreeMap<String, Current> {
    let mut next = BTreeMap::new();
    for (index, order) in wanted.iter().enumerate() {
        let known = current.remove(&order.model).filter(|load| load.order.epoch == order.epoch);
        let prepared = match known {
            Some(load) => Ok((load.requests, load.base)),
            None => LoadRequests::of_order(&order.requests)
                .map(|requests| (Arc::new(requests), driver.offered(&order.model))),
        };
        let started = prepared.and_then(|(requests, base)| {
            let (door, spec) = (order.door.clone(), order.spec.clone());
            let job = LoadJob { door, spec, requests: requests.clone(), seed: index as u64 };
            driver.set(&order.model, Some(job))?;
            Ok(Current { order: order.clone(), requests, base })
        });
        match started {
            Ok(load) => drop(next.insert(order.model.clone(), load)),
            Err(error) => tracing::error!("{}: {error}", order.model),
        }
    }
    for model in current.keys() {
        // An error says that the generators have ended already.
        let _ = driver.set(model, None);
    }
    next
}
