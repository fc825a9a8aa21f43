//! A no-op request through the pool, through tokio's `spawn_blocking` and through rayon's `spawn`:
//! one at a time, and many at once. `divvy bench dispatch` measures the first two in turns.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use divvy::engine::synthetic::NoopModel;
use divvy::engine::{InstanceSetup, NamedTensor};
use divvy::layout::QueuePolicy;
use divvy::machine::this_machine;
use divvy::pool::{Client, Pool};

const AT_ONCE: usize = 512;

fn pool() -> (Pool, usize) {
    let machine = this_machine(None).unwrap();
    let cores = machine.describe().limits.allowed;
    let queue = QueuePolicy { limit: 1_000_000, ..QueuePolicy::default() };
    let (sender, events) = mpsc::channel();
    let listener = Box::new(move |event| drop(sender.send(event)));
    let pool = Pool::new("noop", machine, queue, cores, listener);
    pool.install(Arc::new(NoopModel::default()), Arc::default());
    let setup = InstanceSetup::cpu(1);
    pool.ensure(cores.len(), setup);
    pool.set_bound(cores.len());
    events.recv_timeout(Duration::from_secs(30)).unwrap();
    (pool, cores.len())
}

async fn through_pool(client: &Client, count: usize) {
    let pending: Vec<_> = (0..count).map(|_| client.submit(Arc::default())).collect();
    for one in pending {
        drop(black_box(one.await));
    }
}

async fn through_tokio(count: usize) {
    let work = || black_box(Vec::<NamedTensor>::new());
    let pending: Vec<_> = (0..count).map(|_| tokio::task::spawn_blocking(work)).collect();
    for one in pending {
        drop(black_box(one.await));
    }
}

async fn through_rayon(pool: &rayon::ThreadPool, count: usize) {
    let spawn = |_| {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        pool.spawn(move || drop(sender.send(black_box(Vec::<NamedTensor>::new()))));
        receiver
    };
    let pending: Vec<_> = (0..count).map(spawn).collect();
    for one in pending {
        drop(black_box(one.await));
    }
}

fn dispatch(criterion: &mut Criterion) {
    let (pool, threads) = pool();
    let client = pool.client();
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(threads)
        .thread_keep_alive(Duration::from_hours(1))
        .build()
        .unwrap();
    for (name, count) in [("idle", 1), ("saturated", AT_ONCE)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(count as u64));
        let mut measure = |name: &str, run: &dyn Fn()| {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|times| {
                    let start = Instant::now();
                    (0..times).for_each(|_| run());
                    start.elapsed()
                });
            });
        };
        measure("pool", &|| runtime.block_on(through_pool(&client, count)));
        measure("spawn_blocking", &|| runtime.block_on(through_tokio(count)));
        measure("rayon", &|| runtime.block_on(through_rayon(&rayon, count)));
        group.finish();
    }
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
