//! The difference between a layout file as it was read last and as it is now, as one change.

use crate::layout::{
    Change, Edit, Layout, LayoutVersions, ModelSource, RefusalKind, RowSource, edits_between,
};
use crate::scheduler::{ChangeOperation, ChangeRequest, Control};
use crate::telemetry::{Applied, Author};

/// Attempts before a state that keeps changing is reported.
const ATTEMPTS: usize = 5;

/// A reload of the rows.
pub(super) struct RowReload<'a> {
    /// The layout as the file had it when it was read last.
    pub base: &'a Layout,
    /// The layout as the file has it now.
    pub file: &'a Layout,
    /// Models whose files were replaced.
    pub replaced: &'a [String],
}

/// The result of a reload of the rows.
#[derive(Debug, Default)]
pub(super) struct ReloadedRows {
    /// The change; `None` if nothing differed.
    pub applied: Option<Applied>,
    /// Places that were also changed live, and keep their live values.
    pub kept: Vec<String>,
}

impl RowReload<'_> {
    /// Applies the difference to the live layout.
    ///
    /// # Errors
    /// The reason for which the change is refused; nothing has changed then.
    pub(super) fn apply(&self, control: &dyn Control) -> Result<ReloadedRows, String> {
        let mut refusal = None;
        for _ in 0..ATTEMPTS {
            // the version first, so that a change after it refuses the request
            let version = control.version();
            let live = control.layout();
            let versions = LayoutVersions { base: self.base, file: self.file, live: &live };
            let (merged, conflicts) = versions.merge_keeping_live();
            let kept = conflicts.iter().map(ToString::to_string).collect();
            let change = self.change(&live, merged, control);
            if change.edits.is_empty() {
                return Ok(ReloadedRows { applied: None, kept });
            }
            let operation = ChangeOperation::Apply(change);
            let request = ChangeRequest::new(operation, Author::File).expecting(version);
            match control.request(request) {
                Ok(applied) => return Ok(ReloadedRows { applied: Some(applied), kept }),
                Err(refused) if refused.kind == RefusalKind::Nothing => {
                    return Ok(ReloadedRows { applied: None, kept });
                }
                Err(refused) if refused.kind == RefusalKind::StateChanged => {
                    refusal = Some(refused);
                }
                Err(refused) => return Err(refused.to_string()),
            }
        }
        Err(refusal.map_or_else(String::new, |refusal| refusal.to_string()))
    }

    /// Returns the change that leads from the live layout to the merged one. Rows that do not change keep
    /// their cores, unless single edits cannot express the change.
    fn change(&self, live: &Layout, merged: Layout, control: &dyn Control) -> Change {
        let reloads = self.replaced.iter().filter(|name| {
            let rows = (live.model(name), merged.model(name));
            matches!(rows, (Some(old), Some(new)) if old.source == new.source)
        });
        let reloads = reloads.map(|name| Edit::Reload { model: name.clone(), number: None });
        let reloads: Vec<Edit> = reloads.collect();
        let mut change = Change { edits: row_edits(live, &merged).unwrap_or_default() };
        let is_expressed = reached(live, &change, &merged);
        change.edits.extend(reloads.iter().cloned());
        if is_expressed && (change.edits.is_empty() || control.plan(&change).is_ok()) {
            return change;
        }
        let load = Edit::Load { layout: Box::new(merged) };
        Change { edits: std::iter::once(load).chain(reloads).collect() }
    }
}

/// Returns the edits per row; `None` if they cannot express the change.
fn row_edits(live: &Layout, merged: &Layout) -> Option<Vec<Edit>> {
    if live.description != merged.description {
        return None;
    }
    let removed = live.models.iter().filter(|row| merged.model(&row.name).is_none());
    let mut edits: Vec<Edit> =
        removed.map(|row| Edit::Remove { model: row.name.clone() }).collect();
    for row in &merged.models {
        match live.model(&row.name) {
            Some(old) => edits.extend(edits_between(old, row)),
            None => edits.push(Edit::Add { budget: Box::new(row.clone()) }),
        }
    }
    Some(edits)
}

/// Returns true if the edits per row lead to the order of rows in the merged layout.
fn reached(live: &Layout, change: &Change, merged: &Layout) -> bool {
    if change.edits.is_empty() {
        return live == merged;
    }
    let stays = live.models.iter().filter(|row| merged.model(&row.name).is_some());
    let added = merged.models.iter().filter(|row| live.model(&row.name).is_none());
    let names = stays.chain(added).map(|row| &row.name);
    names.eq(merged.models.iter().map(|row| &row.name))
}

/// Returns the file of a row's model.
pub(super) fn model_file(source: &RowSource) -> Option<&std::path::Path> {
    match source.model() {
        Some(ModelSource::File(path)) => Some(path),
        Some(ModelSource::Embedded(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Budget;

    fn layout(names: &[&str]) -> Layout {
        let row = |name: &&str| Budget::new(*name, ModelSource::Embedded("ranker.onnx".into()));
        Layout { description: String::new(), models: names.iter().map(row).collect() }
    }

    #[test]
    fn only_changed_rows_are_edited() {
        let live = layout(&["a", "b", "c"]);
        let mut merged = layout(&["a", "c", "new"]);
        merged.models[1].weight = 3;
        let edits = row_edits(&live, &merged).unwrap();
        let new = Box::new(merged.models[2].clone());
        let expected = [
            Edit::Remove { model: "b".into() },
            Edit::SetWeight { model: "c".into(), weight: 3 },
            Edit::Add { budget: new },
        ];
        assert_eq!(edits, expected);
        assert!(reached(&live, &Change { edits }, &merged));
    }

    #[test]
    fn another_order_needs_the_whole_layout() {
        let (live, merged) = (layout(&["a", "b"]), layout(&["b", "a"]));
        let edits = row_edits(&live, &merged).unwrap();
        assert!(!reached(&live, &Change { edits }, &merged));
        let described = Layout { description: "night".into(), ..live.clone() };
        assert_eq!(row_edits(&live, &described), None);
    }
}
