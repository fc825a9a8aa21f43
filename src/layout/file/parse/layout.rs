//! The top level of a layout file.

use std::collections::HashMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::reader::{FileCheck, Reader, TomlValue};
use super::spans::RowSpans;
use super::{row, server, values};
use crate::layout::file::faults::{Fault, Faults};
use crate::layout::file::keys;
use crate::layout::file::origin::Origin;
use crate::layout::{Layout, ServerKeys};

/// The content of a layout file.
#[derive(Default)]
pub(in super::super) struct ParsedFile {
    /// The models.
    pub(in super::super) layout: Layout,
    /// The limits of the server.
    pub(in super::super) server: ServerKeys,
    /// The places of the models' values.
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
    let mut has_models = false;
    for (key, value) in root {
        match key.get_ref().as_ref() {
            "version" => {
                has_version = true;
                version(reader, value);
            }
            "description" => {
                file.layout.description = reader.string(value, "`description`").unwrap_or_default();
            }
            "model" => {
                has_models = true;
                models(reader, value, &mut file);
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
    if !has_models && syntax == Syntax::Valid {
        let end = reader.text.trim_end().len();
        reader.fault(
            end.saturating_sub(1)..end,
            "this layout has no model",
            "add a `[[model]]` with a `name` and a `path`",
        );
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

fn models(reader: &mut Reader<'_>, value: &TomlValue<'_>, file: &mut ParsedFile) {
    let DeValue::Array(rows) = value.get_ref() else {
        let found = values::kind(value);
        let help = "write the header of each model with two brackets, `[[model]]`";
        reader.fault(value.span(), format!("`model` is {found}, not a list of models"), help);
        return;
    };
    if rows.is_empty() {
        let help = "add a `[[model]]` with a `name` and a `path`";
        reader.fault(value.span(), "this layout has no model", help);
    }
    for value in rows {
        if let DeValue::Table(table) = value.get_ref() {
            let (budget, place) = row::row(reader, table, value.span());
            file.layout.models.push(budget);
            file.spans.push(place);
        } else {
            let found = values::kind(value);
            let help = "write each model as a table with a `name` and a `path`";
            reader.fault(value.span(), format!("this model is {found}, not a table"), help);
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
            let message = format!("two models are named `{}`", budget.name);
            reader.faults.push(
                Fault::at(reader.text, span, message)
                    .also(earlier.clone(), "the first of them")
                    .help("use a different name for each model"),
            );
        } else {
            first.insert(&budget.name, span);
        }
    }
}
