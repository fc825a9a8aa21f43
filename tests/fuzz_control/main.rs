//! Damaged requests to the control socket: any bytes are either answered as documented, or refused with a
//! documented status and a message; never with a panic. What a change leads to can be opened and saved again.
//!
//! Each case damages a request that is right. The scheduler behind the socket holds a layout and no models, so
//! that millions of cases are possible. A sample runs by default; `scripts/fuzz` runs more.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod client;
#[path = "../fuzz_server/damage.rs"]
mod damage;
mod fake_control;
mod host;
#[path = "../control/one_layout.rs"]
mod one_layout;
mod requests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use client::Client;
use host::FuzzHost;
use requests::{Damage, RequestCase};

/// Runs cases with one kind of damage.
fn run(damage: Damage) {
    let count = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |value| value.parse().unwrap())
    };
    let (cases, first) = (count("DIVVY_FUZZ_CASES", 5_000), count("DIVVY_FUZZ_SEED", 0));
    let host = FuzzHost::start();
    let mut client = Client::new(host.socket());
    let mut succeeded = 0;
    for seed in first..first + cases {
        let mut random = fastrand::Rng::with_seed(seed);
        let case = RequestCase::random(&mut random, damage);
        let result = catch_unwind(AssertUnwindSafe(|| {
            succeeded += u64::from(case.examine(&mut client));
        }));
        assert!(result.is_ok(), "DIVVY_FUZZ_SEED={seed} fails: {case}");
        if seed % 64 == 0 {
            host.control.reset();
        }
    }
    println!("{cases} cases, {succeeded} of them succeeded");
    assert!(succeeded > cases / 50, "{succeeded} of {cases}");
}

#[test]
fn damaged_bodies_keep_their_promises() {
    run(Damage::Body);
}

#[test]
fn damaged_paths_keep_their_promises() {
    run(Damage::Path);
}

#[test]
fn damaged_heads_keep_their_promises() {
    run(Damage::Head);
}

#[test]
fn undamaged_requests_are_answered() {
    let host = FuzzHost::start();
    let mut client = Client::new(host.socket());
    for case in RequestCase::all() {
        let answer = client.send(&case.bytes());
        assert!(answer.status == 200 || answer.status == 204, "{case}: {answer}");
        host.control.reset();
    }
}
