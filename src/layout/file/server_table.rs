//! Writing the `[server]` of a layout file.

use toml_edit::{DocumentMut, Item, Table, Value};

use super::save::{set, with_line_ends_of};
use crate::layout::ServerKeys;

/// The key of the table.
const SERVER: &str = "server";

/// Returns a text with other limits of the server: the second of the two, instead of the first.
pub(super) fn render(text: &str, (old, new): (&ServerKeys, &ServerKeys)) -> String {
    // reading the file parsed the same text, so this does not fail
    let mut document: DocumentMut = text.parse().unwrap_or_default();
    let (before, after) = (old.texts(), new.texts());
    if after.is_empty() {
        document.remove(SERVER);
        return with_line_ends_of(text, document.to_string());
    }
    let item = document.entry(SERVER).or_insert_with(|| Item::Table(new_table()));
    if let Some(table) = item.as_table_like_mut() {
        for (key, _) in &before {
            if after.iter().all(|(other, _)| other != key) {
                table.remove(key);
            }
        }
        for entry in after.iter().filter(|entry| !before.contains(entry)) {
            let (key, text) = entry;
            // a count is written as a number, a size or a time as a string
            let value = text.parse::<i64>().map_or_else(|_| text.as_str().into(), Value::from);
            set(table, key, value);
        }
    }
    with_line_ends_of(text, document.to_string())
}

/// Returns a table that is written before the models.
fn new_table() -> Table {
    let mut table = Table::new();
    table.set_position(Some(0));
    table.decor_mut().set_prefix("\n");
    table
}
