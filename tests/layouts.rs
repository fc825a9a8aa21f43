//! Valid and invalid layout files: their messages on a machine of four cores, and `divvy check`.
// clippy allows these only in test functions
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use divvy::layout::{Document, Faults, FileCheck, Layout, ReportStyle, schema};
use divvy::machine::Description;
use serde_json::Value;

/// The layouts in a folder of `tests/layouts`, by name.
fn layouts(folder: &str) -> BTreeMap<String, PathBuf> {
    let folder = Path::new("tests/layouts").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let found: BTreeMap<String, PathBuf> = files.map(|path| (name(&path), path)).collect();
    assert!(found.len() > 10, "{found:?}");
    found
}

fn checked(path: &Path) -> Result<(Document, String), Faults> {
    let document = Layout::read(path, FileCheck::Required)?;
    let warnings = document.check(&Description::uniform(4))?;
    let text = document.render_warnings(&warnings, ReportStyle::Plain);
    Ok((document, text))
}

/// Replaces the folder of this checkout in a message.
fn without_root(text: &str) -> String {
    let root = fs::canonicalize(env!("CARGO_MANIFEST_DIR")).unwrap();
    text.replace(root.to_str().unwrap(), "[root]")
}

#[test]
fn valid_layouts_are_saved_unchanged() {
    for (name, path) in layouts("valid") {
        let (document, warnings) = checked(&path).unwrap_or_else(|faults| panic!("{faults}"));
        let again = document.with_layout(document.layout()).unwrap();
        assert_eq!(again.layout(), document.layout(), "{name}");
        // inline tables are saved as `[[model]]` or `[[process]]`, with the same meaning
        if !["inline-rows", "only-processes"].contains(&name.as_str()) {
            assert_eq!(again.text(), document.text(), "{name}");
        }
        insta::assert_snapshot!(format!("warnings-{name}"), warnings);
    }
}

#[test]
fn invalid_layouts_have_faults_with_lines() {
    for (name, path) in layouts("invalid") {
        let Err(faults) = checked(&path) else { panic!("{name} has no fault") };
        let text = fs::read(&path).unwrap();
        for fault in faults.faults() {
            let (Some(line), Some(_)) = (fault.line, fault.column) else {
                panic!("{name}: {fault} has no place")
            };
            assert!(line <= String::from_utf8_lossy(&text).lines().count().max(1), "{fault}");
            assert!(
                fault.help.is_some() || fault.message.starts_with("not TOML"),
                "{name}: {fault}"
            );
        }
        insta::assert_snapshot!(format!("faults-{name}"), without_root(&faults.to_string()));
    }
}

#[test]
fn rejects_paths_that_are_no_files() {
    for (path, want) in [
        ("tests/layouts/gone.toml", "this layout does not exist"),
        ("tests/layouts", "this is a folder, not a layout"),
        ("/dev/zero", "this is a device, not a layout"),
    ] {
        let faults = Layout::read(Path::new(path), FileCheck::Required).unwrap_err();
        assert!(faults.to_string().contains(want), "{faults}");
        assert!(faults.to_string().contains(path), "{faults}");
    }
}

/// The layouts that ship with divvy, with empty files instead of their models.
#[test]
fn shipped_layouts_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("assets/models")).unwrap();
    fs::create_dir_all(folder.path().join("layouts")).unwrap();
    for model in ["detector", "embedder", "ranker"] {
        fs::write(folder.path().join(format!("assets/models/{model}.onnx")), "").unwrap();
    }
    for name in ["demo", "demo-small", "balanced", "detector-first", "processes"] {
        let path = folder.path().join(format!("layouts/{name}.toml"));
        fs::copy(format!("layouts/{name}.toml"), &path).unwrap();
        let document =
            Layout::read(&path, FileCheck::Required).unwrap_or_else(|faults| panic!("{faults}"));
        for cores in [2, 3, 4, 8, 64, 256] {
            document
                .check(&Description::uniform(cores))
                .unwrap_or_else(|faults| panic!("{faults}"));
        }
        conforms(&document.text().parse().unwrap(), name);
    }
}

#[test]
fn valid_layouts_match_the_schema() {
    for (name, path) in layouts("valid") {
        let table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        conforms(&table, &name);
    }
}

#[test]
fn schema_rejects_invalid_layouts() {
    for name in ["unknown-keys", "types", "version-unknown", "missing-fields", "empty-models"] {
        let path = Path::new("tests/layouts/invalid").join(format!("{name}.toml"));
        let table: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        let schema = schema().to_value();
        let value = serde_json::to_value(&table).unwrap();
        assert!(violation(&schema, &schema, &value, "").is_some(), "{name}");
    }
}

fn conforms(table: &toml::Table, name: &str) {
    let schema = schema().to_value();
    let value = serde_json::to_value(table).unwrap();
    if let Some(violation) = violation(&schema, &schema, &value, "") {
        panic!("{name}: {violation}");
    }
}

/// Returns where a value violates a schema. Knows only the keywords that our schema uses.
fn violation(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        return violation(root, target, value, at);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[keyword].as_array() {
            let fits = choices.iter().any(|one| violation(root, one, value, at).is_none());
            if !fits {
                return Some(format!("{at}: {value} fits no choice of {keyword}"));
            }
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let is = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => other == "null" && value.is_null(),
    };
    if !types.is_empty() && !types.iter().any(is) {
        return Some(format!("{at}: {value} is not {types:?}"));
    }
    let number = value.as_f64().unwrap_or(0.0);
    let below = schema["minimum"].as_f64().is_some_and(|least| number < least);
    let above = schema["maximum"].as_f64().is_some_and(|most| number > most);
    let unequal = schema.get("const").is_some_and(|only| only != value);
    let unlisted = schema["enum"].as_array().is_some_and(|list| !list.contains(value));
    if below || above || unequal || unlisted {
        return Some(format!("{at}: {value} is not allowed"));
    }
    if let Some(list) = value.as_array() {
        if (list.len() as u64) < schema["minItems"].as_u64().unwrap_or(0) {
            return Some(format!("{at}: too few"));
        }
        let items = schema.get("items").filter(|items| items.is_object());
        return items.and_then(|items| list.iter().find_map(|one| violation(root, items, one, at)));
    }
    let object = value.as_object()?;
    for required in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(required.as_str().unwrap()) {
            return Some(format!("{at}: lacks {required}"));
        }
    }
    object.iter().find_map(|(key, inner)| {
        let at = format!("{at}.{key}");
        match schema["properties"].get(key).or_else(|| schema.get("additionalProperties")) {
            Some(Value::Bool(false)) => Some(format!("{at}: unknown key")),
            Some(schema) if schema.is_object() => violation(root, schema, inner, &at),
            _ => None,
        }
    })
}

fn divvy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_divvy")).arg("check").args(arguments).output().unwrap()
}

#[test]
fn check_reports_every_file() {
    let valid = "tests/layouts/valid/embedded.toml";
    let zero = "tests/layouts/invalid/zero.toml";
    let output = divvy(&[valid]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(&format!("{valid}: OK, 1 model on ")), "{text}");

    let output = divvy(&[zero, valid, "tests/layouts/invalid/units.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    for want in
        ["zero.toml:6:11", "zero.toml:7:15", "units.toml:6:10", "2 of 3 layouts are invalid"]
    {
        assert!(errors.contains(want), "{want} in\n{errors}");
    }
    assert!(String::from_utf8(output.stdout).unwrap().contains("embedded.toml: OK"));
}

#[test]
fn check_prints_json() {
    let output = divvy(&["--json", "tests/layouts/invalid/zero.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["faults"][0]["line"], 6);
    assert_eq!(report["faults"][0]["column"], 11);
    assert_eq!(report["faults"][0]["text"], "0");
    let output = divvy(&["--schema"]);
    assert_eq!(output.status.code(), Some(0));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, schema().to_value());
}

#[test]
fn check_fits_a_layout_to_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("far.toml");
    let text = "version = 1\n[[model]]\nname = \"a\"\npath = \"embedded:ranker.onnx\"\ncores = \"900-1023\"\n";
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(divvy(&[path]).status.code(), Some(2));
    let output = divvy(&["--fit", "--cores", "0", path]);
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("fitted a: cores \"900-1023\" -> \"0\""), "{printed}");
    assert_eq!(fs::read_to_string(path).unwrap(), text);
}
