//! Reports of the benchmarks: the setting, quantiles, and a table or JSON.

use std::fmt::{self, Display};

use serde::Serialize;

use super::BenchArgs;
use crate::command::CommandError;
use crate::command::stdout::{print_json, print_text};
use crate::machine::Description;

/// The setting of a measurement.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    /// Version of this format; raised when a field changes its meaning or is removed.
    pub version: u32,
    /// The benchmark.
    pub bench: &'static str,
    /// The engine's name and version.
    pub engine: String,
    /// CPUs that this process may use.
    pub cores: usize,
    /// The container's CPU quota, in CPUs.
    pub quota: Option<f64>,
    /// Seconds of `--seconds`.
    pub seconds: f64,
    /// The seed of `--seed`.
    pub seed: u64,
}

impl Setting {
    /// The setting of a benchmark.
    pub(super) fn new(
        bench: &'static str,
        args: &BenchArgs,
        machine: &Description,
        engine: String,
    ) -> Self {
        Self {
            version: 1,
            bench,
            engine,
            cores: machine.limits.allowed.len(),
            quota: machine.limits.quota,
            seconds: args.seconds,
            seed: args.seed,
        }
    }

    /// Returns the first line of the table.
    pub(super) fn title(&self) -> String {
        format!(
            "{}: {}, {} CPUs, {} s, seed {}",
            self.bench, self.engine, self.cores, self.seconds, self.seed
        )
    }
}

/// Returns the nearest-rank quantile; 0 without values.
pub(super) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// Returns the median; 0 without values.
pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Returns `a / b`; 0 if `b` is not above 0.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

/// Aligned columns: the first to the left, the others to the right.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these titles.
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |at: usize| {
            let lengths = self.rows.iter().filter_map(|row| row.get(at));
            lengths.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cell = |(at, (cell, width)): (usize, (&String, &usize))| {
                if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            };
            let line: Vec<String> = row.iter().zip(&widths).enumerate().map(cell).collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Prints the report as JSON, or its table.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn print<T: Serialize + Display>(
    args: &BenchArgs,
    report: &T,
) -> Result<(), CommandError> {
    if args.json { print_json(report) } else { print_text(report.to_string()) }
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measured_values() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(&values), 3.0);
        assert_eq!(quantile(&values, 0.99), 5.0);
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(ratio(1.0, 0.0), 0.0);
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["kind", "p99"]);
        table.row(vec!["cores".to_owned(), "1234".to_owned()]);
        assert_eq!(table.to_string(), "kind    p99\ncores  1234\n");
    }
}
