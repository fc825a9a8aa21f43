//! Saving: only changed values are rewritten, and a saved layout reads back equal.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::comparison::{changed, reread};
use super::strategies::layout;
use crate::layout::file::parse::FileCheck;
use crate::layout::file::{Document, Origin, SaveError};
use crate::layout::{
    Auto, Budget, Bytes, CoreRequest, Layout, LoadSpec, ModelSource, QueuePolicy, ServerKeys, Slo,
};

const COMMENTED: &str = r#"# the machine in the cellar
version = 1   # the only one
description = "two models"

# --- vision ---

# finds things
[[model]]
name = "detector"
path = "m/./a.onnx"     # relative
cores = "0-3"           # the near ones
reserve = true          # nobody else
queue = { timeout = "0.5s", limit = 64 } # short
slo = { p99 = "20ms" }
load = { kind = "poisson", rate = 120 }

# knows faces
[[model]]
path = "m/b.onnx"
name = "embedder"
inputs.ids = { range = [0, 1000] } # word numbers
[model.dims]
seq = 128 # short texts

# the end
"#;

fn folder_with_models() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("m")).unwrap();
    for name in ["a.onnx", "b.onnx", "c.onnx"] {
        fs::write(folder.path().join("m").join(name), "").unwrap();
    }
    folder
}

fn commented() -> (tempfile::TempDir, Document) {
    let folder = folder_with_models();
    let path = folder.path().join("l.toml");
    fs::write(&path, COMMENTED).unwrap();
    let document = Layout::read(&path, FileCheck::Required).unwrap();
    (folder, document)
}

#[test]
fn unchanged_layout_is_saved_unchanged() {
    let (_folder, document) = commented();
    let text = document.render(document.layout(), document.origin()).unwrap();
    assert_eq!(text, COMMENTED);
}

#[test]
fn only_changed_values_are_rewritten() {
    let (folder, document) = commented();
    let mut layout = document.layout().clone();
    let [detector, embedder] = layout.models.as_mut_slice() else { panic!("two models") };
    detector.cores = CoreRequest::List("0-4".parse().unwrap());
    detector.reserve = false;
    detector.queue.limit = 8;
    detector.load = Some(LoadSpec::Poisson { rate: 60.0 });
    embedder.dims.insert("seq".into(), 256);
    embedder.threads = Auto::Exactly(2);
    let saved = document.save(&layout, &folder.path().join("l.toml")).unwrap();
    assert_eq!(saved.layout(), &layout);
    assert_eq!(
        changed(COMMENTED, saved.text()),
        [
            "-cores = \"0-3\"           # the near ones",
            "-reserve = true          # nobody else",
            "-queue = { timeout = \"0.5s\", limit = 64 } # short",
            "-load = { kind = \"poisson\", rate = 120 }",
            "-seq = 128 # short texts",
            "+cores = \"0-4\"           # the near ones",
            "+reserve = false          # nobody else",
            "+queue = { timeout = \"0.5s\", limit = 8 } # short",
            "+load = { kind = \"poisson\", rate = 60.0 }",
            "+threads = 2",
            "+seq = 256 # short texts",
        ]
    );
    assert_eq!(Layout::read(&folder.path().join("l.toml"), FileCheck::Required).unwrap(), saved);
}

/// A layout with `[server]` between its models.
const LIMITED: &str = r#"version = 1

[[model]]
name = "a"
path = "embedded:ranker.onnx"

# for slow clients
[server] # not ports
idle_timeout = "1h"    # phones
max_body = "0.5MiB"    # texts

[[model]]
name = "b"
path = "embedded:ranker.onnx"
"#;

fn limited() -> Document {
    Document::parse(LIMITED, &Origin::Stdin, FileCheck::Skipped).unwrap()
}

#[test]
fn save_keeps_the_server_table() {
    let document = limited();
    let mut layout = document.layout().clone();
    assert_eq!(document.with_layout(&layout).unwrap().text(), LIMITED);
    layout.models.swap(0, 1);
    layout.models.pop();
    let saved = document.with_layout(&layout).unwrap();
    assert_eq!(saved.server(), document.server());
    for comment in ["# for slow clients\n[server] # not ports\n", "\"0.5MiB\"    # texts"] {
        assert!(saved.text().contains(comment), "{}", saved.text());
    }
}

#[test]
fn only_changed_limits_are_rewritten() {
    let document = limited();
    let limits = ServerKeys {
        idle_timeout: None,
        max_body: Some(Bytes(1 << 20)),
        max_connections: Some(9),
        ..ServerKeys::default()
    };
    let saved = document.with_server(&limits).unwrap();
    assert_eq!((saved.server(), saved.layout()), (&limits, document.layout()));
    assert_eq!(
        changed(LIMITED, saved.text()),
        [
            "-idle_timeout = \"1h\"    # phones",
            "-max_body = \"0.5MiB\"    # texts",
            "+max_body = \"1MiB\"    # texts",
            "+max_connections = 9",
        ]
    );
    let none = saved.with_server(&ServerKeys::default()).unwrap();
    assert!(!none.text().contains("[server]"), "{}", none.text());
}

#[test]
fn new_server_table_precedes_the_models() {
    let (_folder, document) = commented();
    let limits = ServerKeys { max_connections: Some(9), ..ServerKeys::default() };
    let with = document.with_server(&limits).unwrap();
    let table = "description = \"two models\"\n\n[server]\nmax_connections = 9\n\n# --- vision ---";
    assert!(with.text().contains(table), "{}", with.text());
    assert_eq!(with.with_server(&ServerKeys::default()).unwrap().text(), COMMENTED);
    let fresh = Document::from_layout(document.layout().clone()).unwrap();
    let fresh = fresh.with_server(&limits).unwrap();
    assert_eq!((fresh.server(), fresh.layout()), (&limits, document.layout()));
    assert!(limits == *fresh.with_layout(document.layout()).unwrap().server());
    let wrong = ServerKeys { max_connections: Some(0), ..limits };
    assert!(matches!(fresh.with_server(&wrong), Err(SaveError::Invalid(_))));
}

#[test]
fn saves_added_removed_or_moved_models() {
    let (_folder, document) = commented();
    let mut layout = document.layout().clone();
    let detector = layout.models.remove(0);
    layout.models.push(Budget::new("ranker", ModelSource::Embedded("ranker.onnx".into())));
    let text = document.render(&layout, document.origin()).unwrap();
    assert_eq!(
        Document::parse(&text, document.origin(), FileCheck::Required).unwrap().layout(),
        &layout
    );
    for comment in ["# the machine in the cellar", "# --- vision ---", "# knows faces", "# the end"]
    {
        assert!(text.contains(comment), "{comment} in\n{text}");
    }
    assert!(!text.contains("# finds things"), "{text}");

    let mut swapped = document.layout().clone();
    swapped.models.swap(0, 1);
    assert_eq!(swapped.models[1], detector);
    let text = document.render(&swapped, document.origin()).unwrap();
    assert_eq!(
        Document::parse(&text, document.origin(), FileCheck::Required).unwrap().layout(),
        &swapped
    );
    for comment in ["# finds things", "# word numbers", "# short texts"] {
        assert!(text.contains(comment), "{comment} in\n{text}");
    }
}

#[test]
fn renamed_model_keeps_its_comments() {
    let (_folder, document) = commented();
    let mut layout = document.layout().clone();
    layout.models[0].name = "eyes".into();
    layout.models[0].queue.limit = 8;
    let text = document.render(&layout, document.origin()).unwrap();
    assert_eq!(
        changed(COMMENTED, &text),
        [
            "-name = \"detector\"",
            "-queue = { timeout = \"0.5s\", limit = 64 } # short",
            "+name = \"eyes\"",
            "+queue = { timeout = \"0.5s\", limit = 8 } # short",
        ]
    );
}

#[test]
fn relative_paths_fit_the_new_folder() {
    let (folder, document) = commented();
    fs::create_dir(folder.path().join("deep")).unwrap();
    let saved = document.save(document.layout(), &folder.path().join("deep/l.toml")).unwrap();
    assert_eq!(saved.layout(), document.layout());
    assert!(saved.text().contains("path = \"../m/a.onnx\"     # relative"), "{}", saved.text());
}

#[test]
fn new_file_omits_defaults() {
    let folder = folder_with_models();
    let root = fs::canonicalize(folder.path()).unwrap();
    let mut layout = Layout { description: "one \"model\"".into(), models: Vec::new() };
    layout.models.push(Budget::new("a", ModelSource::File(root.join("m/a.onnx"))));
    layout.models.push(Budget {
        slo: Some(Slo { percentile: 99.9, bound: Duration::from_millis(20) }),
        queue: QueuePolicy { limit: 8, ..QueuePolicy::default() },
        ..Budget::new("b", ModelSource::Embedded("ranker.onnx".into()))
    });
    let document = Document::from_layout(layout.clone()).unwrap();
    assert_eq!(document.layout(), &layout);
    let saved = document.save(&layout, &folder.path().join("l.toml")).unwrap();
    assert_eq!(
        saved.text(),
        r#"version = 1
description = 'one "model"'

[[model]]
name = "a"
path = "m/a.onnx"
cores = 1

[[model]]
name = "b"
path = "embedded:ranker.onnx"
cores = 1
queue = { limit = 8, overflow = "reject" }
slo = { "p99.9" = "20ms" }
"#
    );
}

#[test]
fn invalid_layout_is_not_saved() {
    let (folder, document) = commented();
    let mut layout = document.layout().clone();
    layout.models[0].concurrency = Auto::Exactly(0);
    let error = document.save(&layout, &folder.path().join("l.toml")).unwrap_err();
    assert!(matches!(error, SaveError::Invalid(_)), "{error}");
    assert_eq!(fs::read_to_string(folder.path().join("l.toml")).unwrap(), COMMENTED);
}

#[cfg(target_os = "linux")]
#[test]
fn failed_save_keeps_the_old_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, document) = commented();
    let path = folder.path().join("l.toml");
    let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    // the superuser may write anywhere, so this thread alone becomes nobody
    let error = std::thread::scope(|scope| {
        let attempt = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            document.save(document.layout(), &path).unwrap_err()
        });
        attempt.join().unwrap()
    });
    mode(0o755);
    assert!(error.to_string().contains("save elsewhere; the old file is unchanged"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), COMMENTED);
}

#[cfg(target_os = "linux")]
#[test]
fn unreadable_files_are_faults_with_lines() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, _) = commented();
    let path = folder.path().join("l.toml");
    let forbid = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    forbid(&folder.path().join("m/a.onnx"));
    let read_as_nobody = || {
        std::thread::scope(|scope| {
            let attempt = scope.spawn(|| {
                if rustix::process::geteuid().is_root() {
                    let nobody = rustix::process::Uid::from_raw(65534);
                    rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
                }
                Layout::read(&path, FileCheck::Required).unwrap_err()
            });
            attempt.join().unwrap()
        })
    };
    let faults = read_as_nobody();
    assert_eq!(faults.faults().len(), 1, "{faults}");
    assert_eq!(faults.faults()[0].line, Some(10));
    assert_eq!(faults.faults()[0].message, "the model cannot be read: permission denied");
    forbid(&path);
    let faults = read_as_nobody();
    assert_eq!(faults.faults()[0].message, "this layout cannot be read: permission denied");
}

proptest! {
    #[test]
    fn saved_layout_reads_back_equal(layout in layout()) {
        let origin = Origin::File("/r/l/x.toml".into());
        let document = Document::from_layout(layout.clone()).unwrap();
        let text = document.render(&layout, &origin).unwrap();
        prop_assert_eq!(reread(&text, &origin), layout);
    }

    #[test]
    fn overwritten_layout_reads_back_equal(
        old in layout(), new in layout(), shared in prop::collection::vec(any::<bool>(), 5)
    ) {
        // some rows get the name of an old one, so that rows are merged too
        let mut new = new;
        for ((row, old), share) in new.models.iter_mut().zip(&old.models).zip(&shared) {
            if *share {
                row.name.clone_from(&old.name);
            }
        }
        let mut seen = std::collections::HashSet::new();
        new.models.retain(|row| seen.insert(row.name.clone()));
        let origin = Origin::File("/r/l/x.toml".into());
        let text = Document::from_layout(old).unwrap().text;
        let document = Document::parse(&text, &origin, FileCheck::Skipped).unwrap();
        let text = document.render(&new, &origin).unwrap();
        prop_assert_eq!(reread(&text, &origin), new);
    }
}
