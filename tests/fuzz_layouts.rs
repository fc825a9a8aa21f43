//! Damaged layouts: any text either has faults with a place in it, or is a layout that is saved unchanged.
//!
//! Each case damages a layout of `tests/layouts`. A sample runs by default; `scripts/fuzz` runs more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use divvy::layout::{Document, FileCheck, Origin, ReportStyle};
use divvy::machine::Description;

/// Pieces that change the meaning of a layout.
const PIECES: [&str; 25] = [
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "=",
    ",",
    "\n",
    "#",
    "-1",
    "0",
    "1e999",
    "nan",
    "inf",
    "true",
    "99999999999999999999",
    "\"0-4294967295\"",
    "\"100%\"",
    "\"1ns\"",
    "\u{0}",
    "\u{fffd}",
    "[[model]]\n",
    "[[process]]\n",
    "9223372036854775807",
];

/// The layouts that cases start from.
fn corpus() -> Vec<String> {
    let folders = ["tests/layouts/valid", "tests/layouts/invalid", "layouts"];
    let mut paths: Vec<_> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    assert!(paths.len() > 40, "{paths:?}");
    paths.iter().map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into()).collect()
}

fn random_line<'t>(random: &mut fastrand::Rng, text: &'t str) -> &'t str {
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() { "" } else { lines[random.usize(..lines.len())] }
}

/// Damages a layout in one to four places.
fn damage(random: &mut fastrand::Rng, corpus: &[String]) -> String {
    let mut text = random.choice(corpus).unwrap().clone();
    for _ in 0..random.usize(1..5) {
        let places: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
        let at = *random.choice(&places).unwrap();
        let end = *random.choice(&places).unwrap();
        let (start, end) = (at.min(end), at.max(end).min(at.min(end) + 40));
        let end = (start..=end).rev().find(|end| text.is_char_boundary(*end)).unwrap();
        match random.u8(0..5) {
            0 => text.replace_range(start..end, ""),
            1 => text.insert_str(at, random.choice(PIECES).unwrap()),
            2 => text.replace_range(start..end, random.choice(PIECES).unwrap()),
            3 => {
                let other = random.choice(corpus).unwrap();
                let line = format!("\n{}\n", random_line(random, other));
                text.insert_str(at, &line);
            }
            _ => {
                let piece = text[start..end].to_owned();
                text.insert_str(at, &piece);
            }
        }
    }
    text
}

/// Reads a text as `divvy check` does. Panics if the outcome breaks a promise.
fn examine(text: &str, machine: &Description) {
    let origin = Origin::File("/layouts/damaged.toml".into());
    let document = match Document::parse(text, &origin, FileCheck::Skipped) {
        Ok(document) => document,
        Err(faults) => {
            assert!(!faults.faults().is_empty());
            let lines = text.lines().count().max(1) + 1;
            for fault in faults.faults() {
                assert!(fault.line.is_none_or(|line| (1..=lines).contains(&line)), "{fault}");
            }
            assert!(!faults.render(ReportStyle::Plain).is_empty());
            return;
        }
    };
    let again = document.with_layout(document.layout()).unwrap();
    assert_eq!(again.layout(), document.layout());
    match document.check(machine) {
        Ok(warnings) => drop(document.render_warnings(&warnings, ReportStyle::Plain)),
        Err(faults) => assert!(!faults.render(ReportStyle::Plain).is_empty()),
    }
}

#[test]
fn damaged_layouts_keep_their_promises() {
    let count = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |value| value.parse().unwrap())
    };
    let (cases, first) = (count("DIVVY_FUZZ_CASES", 3_000), count("DIVVY_FUZZ_SEED", 0));
    let (corpus, machine) = (corpus(), Description::uniform(4));
    for seed in first..first + cases {
        let text = damage(&mut fastrand::Rng::with_seed(seed), &corpus);
        let result = catch_unwind(AssertUnwindSafe(|| examine(&text, &machine)));
        assert!(result.is_ok(), "DIVVY_FUZZ_SEED={seed} fails:\n{text}");
    }
}

#[test]
fn integers_beyond_64_bits_are_faults() {
    for number in ["9223372036854775808", "10092233720368547758070", "-9223372036854775809"] {
        let text = format!(
            "version = 1\n[[model]]\nname = \"a\"\npath = \"a.onnx\"\ncores = 1\n\
             inputs.ids = {{ range = [-1e300, {number}] }}\n"
        );
        let origin = Origin::File("/layouts/large.toml".into());
        let faults = Document::parse(&text, &origin, FileCheck::Skipped).unwrap_err();
        let fault = &faults.faults()[0];
        assert_eq!((faults.faults().len(), fault.line), (1, Some(6)), "{faults}");
        assert_eq!(fault.message, "the end of the range has more than 64 bits");
    }
}
