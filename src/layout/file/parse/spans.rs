//! The places of a row's values in the text.

use std::collections::HashMap;
use std::ops::Range;

use toml::de::DeTable;

/// The places of a row and of its values, so that later checks can point at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct RowSpans {
    /// The header of the row.
    row: Range<usize>,
    /// The values by key. Keys inside `dims`, `inputs` and `load.carry` are "dims.batch",
    /// "inputs.x" and "carry.stateN"; the input that an output is carried to is "carry.stateN=".
    values: HashMap<String, Range<usize>>,
}

impl RowSpans {
    /// Finds the places of a row's values.
    pub(super) fn new(table: &DeTable<'_>, row: Range<usize>) -> Self {
        let mut values = HashMap::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            values.insert(name.to_owned(), value.span());
            let Some(inner) = value.get_ref().as_table() else { continue };
            match name {
                "dims" | "inputs" => {
                    values.extend(
                        inner.keys().map(|key| (format!("{name}.{}", key.get_ref()), key.span())),
                    );
                }
                "load" => {
                    values.extend(
                        inner.get("file").map(|file| ("load.file".to_owned(), file.span())),
                    );
                    let carry = inner.get("carry").and_then(|carry| carry.get_ref().as_table());
                    for (output, input) in carry.into_iter().flatten() {
                        let name = format!("carry.{}", output.get_ref());
                        values.insert(format!("{name}="), input.span());
                        values.insert(name, output.span());
                    }
                }
                _ => {}
            }
        }
        Self { row, values }
    }

    /// Returns the place of a key's value, or of the row if it does not have the key.
    pub(in super::super) fn value(&self, key: &str) -> Range<usize> {
        self.written(key).unwrap_or(&self.row).clone()
    }

    /// Returns the place of a key's value if the row has the key.
    pub(super) fn written(&self, key: &str) -> Option<&Range<usize>> {
        self.values.get(key)
    }
}
