//! The tables of a document's rows: two arrays, `model` and `process`, whose tables may alternate in the
//! text.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::layout::budget::Budget;

/// The array that holds a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowArray {
    Model,
    Process,
}

impl RowArray {
    const ALL: [Self; 2] = [Self::Model, Self::Process];

    /// Returns the array that holds a row.
    pub(super) fn of(budget: &Budget) -> Self {
        if budget.is_process() { Self::Process } else { Self::Model }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Process => "process",
        }
    }
}

/// The table of a row.
pub(super) struct RowTable {
    pub(super) array: RowArray,
    /// The row's name in the text.
    pub(super) name: String,
    pub(super) table: Table,
}

impl RowTable {
    /// Returns true if it is the table of a row.
    pub(super) fn is_of(&self, budget: &Budget) -> bool {
        self.name == budget.name && self.array == RowArray::of(budget)
    }

    /// Returns its position among all tables of the text; 0 for an inline table.
    pub(super) fn position(&self) -> isize {
        self.table.position().unwrap_or_default()
    }
}

/// Removes the rows' tables from a document. Returns them in the order of the text.
pub(super) fn take(document: &mut DocumentMut) -> Vec<RowTable> {
    let keys: Vec<String> = document.iter().map(|(key, _)| key.to_owned()).collect();
    let mut rows = Vec::new();
    for key in keys {
        let Some(array) = RowArray::ALL.into_iter().find(|array| array.key() == key) else {
            continue;
        };
        let tables = document.remove(&key).and_then(|item| item.into_array_of_tables().ok());
        rows.extend(tables.into_iter().flatten().map(|table| {
            let name = table.get("name").and_then(Item::as_str).unwrap_or_default().to_owned();
            RowTable { array, name, table }
        }));
    }
    rows.sort_by_key(RowTable::position);
    rows
}

/// Puts the rows into a document from which [`take`] removed them.
pub(super) fn insert(document: &mut DocumentMut, rows: Vec<RowTable>) {
    let [mut models, mut processes] = [ArrayOfTables::new(), ArrayOfTables::new()];
    for row in rows {
        match row.array {
            RowArray::Model => models.push(row.table),
            RowArray::Process => processes.push(row.table),
        }
    }
    if models.is_empty() && processes.is_empty() {
        document.insert("model", value(toml_edit::Array::new()));
    }
    for (array, tables) in [(RowArray::Model, models), (RowArray::Process, processes)] {
        if !tables.is_empty() {
            document.insert(array.key(), Item::ArrayOfTables(tables));
        }
    }
}

/// Gives the rows and the tables after them positions in this order, if their present ones are of another
/// order. `end` is the last position that a row had in the text.
pub(super) fn place(document: &mut DocumentMut, rows: &mut [RowTable], moved: Moved, end: isize) {
    let has_both = RowArray::ALL.iter().all(|array| rows.iter().any(|row| row.array == *array));
    // a new table follows the others of its array, unless it has a position
    let has_new = rows.iter().any(|row| row.table.position().is_none());
    if moved == Moved::No && !(has_both && has_new) {
        return;
    }
    let mut position = 0;
    for row in &mut *rows {
        renumber(&mut row.table, &mut position);
    }
    for (_, item) in document.iter_mut() {
        if let Some(table) = item.as_table_mut()
            && table.position().is_some_and(|position| position > end)
        {
            renumber(table, &mut position);
        }
    }
}

/// A change of the order of rows, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Yes,
    No,
}

/// Numbers a table and its inner tables, so that they are printed in this order.
fn renumber(table: &mut Table, position: &mut isize) {
    *position += 1;
    table.set_position(Some(*position));
    for (_, item) in table.iter_mut() {
        if let Some(inner) = item.as_table_mut() {
            renumber(inner, position);
        }
    }
}
