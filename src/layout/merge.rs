//! Merges two versions of a layout that come from the same one.

use super::budget::{Budget, Layout, QueuePolicy, RowSource};
use super::diff::fields;
use super::process_source::{ProcessCommand, ProcessSelector, ProcessSource};

/// A layout and two versions of it that were changed independently.
#[derive(Clone, Copy, Debug)]
pub struct LayoutVersions<'l> {
    /// The layout from which both come.
    pub base: &'l Layout,
    /// The version in the file.
    pub file: &'l Layout,
    /// The live version.
    pub live: &'l Layout,
}

/// A place that both versions changed in different ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeConflict {
    /// The model, or "description".
    pub subject: String,
    /// The two changes: "cores 4 -> 5 in the file, 4 -> 6 here".
    pub changes: String,
}

impl std::fmt::Display for MergeConflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.subject, self.changes)
    }
}

impl LayoutVersions<'_> {
    /// Returns the layout with the changes of both versions. Models are compared by name. The order
    /// of the rows is that of the live version, or of the file if only the file changed it; rows that
    /// only the other version has come last.
    ///
    /// # Errors
    /// All places that both versions changed in different ways.
    pub fn merge(&self) -> Result<Layout, Vec<MergeConflict>> {
        let (merged, conflicts) = self.merge_keeping_live();
        if conflicts.is_empty() { Ok(merged) } else { Err(conflicts) }
    }

    /// Returns the layout with the changes of both versions, as [`LayoutVersions::merge`], and all places that
    /// both changed in different ways: those have their live values.
    pub fn merge_keeping_live(&self) -> (Layout, Vec<MergeConflict>) {
        let Self { base, file, live } = *self;
        let mut conflicts = Vec::new();
        let mut merge = FieldMerge::default();
        let description = merge.pick("description", [base, file, live].map(|it| &it.description));
        if !merge.conflicts.is_empty() {
            let subject = "description".to_owned();
            let changes = "changed in the file and here".to_owned();
            conflicts.push(MergeConflict { subject, changes });
        }
        let mut models = Vec::new();
        for name in self.names() {
            let MergedRow { row, conflicts: found } = self.merge_row(name);
            models.extend(row);
            let found = found.into_iter();
            conflicts
                .extend(found.map(|changes| MergeConflict { subject: name.to_owned(), changes }));
        }
        (Layout { description, models }, conflicts)
    }

    /// Returns the names of the models that either version has, in the order of the merged layout.
    fn names(&self) -> Vec<&str> {
        let common = |layout: &'_ Layout| {
            let kept = layout.models.iter().map(|row| row.name.clone());
            let in_all = |name: &String| {
                [self.base, self.file, self.live].iter().all(|it| it.model(name).is_some())
            };
            kept.filter(in_all).collect::<Vec<String>>()
        };
        let (first, second) = if common(self.live) == common(self.base) {
            (self.file, self.live)
        } else {
            (self.live, self.file)
        };
        let added = second.models.iter().filter(|row| first.model(&row.name).is_none());
        first.models.iter().chain(added).map(|row| row.name.as_str()).collect()
    }

    /// Merges one row.
    fn merge_row(&self, name: &str) -> MergedRow {
        let live = self.live.model(name);
        let merged = |row: Option<&Budget>| MergedRow { row: row.cloned(), conflicts: Vec::new() };
        let conflict =
            |text: &str| MergedRow { row: live.cloned(), conflicts: vec![text.to_owned()] };
        match (self.base.model(name), self.file.model(name), live) {
            (Some(base), Some(file), Some(live)) => merge_budgets([base, file, live]),
            (None, Some(file), Some(live)) if file != live => {
                conflict("added in the file and here, with different values")
            }
            (None, file, live) => merged(live.or(file)),
            (Some(base), None, Some(live)) if base != live => {
                conflict("removed in the file, changed here")
            }
            (Some(base), Some(file), None) if base != file => {
                conflict("changed in the file, removed here")
            }
            (Some(_), ..) => merged(None),
        }
    }
}

/// One merged row.
struct MergedRow {
    /// The row; `None` if one version removed it and the other did not change it.
    row: Option<Budget>,
    /// The places that have their live values because both versions changed them in different ways.
    conflicts: Vec<String>,
}

/// Merges values one by one and records the fields of conflicts.
#[derive(Default)]
struct FieldMerge {
    conflicts: Vec<&'static str>,
}

impl FieldMerge {
    /// Returns the changed one of two versions of a value; the live one if both changed.
    fn pick<T: PartialEq + Clone>(&mut self, field: &'static str, versions: [&T; 3]) -> T {
        let [base, file, live] = versions;
        if live == base {
            return file.clone();
        }
        if file != base && file != live {
            self.conflicts.push(field);
        }
        live.clone()
    }
}

impl FieldMerge {
    /// Merges the sources of a row; those of processes value by value.
    fn source(&mut self, versions: [&RowSource; 3]) -> RowSource {
        let [base, file, live] = versions;
        let [Some(base), Some(file), Some(live)] = [base.process(), file.process(), live.process()]
        else {
            return self.pick("file", versions);
        };
        let versions = [base, file, live];
        let process = ProcessSource {
            selector: self.selector(versions.map(|it| &it.selector)),
            filter: self.pick("where", versions.map(|it| &it.filter)),
            metrics: self.pick("metrics", versions.map(|it| &it.metrics)),
        };
        RowSource::Process { process }
    }

    fn selector(&mut self, versions: [&ProcessSelector; 3]) -> ProcessSelector {
        let [
            ProcessSelector::Command(base),
            ProcessSelector::Command(file),
            ProcessSelector::Command(live),
        ] = versions
        else {
            return self.pick("processes", versions);
        };
        let versions = [base, file, live];
        ProcessSelector::Command(ProcessCommand {
            args: self.pick("processes", versions.map(|it| &it.args)),
            dir: self.pick("dir", versions.map(|it| &it.dir)),
            env: self.pick("env", versions.map(|it| &it.env)),
            restart: self.pick("restart", versions.map(|it| &it.restart)),
        })
    }
}

/// Merges three versions of a row: base, file, live. The names of the fields are those of [`fields`].
fn merge_budgets(versions: [&Budget; 3]) -> MergedRow {
    let mut merge = FieldMerge::default();
    macro_rules! pick {
        ($($field:ident).+, $name:literal) => {
            merge.pick($name, versions.map(|row| &row.$($field).+))
        };
    }
    let merged = Budget {
        name: pick!(name, "name"),
        source: merge.source(versions.map(|row| &row.source)),
        version: pick!(version, "version"),
        engine: pick!(engine, "engine"),
        cores: pick!(cores, "cores"),
        reserve: pick!(reserve, "reserved"),
        threads: pick!(threads, "threads"),
        concurrency: pick!(concurrency, "concurrency"),
        objective: pick!(objective, "objective"),
        spinning: pick!(spinning, "spinning"),
        weight: pick!(weight, "weight"),
        memory: pick!(memory, "memory"),
        gpu: pick!(gpu, "GPU"),
        gpu_memory: pick!(gpu_memory, "GPU memory"),
        queue: QueuePolicy {
            limit: pick!(queue.limit, "queue limit"),
            timeout: pick!(queue.timeout, "queue timeout"),
            overflow: pick!(queue.overflow, "queue overflow"),
            levels: pick!(queue.levels, "queue levels"),
        },
        slo: pick!(slo, "SLO"),
        load: pick!(load, "load"),
        dims: pick!(dims, "dims"),
        inputs: pick!(inputs, "inputs"),
        paused: pick!(paused, "paused"),
    };
    if merge.conflicts.is_empty() {
        return MergedRow { row: Some(merged), conflicts: Vec::new() };
    }
    let [base, file, live] = versions.map(fields);
    let text = |row: &[(&str, String)], name: &str| {
        let field = row.iter().find(|(field, _)| *field == name);
        field.map_or_else(String::new, |(_, value)| value.clone())
    };
    let conflicts = merge.conflicts.into_iter().map(|name| {
        let [base, file, live] = [&base, &file, &live].map(|row| text(row, name));
        format!("{name} {base} -> {file} in the file, {base} -> {live} here")
    });
    MergedRow { row: Some(merged), conflicts: conflicts.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Auto, CoreRequest, ModelSource};

    fn row(name: &str) -> Budget {
        Budget::new(name, ModelSource::Embedded("ranker.onnx".into()))
    }

    fn layout(names: &[&str]) -> Layout {
        let models = names.iter().map(|name| row(name)).collect();
        Layout { description: String::new(), models }
    }

    fn merge(base: &Layout, file: &Layout, live: &Layout) -> Result<Layout, Vec<String>> {
        let merged = LayoutVersions { base, file, live }.merge();
        merged.map_err(|conflicts| conflicts.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn merge_keeps_changes_of_both_versions() {
        let base = layout(&["a", "b", "c"]);
        let (mut file, mut live) = (base.clone(), base.clone());
        file.models[0].threads = Auto::Exactly(2);
        file.models[1].queue.limit = 9;
        file.models.remove(2);
        file.models.push(row("new"));
        live.models[0].cores = CoreRequest::Count(3);
        live.models[1].queue.timeout = Some(std::time::Duration::from_secs(1));
        live.description = "of the night".into();
        live.models.push(row("own"));
        let merged = merge(&base, &file, &live).unwrap();
        let names: Vec<&str> = merged.models.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "new", "own"]);
        let (first, second) = (&merged.models[0], &merged.models[1]);
        assert_eq!((first.threads, first.cores), (Auto::Exactly(2), CoreRequest::Count(3)));
        assert_eq!((second.queue.limit, second.queue.timeout.is_some()), (9, true));
        assert_eq!(merged.description, "of the night");
    }

    #[test]
    fn merge_of_one_change_is_that_version() {
        let base = layout(&["a", "b"]);
        let mut other = layout(&["b", "c", "a"]);
        other.models[0].weight = 3;
        assert_eq!(merge(&base, &other, &base), Ok(other.clone()));
        assert_eq!(merge(&base, &base, &other), Ok(other.clone()));
        assert_eq!(merge(&base, &other, &other), Ok(other));
    }

    #[test]
    fn merge_names_each_conflict() {
        let base = layout(&["a", "b", "c"]);
        let (mut file, mut live) = (base.clone(), base.clone());
        file.models[0].weight = 2;
        live.models[0].weight = 3;
        file.models[1].weight = 2;
        live.models.remove(1);
        file.models.remove(2);
        live.models[1].weight = 5;
        file.models.push(row("new"));
        live.models.push(Budget { weight: 2, ..row("new") });
        assert_eq!(
            merge(&base, &file, &live).unwrap_err(),
            [
                "a: weight 1 -> 2 in the file, 1 -> 3 here",
                "b: changed in the file, removed here",
                "new: added in the file and here, with different values",
                "c: removed in the file, changed here",
            ]
        );
    }

    #[test]
    fn conflicts_keep_live_values() {
        let base = layout(&["a", "b"]);
        let (mut file, mut live) = (base.clone(), base.clone());
        file.models[0].weight = 2;
        file.models[0].threads = Auto::Exactly(2);
        live.models[0].weight = 3;
        file.models.remove(1);
        live.models[1].weight = 5;
        let versions = LayoutVersions { base: &base, file: &file, live: &live };
        let (merged, conflicts) = versions.merge_keeping_live();
        let expected = Budget { threads: Auto::Exactly(2), ..live.models[0].clone() };
        assert_eq!(merged.models, [expected, live.models[1].clone()]);
        assert_eq!(conflicts.len(), 2);
    }

    #[test]
    fn sources_of_processes_merge_by_value() {
        let process = |exe: &str| ProcessSource::new(ProcessSelector::Exe(exe.into()));
        let row = |source: ProcessSource| Budget::new("a", source);
        let file = ProcessSource { metrics: Some("http://h/m".into()), ..process("x") };
        let both = ProcessSource { metrics: file.metrics.clone(), ..process("y") };
        let merged = merge_budgets([&row(process("x")), &row(file), &row(process("y"))]);
        assert_eq!((merged.row, merged.conflicts.len()), (Some(row(both)), 0));
        let merged = merge_budgets([&row(process("x")), &row(process("z")), &row(process("y"))]);
        assert_eq!(merged.conflicts, ["processes exe x -> exe z in the file, exe x -> exe y here"]);
    }

    #[test]
    fn same_change_in_both_is_no_conflict() {
        let base = layout(&["a", "b"]);
        let mut changed = layout(&["a"]);
        changed.models[0].weight = 2;
        assert_eq!(merge(&base, &changed, &changed), Ok(changed));
    }

    #[test]
    fn conflicts_have_the_names_of_fields() {
        let mut other = row("a");
        other.engine = crate::layout::EngineChoice::Rten;
        other.queue.limit = 3;
        other.paused = true;
        let mut third = other.clone();
        third.engine = crate::layout::EngineChoice::OnnxRuntime;
        third.queue.limit = 4;
        let conflicts = merge_budgets([&row("a"), &other, &third]).conflicts;
        assert_eq!(
            conflicts,
            [
                "engine auto -> rten in the file, auto -> onnxruntime here",
                "queue limit 64 -> 3 in the file, 64 -> 4 here"
            ]
        );
    }
}
