//! The top level of a layout file.

use std::collections::HashMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::reader::{FileCheck, Reader, TomlValue};
use super::spans::RowSpans;
use super::{process, row, server, values};
use crate::layout::file::faults::{Fault, Faults};
use crate::layout::file::keys;
use crate::layout::file::origin::Origin;
use crate::layout::{Budget, Layout, ServerKeys};

/// The content of a layout file.
#[derive(Default)]
pub(in super::super) struct ParsedFile {
    /// The rows, in the order of the text.
    pub(in super::super) layout: Layout,
    /// The limits of the server.
    pub(in super::super) server: ServerKeys,
    /// The places of the rows' values.
    pub(in super::super) spans: Vec<RowSpans>,
}

/// Parses a text.
///
/// # Errors
/// All its faults.
pub(in super::super) fn parse(
    text: &str,
    origin: &Origin,
    file_check: FileCheck,
) -> Result<ParsedFile, Faults> {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let folder = origin.folder();
    let mut reader = Reader { text, origin, folder, file_check, faults: Vec::new() };
    for error in &syntax {
        let span = error.span().unwrap_or(0..0);
        reader.faults.push(match error.message() {
            message if message.starts_with("duplicate key") => {
                Fault::at(text, span, "this key is set twice").help("remove one of the two")
            }
            message => Fault::at(text, span, format!("not TOML: {message}")),
        });
    }
    let syntax = if syntax.is_empty() { Syntax::Valid } else { Syntax::Broken };
    let parsed = root(&mut reader, table.get_ref(), syntax);
    if reader.faults.is_empty() {
        Ok(parsed)
    } else {
        Err(Faults::new(origin.name(), Some(text), reader.faults))
    }
}

/// The syntax of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Valid,
    /// Parts may be lost, so missing and unknown keys are no faults.
    Broken,
}

/// Reads the whole file.
fn root(reader: &mut Reader<'_>, root: &DeTable<'_>, syntax: Syntax) -> ParsedFile {
    let mut file = ParsedFile::default();
    let mut has_version = false;
    let mut rows = Vec::new();
    let mut has_rows = false;
    for (key, value) in root {
        match key.get_ref().as_ref() {
            "version" => {
                has_version = true;
                version(reader, value);
            }
            "description" => {
                file.layout.description = reader.string(value, "`description`").unwrap_or_default();
            }
            "model" | "process" => {
                has_rows = true;
                let kind = if key.get_ref() == "model" { RowKind::Model } else { RowKind::Process };
                self::rows(reader, value, kind, &mut rows);
            }
            "server" => file.server = server::server(reader, value),
            // after a broken header, the keys of a model look like those of the file
            _ if syntax == Syntax::Broken => {}
            _ => reader.unknown(key, "a layout", keys::ROOT),
        }
    }
    if !has_version && syntax == Syntax::Valid {
        reader.fault(0..0, "this layout has no `version`", "start the file with `version = 1`");
    }
    if !has_rows && syntax == Syntax::Valid {
        let end = reader.text.trim_end().len();
        reader.fault(
            end.saturating_sub(1)..end,
            "this layout has neither a model nor a process",
            "add a `[[model]]` with a `name` and a `path`, or a `[[process]]`",
        );
    }
    rows.sort_by_key(|row| row.start);
    for row in rows {
        file.layout.models.push(row.budget);
        file.spans.push(row.spans);
    }
    duplicates(reader, &file.layout, &file.spans);
    file
}

fn version(reader: &mut Reader<'_>, value: &TomlValue<'_>) {
    let Some(version) = reader.whole(value, "`version`", 0..=i64::MAX, "write `version = 1`")
    else {
        return;
    };
    if version != Layout::VERSION {
        reader.fault(
            value.span(),
            format!("unknown version {version} of the layout format"),
            format!("this divvy reads version {}", Layout::VERSION),
        );
    }
}

/// The kind of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowKind {
    Model,
    Process,
}

impl RowKind {
    /// Returns its key, and an example of what it needs.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Model => ("model", "a `name` and a `path`"),
            Self::Process => ("process", "a `name` and a `match`"),
        }
    }
}

/// A row that was read, and where it begins in the text.
struct ReadRow {
    start: usize,
    budget: Budget,
    spans: RowSpans,
}

fn rows(reader: &mut Reader<'_>, value: &TomlValue<'_>, kind: RowKind, read: &mut Vec<ReadRow>) {
    let (key, needs) = kind.words();
    let DeValue::Array(rows) = value.get_ref() else {
        let found = values::kind(value);
        let help = format!("write the header of each {key} with two brackets, `[[{key}]]`");
        let list = if kind == RowKind::Model { "models" } else { "processes" };
        reader.fault(value.span(), format!("`{key}` is {found}, not a list of {list}"), help);
        return;
    };
    if rows.is_empty() {
        let help = format!("add a `[[{key}]]` with {needs}");
        reader.fault(value.span(), format!("this layout has no {key}"), help);
    }
    for value in rows {
        if let DeValue::Table(table) = value.get_ref() {
            let span = value.span();
            let start = span.start;
            let (budget, spans) = match kind {
                RowKind::Model => row::row(reader, table, span),
                RowKind::Process => process::row(reader, table, span),
            };
            read.push(ReadRow { start, budget, spans });
        } else {
            let found = values::kind(value);
            let help = format!("write each {key} as a table with {needs}");
            reader.fault(value.span(), format!("this {key} is {found}, not a table"), help);
        }
    }
}

/// Checks that all names differ.
fn duplicates(reader: &mut Reader<'_>, layout: &Layout, spans: &[RowSpans]) {
    let mut first: HashMap<&str, Range<usize>> = HashMap::new();
    for (budget, place) in layout.models.iter().zip(spans) {
        if budget.name.is_empty() {
            continue;
        }
        let span = place.value("name");
        if let Some(earlier) = first.get(budget.name.as_str()) {
            let is_process =
                layout.models.iter().any(|row| row.name == budget.name && row.is_process());
            let rows = if is_process { "rows" } else { "models" };
            let message = format!("two {rows} are named `{}`", budget.name);
            reader.faults.push(
                Fault::at(reader.text, span, message)
                    .also(earlier.clone(), "the first of them")
                    .help(format!("use a different name for each {}", rows.trim_end_matches('s'))),
            );
        } else {
            first.insert(&budget.name, span);
        }
    }
}
