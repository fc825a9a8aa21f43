//! The edits that turn one row into another.

use super::budget::Budget;
use super::change::Edit;

/// Returns the edits that turn one row into another; none if they are equal. A field is set by its
/// own edit if there is one, so that the journal shows what was changed; otherwise the whole row is
/// replaced.
pub fn edits_between(old: &Budget, new: &Budget) -> Vec<Edit> {
    let model = || new.name.clone();
    let mut reached = Budget { name: new.name.clone(), ..old.clone() };
    let renamed = reached.clone();
    let mut edits = Vec::new();
    if old.name != new.name {
        edits.push(Edit::Rename { model: old.name.clone(), to: new.name.clone() });
    }
    let renames = edits.len();
    macro_rules! field {
        ($field:ident, $edit:expr) => {
            if old.$field != new.$field {
                reached.$field = new.$field.clone();
                edits.push($edit);
            }
        };
    }
    field!(cores, Edit::SetCores { model: model(), cores: new.cores });
    field!(reserve, Edit::SetReserve { model: model(), reserve: new.reserve });
    field!(weight, Edit::SetWeight { model: model(), weight: new.weight });
    field!(threads, Edit::SetThreads { model: model(), threads: new.threads });
    field!(concurrency, Edit::SetConcurrency { model: model(), concurrency: new.concurrency });
    field!(objective, Edit::SetObjective { model: model(), objective: new.objective });
    field!(spinning, Edit::SetSpinning { model: model(), spinning: new.spinning });
    field!(memory, Edit::SetMemory { model: model(), memory: new.memory });
    if (&old.gpu, old.gpu_memory) != (&new.gpu, new.gpu_memory) {
        reached.gpu.clone_from(&new.gpu);
        reached.gpu_memory = new.gpu_memory;
        let (gpu, gpu_memory) = (new.gpu.clone(), new.gpu_memory);
        edits.push(Edit::SetGpu { model: model(), gpu, gpu_memory });
    }
    field!(queue, Edit::SetQueue { model: model(), queue: new.queue });
    field!(slo, Edit::SetSlo { model: model(), slo: new.slo });
    field!(load, Edit::SetLoad { model: model(), load: new.load.clone() });
    field!(paused, Edit::Pause { model: model(), paused: new.paused });
    if reached == *new {
        return edits;
    }
    edits.truncate(renames);
    edits.push(Edit::SetRow { budget: Box::new(new.clone()), base: Some(Box::new(renamed)) });
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Auto, EngineChoice, LoadSpec, ModelSource};

    #[test]
    fn rename_comes_first() {
        let row = Budget::new("a", ModelSource::Embedded("ranker.onnx".into()));
        let new = Budget { name: "b".into(), threads: Auto::Exactly(2), ..row.clone() };
        let rename = Edit::Rename { model: "a".into(), to: "b".into() };
        let threads = Edit::SetThreads { model: "b".into(), threads: Auto::Exactly(2) };
        assert_eq!(edits_between(&row, &new), [rename.clone(), threads]);
        let new = Budget { engine: EngineChoice::Rten, ..new };
        let base = Some(Box::new(Budget { name: "b".into(), ..row.clone() }));
        let whole = Edit::SetRow { budget: Box::new(new.clone()), base };
        assert_eq!(edits_between(&row, &new), [rename, whole]);
    }

    #[test]
    fn other_fields_replace_the_row() {
        let row = Budget::new("a", ModelSource::Embedded("ranker.onnx".into()));
        assert_eq!(edits_between(&row, &row), []);
        let load = Some(LoadSpec::Poisson { rate: 3.0 });
        let new = Budget { load: load.clone(), threads: Auto::Exactly(2), ..row.clone() };
        let threads = Edit::SetThreads { model: "a".into(), threads: Auto::Exactly(2) };
        assert_eq!(edits_between(&row, &new), [threads, Edit::SetLoad { model: "a".into(), load }]);
        let new = Budget { engine: EngineChoice::Rten, ..new };
        let base = Some(Box::new(row.clone()));
        assert_eq!(
            edits_between(&row, &new),
            [Edit::SetRow { budget: Box::new(new.clone()), base }]
        );
    }
}
