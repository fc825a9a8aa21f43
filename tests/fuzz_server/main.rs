//! Damaged requests: any bytes either have an answer that returns the request's own tensors, or are refused with a
//! documented status and a message; never with a panic, and never at the price of much memory.
//!
//! Each case damages a request of `tests/corpus`, or builds a random one. A sample runs by default; `scripts/fuzz`
//! runs more.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod damage;
mod echo;
mod grpc;
mod http;
mod information;
mod messages;
mod tensors;

use std::fmt::Debug;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use damage::damage;
use echo::EchoServer;
use grpc::GrpcCase;
use http::HttpCase;
use information::InformationCase;

/// Returns the names and contents of a folder of the corpus.
fn corpus(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(Path::new("tests/corpus").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() > 5, "{folder}");
    files
}

/// Runs cases that `make` returns, each with the number of pieces in which it arrives, through `examine`, which
/// returns true if the model answered.
fn run<C: Debug>(
    make: impl Fn(&mut fastrand::Rng) -> C,
    examine: impl Fn(&EchoServer, &C, usize) -> bool,
) {
    let count = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |value| value.parse().unwrap())
    };
    let (cases, first) = (count("DIVVY_FUZZ_CASES", 20_000), count("DIVVY_FUZZ_SEED", 0));
    let server = EchoServer::start();
    let mut answered = 0;
    for seed in first..first + cases {
        let mut random = fastrand::Rng::with_seed(seed);
        let case = make(&mut random);
        let pieces = random.usize(1..4);
        let result = catch_unwind(AssertUnwindSafe(|| {
            answered += u64::from(examine(&server, &case, pieces));
            assert_eq!(server.in_flight(), 0, "bytes in flight after the answer");
        }));
        assert!(result.is_ok(), "DIVVY_FUZZ_SEED={seed} fails: {case:?}");
    }
    println!("{cases} cases, {answered} of them answered by the model");
    assert!(answered > cases / 20, "{answered} of {cases}");
}

fn run_http(folder: &str, is_binary: bool) {
    let corpus: Vec<HttpCase> =
        corpus(folder).iter().map(|(name, content)| HttpCase::from_file(name, content)).collect();
    let bodies: Vec<Vec<u8>> = corpus.iter().map(|case| case.body.clone()).collect();
    let make = |random: &mut fastrand::Rng| {
        let kind = random.u8(0..4);
        let mut case = match kind {
            0 | 1 => random.choice(&corpus).unwrap().clone(),
            _ => HttpCase::random(random, is_binary),
        };
        if kind != 2 {
            let whole = case.body.len();
            damage(random, &mut case.body, &http::PIECES, &bodies);
            // Half of the damaged heads keep their right length.
            if let Some(head) = case.head.as_mut().filter(|_| random.bool()) {
                *head = (*head + case.body.len()).saturating_sub(whole);
            }
        }
        case
    };
    run(make, |server, case, pieces| case.examine(server, pieces));
}

#[test]
fn damaged_json_keeps_its_promises() {
    run_http("json", false);
}

#[test]
fn damaged_binary_tensors_keep_their_promises() {
    run_http("binary", true);
}

#[test]
fn damaged_messages_keep_their_promises() {
    let corpus: Vec<GrpcCase> =
        corpus("grpc").iter().map(|(name, content)| GrpcCase::from_file(name, content)).collect();
    let bodies: Vec<Vec<u8>> = corpus.iter().flat_map(|case| case.messages.clone()).collect();
    let make = |random: &mut fastrand::Rng| {
        let kind = random.u8(0..5);
        let mut case = match kind {
            0 | 1 => random.choice(&corpus).unwrap().clone(),
            _ => GrpcCase::random(random),
        };
        case.is_stream = random.u8(0..3) == 0;
        match kind {
            0 | 1 | 3 => damage(random, &mut case.messages[0], &grpc::PIECES, &bodies),
            4 => {
                let other = random.choice(&corpus).unwrap();
                case.damage_frames(random, other);
            }
            _ => {}
        }
        case
    };
    run(make, |server, case, pieces| case.examine(server, pieces));
}

#[test]
fn damaged_calls_keep_their_promises() {
    run(InformationCase::random, |server, case, pieces| case.examine(server, pieces));
}

#[test]
fn the_whole_corpus_is_answered() {
    let server = EchoServer::start();
    for (folder, is_grpc) in [("json", false), ("binary", false), ("grpc", true)] {
        for (name, content) in corpus(folder) {
            let is_answered = if is_grpc {
                GrpcCase::from_file(&name, &content).examine(&server, 1)
            } else {
                HttpCase::from_file(&name, &content).examine(&server, 1)
            };
            assert_eq!(is_answered, !name.starts_with("refused"), "{folder}/{name}");
        }
    }
}
