//! Clients over HTTP and gRPC during random changes: every request has exactly one answer, the right one of
//! the model that it names, or a documented refusal; no instance is rebuilt.
//!
//! A sample runs by default. `scripts/soak-serve` runs 100,000 requests in 1,000 changes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod changes;
mod exchange;
mod grpc;
mod http;
#[path = "../fuzz_server/messages.rs"]
mod messages;
mod models;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use divvy::engine::Engines;
use divvy::layout::{Edit, EngineChoice, Layout, RefusalKind};
use divvy::machine::this_machine;
use divvy::scheduler::{EngineLoader, Options};
use divvy::server::{ErrorKind, ModelActivity, Server, ServerOptions, ServerSockets, ServerState};
use divvy::telemetry::{Author, ModelState, Protocol};
use divvy::{Control, Scheduler};

use changes::{Changes, row};
use exchange::Run;
use models::MODELS;

/// Longer than any step takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The longest time for which a change waits for requests: a model without cores answers none until a later
/// change gives it some.
const STALL: Duration = Duration::from_millis(50);

/// Connections over HTTP.
const HTTP_CLIENTS: u64 = 4;

/// Returns little-endian floats.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn count(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn wait(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Models and a server on free ports.
struct Served {
    scheduler: Scheduler,
    state: Arc<ServerState>,
    server: Server,
    http: SocketAddr,
    grpc: SocketAddr,
    cores: usize,
}

impl Served {
    fn start(folder: &Path) -> Self {
        models::write_all(folder);
        let machine = this_machine(None).unwrap();
        let cores = machine.describe().limits.allowed.len();
        let engines = Arc::new(Engines::new(EngineChoice::Rten, None));
        let options = Options::new(machine, Arc::new(EngineLoader::new(engines)));
        let models = MODELS.map(|name| row(folder, name, cores)).into();
        let layout = Layout { description: String::new(), models };
        let scheduler = Scheduler::start(&layout, options).unwrap();
        let state = ServerState::new(&scheduler, ServerOptions::default());
        let mut sockets = ServerSockets::default();
        for protocol in [Protocol::Http, Protocol::Grpc] {
            sockets.bind(protocol, ([127, 0, 0, 1], 0).into()).unwrap();
        }
        let server = Server::start(state.clone(), sockets, None).unwrap();
        let [http, grpc] = server.listeners() else { panic!("two listeners") };
        let (http, grpc) = (http.address.parse().unwrap(), grpc.address.parse().unwrap());
        wait("models run", || {
            let snapshot = scheduler.snapshots().borrow().clone();
            let runs = |name: &&str| {
                snapshot.model(name).is_some_and(|model| model.state == ModelState::Running)
            };
            MODELS.iter().all(runs)
        });
        Self { scheduler, state, server, http, grpc, cores }
    }

    /// Applies random changes while the requests of a run are answered. Returns the number of those that were
    /// not refused.
    fn change(&self, run: &Run, requests: u32, changes: u32, folder: &Path) -> usize {
        let random = fastrand::Rng::with_seed(3);
        let mut source = Changes { random, folder, cores: self.cores };
        let (mut made, mut applied) = (0, 0);
        while made < changes {
            let due = (u64::from(requests) * u64::from(made) / u64::from(changes)) as usize;
            let start = Instant::now();
            while run.answered.load(Ordering::SeqCst) < due && start.elapsed() < STALL {
                std::thread::sleep(Duration::from_micros(100));
            }
            for change in source.next() {
                made += 1;
                applied += usize::from(self.scheduler.apply(change, Author::Console).is_ok());
            }
        }
        for name in MODELS {
            let budget = Box::new(row(folder, name, self.cores));
            let restored =
                self.scheduler.apply(Edit::SetRow { budget, base: None }.into(), Author::Api);
            let is_refused = restored.is_err_and(|refusal| refusal.kind != RefusalKind::Nothing);
            assert!(!is_refused, "{name} is not restored");
        }
        applied
    }

    /// Returns the number of instances that are being rebuilt after a failure.
    fn rebuilding(&self) -> usize {
        let pools = MODELS.map(|name| self.scheduler.client(name).and_then(|it| it.current()));
        pools.iter().flatten().map(|pool| pool.seats().repairing).sum()
    }

    /// Returns the requests that the server has counted: those that were answered, and all.
    fn counted(&self) -> (u64, u64) {
        let activity = &self.state.activity;
        let mut models: Vec<Arc<ModelActivity>> =
            activity.models().into_iter().map(|(_, model)| model).collect();
        models.push(activity.unknown_model().clone());
        let refused = |model: &ModelActivity| {
            ErrorKind::ALL.map(|kind| model.refused(kind)).iter().sum::<u64>()
        };
        let answered: u64 = models.iter().map(|model| model.answered()).sum();
        (answered, answered + models.iter().map(|model| refused(model)).sum::<u64>())
    }
}

#[test]
fn every_network_request_is_answered_once() {
    let requests = count("DIVVY_SOAK_REQUESTS", 20_000);
    let changes = count("DIVVY_SOAK_CHANGES", 200);
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path());
    let (run, over, rebuilding) = (Run::new(requests), AtomicBool::new(false), AtomicUsize::new(0));
    let start = Instant::now();
    let applied = std::thread::scope(|scope| {
        let (run, served, folder) = (&run, &served, folder.path());
        let mut clients: Vec<_> = (0..HTTP_CLIENTS)
            .map(|seed| scope.spawn(move || http::send(run, served.http, seed)))
            .collect();
        clients.push(scope.spawn(move || grpc::send(run, served.grpc, HTTP_CLIENTS)));
        let changer = scope.spawn(move || served.change(run, requests, changes, folder));
        let (over, rebuilding) = (&over, &rebuilding);
        scope.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                rebuilding.fetch_add(served.rebuilding(), Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let ends: Vec<_> = clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        let applied = changer.join();
        over.store(true, Ordering::SeqCst);
        assert!(ends.iter().all(Result::is_ok), "a client failed");
        applied.unwrap()
    });
    let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    println!(
        "{} requests ({} completed), {applied} of {changes} changes applied, in {:.0?}; refused: {:?}",
        read(&run.answered),
        read(&run.completed),
        start.elapsed(),
        run.refusals.lock().unwrap()
    );
    assert_eq!((read(&run.answered), read(&run.unexpected)), (requests as usize, 0));
    assert_eq!(read(&rebuilding), 0, "instances were rebuilt");
    assert!(read(&run.completed) > requests as usize / 2);
    assert!(applied > changes as usize / 4, "{applied} of {changes} changes");
    assert_eq!(served.counted(), (read(&run.completed) as u64, u64::from(requests)));
    wait("no bytes in flight", || served.state.in_flight.used() == 0);
    let Served { scheduler, server, .. } = served;
    assert_eq!(server.stop(PATIENCE, std::future::pending()).unanswered, 0);
    for view in &scheduler.stop(PATIENCE).unwrap().models {
        assert!(view.counts.balanced(), "{:?}", view.counts);
    }
}
