//! Saving: only changed values are rewritten, so that comments, order and formatting stay.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::document::Document;
use super::origin::{EMBEDDED_PREFIX, Origin};
use super::parse::{self, FileCheck, ParsedFile};
use super::row_tables::{self, Moved, RowArray, RowTable};
use super::save_error::SaveError;
use super::server_table;
use super::write::{self, PathStyle, Paths, WrittenKeys};
use crate::layout::budget::{Budget, Layout};
use crate::layout::{ProcessSelector, ServerKeys};
use crate::machine::{replace_file, write_advice};

/// The start of a new file.
const NEW_FILE: &str = "version = 1\n";

impl Document {
    /// Creates a document for a layout without a file. Its paths are absolute until it is saved.
    ///
    /// # Errors
    /// [`SaveError`] when the layout cannot be written as a file.
    pub fn from_layout(layout: Layout) -> Result<Self, SaveError> {
        let fresh = Self::of(ParsedFile::default(), NEW_FILE.to_owned(), Origin::Unsaved);
        let text = fresh.render(&layout, &fresh.origin)?;
        Ok(Self { layout, ..reread(text, fresh.origin)? })
    }

    /// Saves a layout with this document's comments and formatting, atomically: readers see the old
    /// file or the new one, and a failure keeps the old one. Follows symlinks and keeps permissions.
    /// Relative paths become relative to the new folder. Returns the document as saved.
    ///
    /// # Errors
    /// [`SaveError`] with the file, the system's message and the advice.
    pub fn save(&self, layout: &Layout, path: &Path) -> Result<Self, SaveError> {
        let origin = Origin::File(path.to_path_buf());
        let text = self.render(layout, &origin)?;
        let saved = reread(text, origin)?;
        replace_file(path, saved.text.as_bytes()).map_err(|error| SaveError::Write {
            path: path.display().to_string(),
            help: write_advice(&error),
            reason: error.to_string(),
        })?;
        Ok(saved)
    }

    /// Returns the document with another layout, as it would be saved to the same file.
    ///
    /// # Errors
    /// [`SaveError`] when the layout cannot be written as a file.
    pub fn with_layout(&self, layout: &Layout) -> Result<Self, SaveError> {
        reread(self.render(layout, &self.origin)?, self.origin.clone())
    }

    /// Returns the document with other limits of the server. Values that stay keep their form and comments.
    ///
    /// # Errors
    /// [`SaveError::Invalid`] for limits out of range.
    pub fn with_server(&self, server: &ServerKeys) -> Result<Self, SaveError> {
        if *server == self.server {
            return Ok(self.clone());
        }
        let text = server_table::render(&self.text, (&self.server, server));
        reread(text, self.origin.clone())
    }

    /// Returns the text of a layout, as it would be saved to `to`.
    ///
    /// # Errors
    /// [`SaveError::NotText`] for a path that is not UTF-8.
    pub fn render(&self, layout: &Layout, to: &Origin) -> Result<String, SaveError> {
        // reading the file parsed the same text, so this does not fail
        let mut document: DocumentMut = self.text.parse().unwrap_or_default();
        if layout.description != self.layout.description {
            set(document.as_table_mut(), "description", layout.description.as_str().into());
        }
        let old_folder = self.origin.folder();
        let new_folder = to.folder();
        let mut old_rows = row_tables::take(&mut document);
        let end = old_rows.last().map_or(0, RowTable::position);
        let renames = renames(&self.layout, layout);
        for row in &mut old_rows {
            if let Some((_, new)) = renames.iter().find(|(old, _)| row.is_of(old)) {
                row.name.clone_from(&new.name);
            }
        }
        let order: Vec<&str> = old_rows.iter().map(|row| row.name.as_str()).collect();
        let wanted: Vec<&str> = layout.models.iter().map(|row| row.name.as_str()).collect();
        let stays = wanted
            .iter()
            .filter(|name| order.contains(name))
            .eq(order.iter().filter(|name| wanted.contains(name)));
        let moved = if stays { Moved::No } else { Moved::Yes };
        let mut orphans = String::new();
        let mut found: HashMap<String, Table> = HashMap::new();
        for row in old_rows {
            if layout.models.iter().any(|budget| row.is_of(budget)) {
                found.insert(row.name, prefixed(row.table, &std::mem::take(&mut orphans)));
            } else {
                orphans.push_str(&detached(&row.table));
            }
        }
        let mut rows = Vec::new();
        for budget in &layout.models {
            let renamed = renames.iter().find(|(_, new)| new.name == budget.name);
            let old = renamed.map(|(old, _)| *old).or_else(|| self.layout.model(&budget.name));
            let table = match (old, found.remove(&budget.name)) {
                (Some(old), Some(mut table)) => {
                    let style = match self.origin {
                        Origin::Unsaved => PathStyle::default(),
                        _ => path_style(&table),
                    };
                    let paths = |origin, folder| Paths { origin, folder, style };
                    let before = write::row(
                        old,
                        &paths(&self.origin, old_folder.as_deref()),
                        WrittenKeys::All,
                    )?;
                    let after =
                        write::row(budget, &paths(to, new_folder.as_deref()), WrittenKeys::All)?;
                    if selector(old) != selector(budget) {
                        remove_short_forms(&mut table);
                    }
                    merge(&mut table, &before, &after);
                    table
                }
                _ => new_table(budget, to, new_folder.as_deref())?,
            };
            let (array, name) = (RowArray::of(budget), budget.name.clone());
            rows.push(RowTable { array, name, table });
        }
        if !orphans.is_empty() {
            let rest = document.trailing().as_str().unwrap_or_default().to_owned();
            document.set_trailing(format!("{orphans}{rest}"));
        }
        row_tables::place(&mut document, &mut rows, moved, end);
        row_tables::insert(&mut document, rows);
        Ok(with_line_ends_of(&self.text, document.to_string()))
    }
}

/// Reads the text of a document that is to be saved.
fn reread(text: String, origin: Origin) -> Result<Document, SaveError> {
    let file = parse::parse(&text, &origin, FileCheck::Skipped)
        .map_err(|faults| SaveError::Invalid(Box::new(faults)))?;
    Ok(Document::of(file, text, origin))
}

/// Returns a new text with Windows line ends if all lines of the old one have them.
pub(super) fn with_line_ends_of(old: &str, text: String) -> String {
    let ends = old.matches("\r\n").count();
    let has_windows_ends = ends > 0 && ends == old.matches('\n').count();
    if has_windows_ends { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text }
}

/// Finds renamed rows, as pairs of the old and the new row: rows that only one of the layouts has, of the
/// same source. Rows that are equal but for the name are paired first.
fn renames<'l>(old: &'l Layout, new: &'l Layout) -> Vec<(&'l Budget, &'l Budget)> {
    let mut removed: Vec<&Budget> =
        old.models.iter().filter(|row| new.model(&row.name).is_none()).collect();
    let mut added: Vec<&Budget> =
        new.models.iter().filter(|row| old.model(&row.name).is_none()).collect();
    let mut pairs = Vec::new();
    let equal =
        |old: &Budget, new: &Budget| *new == Budget { name: new.name.clone(), ..old.clone() };
    let same_file = |old: &Budget, new: &Budget| old.source == new.source;
    for same in [&equal as &dyn Fn(&Budget, &Budget) -> bool, &same_file] {
        removed.retain(|old| {
            let at = added.iter().position(|new| same(old, new));
            pairs.extend(at.map(|at| (*old, added.remove(at))));
            at.is_none()
        });
    }
    pairs
}

/// Returns the comments above a table that an empty line separates from it: they stay when the table
/// is removed.
fn detached(table: &Table) -> String {
    let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    let cut = prefix.rfind("\n\n").map_or(0, |at| at + 1);
    let comments = prefix.get(..cut).unwrap_or_default();
    if comments.contains('#') { comments.to_owned() } else { String::new() }
}

/// Adds comments above a table.
fn prefixed(mut table: Table, comments: &str) -> Table {
    if !comments.is_empty() {
        let own = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        let all = format!("{comments}{own}");
        table.decor_mut().set_prefix(all);
    }
    table
}

/// Returns the choice of a row's processes, if it is one of processes.
fn selector(row: &Budget) -> Option<&ProcessSelector> {
    row.source.process().map(|process| &process.selector)
}

/// Removes the short forms of `match`, which a new `match` or command replaces.
fn remove_short_forms(table: &mut Table) {
    for key in ["pid", "cgroup"] {
        table.remove(key);
    }
}

/// Returns the table of a row that the text does not have yet.
fn new_table(budget: &Budget, to: &Origin, folder: Option<&Path>) -> Result<Table, SaveError> {
    let paths = Paths { origin: to, folder, style: PathStyle::default() };
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    for (key, value) in write::row(budget, &paths, WrittenKeys::NonDefault)? {
        table.insert(&key, Item::Value(value));
    }
    Ok(table)
}

/// Detects which paths of a row are relative in the file.
fn path_style(table: &Table) -> PathStyle {
    let is_relative = |item: Option<&Item>| {
        let text = item.and_then(Item::as_str)?;
        Some(!PathBuf::from(text).is_absolute() && !text.starts_with(EMBEDDED_PREFIX))
    };
    let inside = |key: &str, inner: &str| {
        is_relative(table.get(key).and_then(Item::as_table_like).and_then(|table| table.get(inner)))
    };
    let arrays = table.get("inputs").and_then(Item::as_table_like).and_then(|inputs| {
        inputs.iter().find_map(|(_, input)| is_relative(input.as_table_like()?.get("npy")))
    });
    PathStyle {
        model: is_relative(table.get("path")),
        recording: inside("load", "file"),
        arrays,
        dir: is_relative(table.get("dir")),
    }
}

/// Applies the difference between two rows to the user's table.
fn merge(target: &mut dyn TableLike, before: &InlineTable, after: &InlineTable) {
    for (key, _) in before {
        if !after.contains_key(key) {
            target.remove(key);
        }
    }
    for (key, new) in after {
        let old = before.get(key);
        if old.is_some_and(|old| old.to_string() == new.to_string()) {
            continue;
        }
        let place = target.get_mut(key).and_then(Item::as_table_like_mut);
        match (place, old.and_then(Value::as_inline_table), new.as_inline_table()) {
            (Some(place), Some(old), Some(new)) if same_kind(old, new) => merge(place, old, new),
            _ => set(target, key, new.clone()),
        }
    }
}

/// Returns true if two tables differ only in values. Another kind of load or another percentile is
/// written as a new table.
fn same_kind(old: &InlineTable, new: &InlineTable) -> bool {
    let kind = |table: &InlineTable| table.get("kind").and_then(Value::as_str).map(str::to_owned);
    kind(old) == kind(new) && new.iter().any(|(key, _)| old.contains_key(key))
}

/// Sets a value and keeps the spaces and the comment around the old one.
pub(super) fn set(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *value.decor_mut() = decor;
            *old = value;
        }
        Some(item) => *item = Item::Value(value),
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}
