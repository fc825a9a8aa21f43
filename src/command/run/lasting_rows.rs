//! Replaces process numbers in saved layouts by executables: by the next run, another process may have the number.

use crate::layout::{Layout, ProcessSelector, RowSource};
use crate::process::ProcessLookup;

/// Returns the layout with each process number replaced by the executable of that process, and by the conditions
/// that distinguish it from others. A row whose process has ended keeps its number.
pub(in crate::command) fn lasting(layout: &Layout) -> Layout {
    let mut layout = layout.clone();
    let mut lookup = None;
    for row in &mut layout.models {
        let RowSource::Process { process } = &mut row.source else { continue };
        if !matches!(process.selector, ProcessSelector::Pid(_)) {
            continue;
        }
        let lookup = lookup.get_or_insert_with(ProcessLookup::read);
        if let Some(lasting) = lookup.lasting_source(process) {
            *process = lasting;
        }
    }
    layout
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Budget, ModelSource, ProcessSource};

    #[test]
    fn ended_process_keeps_its_number() {
        let ended = ProcessSource::new(ProcessSelector::Pid(i32::MAX));
        let models = vec![
            Budget::new("a", ended),
            Budget::new("b", ModelSource::Embedded("ranker.onnx".into())),
        ];
        let layout = Layout { models, ..Layout::default() };
        assert_eq!(lasting(&layout), layout);
    }
}
