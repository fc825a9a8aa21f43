//! Seeded streams of requests for `bench verdict`, in the cells in which recorders keep them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::telemetry::verdict::Side;
use crate::telemetry::{Cell, LatencyCount};

/// Length of a side: 20 s.
const CELLS: u32 = 80;
const CELL: Duration = Duration::from_millis(250);

/// Standard deviations of the logarithm of the latency: of one request, and of the level of a cell.
const REQUEST_SIGMA: f64 = 0.25;
const CELL_SIGMA: f64 = 0.05;

/// The streams.
pub(super) const STREAMS: [StreamKind; 12] = [
    StreamKind::of_requests(10, 0.0),
    StreamKind::of_requests(50, 0.0),
    StreamKind::of_requests(50, 0.5),
    StreamKind::of_requests(50, 0.9),
    StreamKind::of_requests(200, 0.0),
    StreamKind::of_requests(200, 0.9),
    StreamKind::of_requests(200, 0.98),
    StreamKind::of_requests(1000, 0.98),
    StreamKind::of_cells(3_000, 0.5),
    StreamKind::of_cells(20_000, 0.5),
    StreamKind::of_cells(200_000, 0.0),
    StreamKind::of_cells(200_000, 0.5),
];

/// One kind of stream. Latencies are log-normal around 10 ms; their logarithm follows a first-order
/// autoregression.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamKind {
    /// Requests per second.
    pub(super) rate: u32,
    /// Correlation of neighbours.
    pub(super) correlation: f64,
    pub(super) source: StreamSource,
}

/// The random part of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamSource {
    /// Each request's latency, which is correlated with the one before. Requests arrive evenly.
    Requests,
    /// Each cell's level, which is correlated with the one before, and the number of its requests per
    /// latency (Poisson). The time that it takes does not depend on the rate.
    Cells,
}

impl StreamSource {
    /// Returns the name of the neighbours that are correlated.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Cells => "cells",
        }
    }
}

impl StreamKind {
    const fn of_requests(rate: u32, correlation: f64) -> Self {
        Self { rate, correlation, source: StreamSource::Requests }
    }

    const fn of_cells(rate: u32, correlation: f64) -> Self {
        Self { rate, correlation, source: StreamSource::Cells }
    }

    /// Returns the number of independent requests whose mean logarithm has the same variance as that of
    /// one side. Of `n` values with correlation `r`, `n (1 - r) / (1 + r)` are independent.
    pub(super) fn effective(&self) -> u64 {
        let share = (1.0 - self.correlation) / (1.0 + self.correlation);
        let requests = (CELL * CELLS).as_secs_f64() * f64::from(self.rate);
        match self.source {
            StreamSource::Requests => (requests * share) as u64,
            StreamSource::Cells => {
                let of_levels = CELL_SIGMA.powi(2) / (f64::from(CELLS) * share);
                let variance = of_levels + REQUEST_SIGMA.powi(2) / requests;
                (REQUEST_SIGMA.powi(2) / variance) as u64
            }
        }
    }

    /// Returns one side, with its latencies multiplied by `factor`.
    pub(super) fn side(&self, seed: u64, factor: f64) -> Side {
        let mut draw = Draw { random: Rng::with_seed(seed), state: 0.0 };
        let start = Instant::now();
        let arrived = |cell: u32| self.rate * cell / 4;
        let cells = (0..CELLS).map(|cell| {
            let requests = match self.source {
                StreamSource::Requests => (arrived(cell)..arrived(cell + 1))
                    .map(|_| {
                        let level = REQUEST_SIGMA * draw.next_state(self.correlation);
                        LatencyCount::one((10_000.0 * factor * level.exp()) as u64)
                    })
                    .collect(),
                StreamSource::Cells => {
                    let level = CELL_SIGMA * draw.next_state(self.correlation);
                    draw.cell(10_000.0 * factor * level.exp(), f64::from(self.rate) / 4.0)
                }
            };
            Arc::new(Cell::new(start + CELL * cell, start + CELL * (cell + 1), requests))
        });
        Side::new(cells.collect())
    }
}

/// The random numbers of a stream.
struct Draw {
    random: Rng,
    /// State of the autoregression.
    state: f64,
}

impl Draw {
    fn next_state(&mut self, correlation: f64) -> f64 {
        // The sum of twelve uniform numbers is close enough to normal here.
        let noise = (0..12).map(|_| self.random.f64()).sum::<f64>() - 6.0;
        self.state = correlation * self.state + (1.0 - correlation * correlation).sqrt() * noise;
        self.state
    }

    /// Returns about `expected` requests around `center` microseconds, per latency.
    fn cell(&mut self, center: f64, expected: f64) -> Vec<LatencyCount> {
        const STEPS_PER_SIGMA: i32 = 25;
        (-4 * STEPS_PER_SIGMA..=4 * STEPS_PER_SIGMA)
            .map(|step| {
                let z = f64::from(step) / f64::from(STEPS_PER_SIGMA);
                let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
                let mean = expected * density / f64::from(STEPS_PER_SIGMA);
                // Three uniform numbers stand for the normal one that stands for the Poisson one; a
                // fourth rounds without a bias.
                let noise = 2.0 * ((0..3).map(|_| self.random.f64()).sum::<f64>() - 1.5);
                let count = mean.sqrt().mul_add(noise, mean) + self.random.f64();
                let us = (center * (REQUEST_SIGMA * z).exp()) as u64;
                LatencyCount { us, count: count.max(0.0) as u32 }
            })
            .collect()
    }
}
