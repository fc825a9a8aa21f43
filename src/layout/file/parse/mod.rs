//! Reads a layout's text into a [`Layout`], collecting every fault on the way instead of stopping
//! at the first.

mod gpu;
mod load;
mod row;
mod values;

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::faults::{Fault, Faults};
use super::keys;
use super::origin::Origin;
use crate::layout::Layout;

/// A value and where it is written.
type Value<'t> = Spanned<DeValue<'t>>;

/// Where the parts of one row are written, so that later checks can point at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowSpans {
    /// The row's header.
    pub(super) row: Range<usize>,
    /// The values that are written, by key.
    pub(super) values: HashMap<String, Range<usize>>,
}

impl RowSpans {
    /// Where a key's value is written, or the row where it is not.
    pub(super) fn value(&self, key: &str) -> Range<usize> {
        self.values.get(key).unwrap_or(&self.row).clone()
    }
}

/// Whether the files that a layout names are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// They must be there and readable.
    Looked,
    /// They are taken for granted: a layout can be saved while a model's file is away.
    Assumed,
}

/// Collects faults while a text is read.
struct Reader<'t> {
    text: &'t str,
    origin: &'t Origin,
    folder: Option<PathBuf>,
    files: Files,
    faults: Vec<Fault>,
}

/// Reads a text.
///
/// # Errors
/// All of its faults.
pub(super) fn parse(
    text: &str,
    origin: &Origin,
    files: Files,
) -> Result<(Layout, Vec<RowSpans>), Faults> {
    let (root, syntax) = DeTable::parse_recoverable(text);
    let folder = origin.folder();
    let mut reader = Reader { text, origin, folder, files, faults: Vec::new() };
    for error in &syntax {
        let span = error.span().unwrap_or(0..0);
        reader.faults.push(match error.message() {
            message if message.starts_with("duplicate key") => {
                Fault::at(text, span, "this key is written twice").help("remove one of the two")
            }
            message => Fault::at(text, span, format!("not TOML: {message}")),
        });
    }
    let parsed = reader.root(root.get_ref(), !syntax.is_empty());
    if reader.faults.is_empty() {
        Ok(parsed)
    } else {
        Err(Faults::new(origin.name(), Some(text), reader.faults))
    }
}

impl Reader<'_> {
    /// Notes a fault at a place.
    fn fault(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(Fault::at(self.text, span, message).help(help));
    }

    /// Notes a key that nobody knows, and what may have been meant.
    fn unknown(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, place: &str, known: &[&str]) {
        let name = key.get_ref();
        let help = match keys::nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("{place} can have {}", keys::list(known)),
        };
        self.fault(key.span(), format!("unknown key `{name}` in {place}"), help);
    }

    /// The file as a whole. `broken`: parts may be missing because the syntax is wrong, so what is
    /// absent is not a fault of its own.
    fn root(&mut self, root: &DeTable<'_>, broken: bool) -> (Layout, Vec<RowSpans>) {
        let mut layout = Layout::default();
        let mut spans = Vec::new();
        let mut version = false;
        let mut models = false;
        for (key, value) in root {
            match key.get_ref().as_ref() {
                "version" => {
                    version = true;
                    self.version(value);
                }
                "description" => {
                    layout.description = self.string(value, "`description`").unwrap_or_default();
                }
                "model" => {
                    models = true;
                    self.models(value, &mut layout, &mut spans);
                }
                // after a broken header, the keys of a model seem to be the file's
                _ if broken => {}
                _ => self.unknown(key, "a layout", keys::ROOT),
            }
        }
        if !version && !broken {
            self.fault(0..0, "the version is missing", "begin the file with `version = 1`");
        }
        if !models && !broken {
            let end = self.text.trim_end().len();
            self.fault(
                end.saturating_sub(1)..end,
                "this layout has no model",
                "add a `[[model]]` with a `name` and a `path`",
            );
        }
        self.duplicates(&layout, &spans);
        (layout, spans)
    }

    fn version(&mut self, value: &Value<'_>) {
        let Some(version) = self.whole(value, "`version`", 0..=i64::MAX, "write `version = 1`")
        else {
            return;
        };
        if version != Layout::VERSION {
            self.fault(
                value.span(),
                format!("version {version} of the layout format is not known"),
                format!("this divvy reads version {}", Layout::VERSION),
            );
        }
    }

    fn models(&mut self, value: &Value<'_>, layout: &mut Layout, spans: &mut Vec<RowSpans>) {
        let DeValue::Array(rows) = value.get_ref() else {
            let found = values::kind(value);
            let help = "write the header of each model as `[[model]]`, with two brackets";
            self.fault(value.span(), format!("`model` is {found}, not a list of models"), help);
            return;
        };
        if rows.is_empty() {
            let help = "add a `[[model]]` with a `name` and a `path`";
            self.fault(value.span(), "this layout has no model", help);
        }
        for row in rows {
            if let DeValue::Table(table) = row.get_ref() {
                let (budget, place) = self.row(table, row.span());
                layout.models.push(budget);
                spans.push(place);
            } else {
                let found = values::kind(row);
                let help = "a model is a table with a `name` and a `path`";
                self.fault(row.span(), format!("this model is {found}"), help);
            }
        }
    }

    /// Two models of one name.
    fn duplicates(&mut self, layout: &Layout, spans: &[RowSpans]) {
        let mut first: HashMap<&str, Range<usize>> = HashMap::new();
        for (budget, place) in layout.models.iter().zip(spans) {
            if budget.name.is_empty() {
                continue;
            }
            let span = place.value("name");
            if let Some(earlier) = first.get(budget.name.as_str()) {
                let message = format!("two models are named `{}`", budget.name);
                self.faults.push(
                    Fault::at(self.text, span, message)
                        .also(earlier.clone(), "the first of them")
                        .help("give each model a name of its own"),
                );
            } else {
                first.insert(&budget.name, span);
            }
        }
    }
}
