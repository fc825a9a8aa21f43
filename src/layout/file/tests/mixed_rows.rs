//! Saving of layouts with models and processes.

use super::comparison::{changed, reread};
use crate::layout::file::{Document, FileCheck, Origin};
use crate::layout::{Budget, CoreRequest, Layout, ModelSource, ProcessSelector, ProcessSource};
use crate::machine::CpuSet;

/// A layout whose models and processes alternate.
const MIXED: &str = r#"version = 1

# the cache
[[process]]
name = "redis"
pid = 4711 # for today

# ranks
[[model]]
name = "ranker"
path = "embedded:ranker.onnx"
[model.dims]
batch = 2 # pairs

# serves pages
[[process]]
name = "nginx"
match = { exe = "nginx" } # all of them

# not ports
[server]
max_connections = 9
"#;

fn mixed() -> Document {
    Document::parse(MIXED, &Origin::Stdin, FileCheck::Skipped).unwrap()
}

/// Returns the names of the rows as the text has them, after a check that it reads back equal.
fn saved_order(document: &Document, layout: &Layout) -> (String, Vec<String>) {
    let text = document.render(layout, document.origin()).unwrap();
    assert_eq!(reread(&text, document.origin()), *layout, "{text}");
    let names = text.lines().filter_map(|line| line.strip_prefix("name = "));
    (text.clone(), names.map(|name| name.trim_matches('"').to_owned()).collect())
}

#[test]
fn rows_of_both_kinds_keep_their_order() {
    let document = mixed();
    let mut layout = document.layout().clone();
    let names: Vec<&str> = layout.models.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["redis", "ranker", "nginx"]);
    assert_eq!(saved_order(&document, &layout).0, MIXED);
    layout.models.swap(0, 1);
    let (text, names) = saved_order(&document, &layout);
    assert_eq!(names, ["ranker", "redis", "nginx"]);
    for part in ["batch = 2 # pairs\n\n# the cache\n", "all of them\n\n# not ports\n[server]"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let process = ProcessSource::new(ProcessSelector::Exe("x".into()));
    layout.models.insert(1, Budget::new("x", process));
    layout.models.push(Budget::new("last", ModelSource::Embedded("ranker.onnx".into())));
    let (text, names) = saved_order(&document, &layout);
    assert_eq!(names, ["ranker", "x", "redis", "nginx", "last"]);
    assert!(text.ends_with("[server]\nmax_connections = 9\n"), "{text}");
}

#[test]
fn last_row_of_a_kind_can_be_removed() {
    let document = mixed();
    let mut layout = document.layout().clone();
    let model = layout.models.remove(1);
    let (text, _) = saved_order(&document, &layout);
    assert!(!text.contains("model"), "{text}");
    layout.models = vec![model];
    let (text, _) = saved_order(&document, &layout);
    assert!(!text.contains("process"), "{text}");
    let only = Document::parse(&text, document.origin(), FileCheck::Skipped).unwrap();
    assert_eq!(saved_order(&only, document.layout()).1, ["redis", "ranker", "nginx"]);
}

#[test]
fn short_form_is_replaced_with_its_process() {
    let document = mixed();
    let mut layout = document.layout().clone();
    layout.models[0].weight = 2;
    let (text, _) = saved_order(&document, &layout);
    assert_eq!(changed(MIXED, &text), ["+weight = 2"]);
    layout.models[0].source =
        ProcessSource::new(ProcessSelector::Exe("redis-server".into())).into();
    let (text, _) = saved_order(&document, &layout);
    assert_eq!(
        changed(MIXED, &text),
        ["-pid = 4711 # for today", "+match = { exe = \"redis-server\" }", "+weight = 2"]
    );
}

#[test]
fn row_of_another_kind_is_a_new_table() {
    let document = mixed();
    let mut layout = document.layout().clone();
    layout.models[1].source = layout.models[2].source.clone();
    layout.models[1].dims.clear();
    layout.models[1].cores = CoreRequest::List(CpuSet::EMPTY);
    assert_eq!(saved_order(&document, &layout).1, ["redis", "ranker", "nginx"]);
}
