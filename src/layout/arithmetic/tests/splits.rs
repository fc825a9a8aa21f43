//! Threads, instances, spinning.

use super::*;

fn split(budget: Budget, cores: usize) -> (usize, usize) {
    let (desired, _) = on(64, [Budget { cores: CoreRequest::Count(cores), ..budget }]);
    (desired.rows[0].concurrency, desired.rows[0].threads)
}

#[test]
fn throughput_means_one_thread_per_instance() {
    assert_eq!(split(count("a", 0), 4), (4, 1));
    assert_eq!(split(count("a", 0), 0), (0, 1));
}

#[test]
fn latency_means_up_to_sixteen_threads() {
    let budget = || latency(count("a", 0));
    assert_eq!(split(budget(), 1), (1, 1));
    assert_eq!(split(budget(), 4), (1, 4));
    assert_eq!(split(budget(), 16), (1, 16));
    assert_eq!(split(budget(), 24), (2, 12));
    assert_eq!(split(budget(), 64), (4, 16));
}

#[test]
fn explicit_numbers_are_kept() {
    let budget = Budget { threads: exactly(2), ..count("a", 0) };
    assert_eq!(split(budget.clone(), 5), (2, 2));
    assert_eq!(split(budget, 1), (1, 2));
    let budget = Budget { concurrency: exactly(2), ..latency(count("a", 0)) };
    assert_eq!(split(budget.clone(), 6), (2, 3));
    assert_eq!(split(budget, 1), (2, 1));
    let budget = Budget { concurrency: exactly(3), threads: exactly(7), ..count("a", 0) };
    assert_eq!(split(budget, 2), (3, 7));
}

fn spins<const N: usize>(cores: usize, models: [Budget; N]) -> bool {
    let (desired, _) = on(cores, models);
    desired.rows[0].spinning(&desired)
}

#[test]
fn threads_spin_only_on_exclusive_cores() {
    let wide = |cores: &str, threads: usize| Budget {
        spinning: Some(true),
        threads: exactly(threads),
        ..list("a", cores)
    };
    assert!(spins(4, [wide("0-1", 2), list("b", "2-3")]));
    assert!(!spins(4, [Budget { spinning: None, ..wide("0-1", 2) }]), "off by default");
    assert!(!spins(4, [Budget { spinning: Some(false), ..wide("0-1", 2) }]));
    assert!(!spins(4, [wide("0-1", 2), list("b", "1")]), "shared");
    assert!(!spins(4, [wide("0-1", 3)]), "more threads than cores");
    let twice = |cores| Budget { concurrency: exactly(2), ..wide(cores, 2) };
    assert!(!spins(4, [twice("0-2")]), "all instances need a core per thread");
    assert!(spins(4, [twice("0-3")]));
    assert!(!spins(4, [wide("0-1", 1)]), "a single thread never spins");
    assert!(spins(4, [Budget { paused: true, ..wide("0-1", 2) }]), "pausing rebuilds nothing");
    assert!(!spins(4, [wide("", 2)]));
}
