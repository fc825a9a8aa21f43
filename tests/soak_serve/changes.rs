//! Random changes of the models while they serve.

use std::path::Path;
use std::time::Duration;

use divvy::layout::{
    Auto, Budget, Change, CoreOwner, CoreRequest, CoreSelection, Edit, ModelSource, Overflow,
    QueuePolicy,
};

use crate::models::MODELS;

/// The source of random changes.
pub(crate) struct Changes<'a> {
    pub random: fastrand::Rng,
    /// The folder of the models' files.
    pub folder: &'a Path,
    /// The number of cores of the machine.
    pub cores: usize,
}

/// Returns the row of a model at the start, on all cores.
pub(crate) fn row(folder: &Path, model: &str, cores: usize) -> Budget {
    let source = ModelSource::File(folder.join(format!("{model}.onnx")));
    Budget { cores: CoreRequest::Count(cores), ..Budget::new(model, source) }
}

impl Changes<'_> {
    /// Returns the next changes: mostly one, or a pause and its end.
    pub(crate) fn next(&mut self) -> Vec<Change> {
        let mut name = || (*self.random.choice(MODELS).unwrap()).to_owned();
        let (model, other) = (name(), name());
        let count = self.random.usize(1..4);
        let cores = self.random.usize(1..=self.cores);
        let edit = match self.random.u32(0..100) {
            0..20 => Edit::TransferCores {
                cores: CoreSelection::Count(1),
                from: CoreOwner::Model(other),
                to: CoreOwner::Model(model),
                share: self.random.bool(),
            },
            20..40 => Edit::SetCores { model, cores: CoreRequest::Count(cores) },
            40..60 => Edit::SetConcurrency { model, concurrency: Auto::Exactly(count * 2) },
            60..67 => Edit::SetThreads { model, threads: Auto::Exactly(count) },
            67..74 => Edit::SetWeight { model, weight: 1 << self.random.u32(0..5) },
            74..84 => Edit::SetQueue { model, queue: self.queue() },
            84..90 => {
                let pause = |paused| Edit::Pause { model: model.clone(), paused }.into();
                return vec![pause(true), pause(false)];
            }
            // The model is loaded again, from one of its files.
            90..95 => Edit::SetRow { budget: Box::new(self.row(&model)), base: None },
            _ => {
                let budget = Box::new(self.row(&model));
                return vec![Change { edits: vec![Edit::Remove { model }, Edit::Add { budget }] }];
            }
        };
        vec![edit.into()]
    }

    fn row(&mut self, model: &str) -> Budget {
        let mut row = row(self.folder, model, self.cores);
        if self.random.bool() {
            row.source = ModelSource::File(self.folder.join(format!("{model}-copy.onnx"))).into();
        }
        row
    }

    fn queue(&mut self) -> QueuePolicy {
        let timeout = self.random.bool().then(|| Duration::from_millis(self.random.u64(5..100)));
        let overflow = if self.random.bool() { Overflow::Block } else { Overflow::Reject };
        QueuePolicy { limit: self.random.usize(1..64), timeout, overflow, ..QueuePolicy::default() }
    }
}
