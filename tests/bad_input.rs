//! Bad input to the real binary: exit code 2, nothing on standard output, nothing started, and a
//! message that says what is wrong, where, and what to do. Messages are compared word by word.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use binary::{DIVVY, Home, model};

/// Runs of the binary and their messages, in a form that is the same on every machine.
struct Transcript {
    home: Home,
    text: String,
}

impl Transcript {
    fn new() -> Self {
        let home = Home::new();
        for name in ["detector", "embedder", "ranker"] {
            fs::copy(model(name), home.path(&format!("{name}.onnx"))).unwrap();
        }
        Self { home, text: String::new() }
    }

    /// Writes a layout of one model with these lines.
    fn layout(&self, name: &str, lines: &str) -> String {
        let file = format!("{name}.toml");
        let row = "[[model]]\nname = \"detector\"\npath = \"detector.onnx\"\nengine = \"rten\"\n";
        self.home.write(&file, format!("version = 1\n{row}{lines}\n"));
        file
    }

    /// Runs the binary, which must refuse the arguments.
    fn refused<S: AsRef<OsStr>>(&mut self, arguments: &[S]) {
        self.refused_with(arguments, |command| command);
    }

    fn refused_with<S: AsRef<OsStr>>(
        &mut self,
        arguments: &[S],
        prepare: impl FnOnce(&mut Command) -> &mut Command,
    ) {
        let mut command = self.home.divvy();
        command.args(arguments).args(["--for", "1s", "--headless"]);
        prepare(&mut command);
        let library = command.get_envs().find(|(name, _)| *name == "ORT_DYLIB_PATH");
        let library = library.and_then(|(name, value)| {
            Some(format!("{}={} ", name.to_string_lossy(), value?.to_string_lossy()))
        });
        let line = arguments.iter().map(|part| part.as_ref().to_string_lossy().into_owned());
        let line = line.collect::<Vec<_>>().join(" ");
        let line = format!("{}divvy {line}", library.unwrap_or_default());
        let run = self.home.run(command);
        assert_eq!(run.status.code(), Some(2), "{line}: {run:?}");
        assert_eq!(run.out, "", "{line}");
        for started in ["whole run", "models ready", "models loaded", "panicked"] {
            assert!(!run.err.contains(started), "{line}: {}", run.err);
        }
        writeln!(self.text, "$ {line}\n{}", run.err).unwrap();
    }

    /// Returns the text without this machine's folders and CPUs.
    fn text(&self) -> String {
        let home = self.home.path("");
        let home = home.to_str().unwrap().trim_end_matches('/');
        let cpus = binary::allowed();
        let text = self.text.replace(home, "[home]");
        text.replace(&format!("may use {cpus} "), "may use [cpus] ")
            .replace(&format!("it has {cpus}\n"), "it has [cpus]\n")
            .replace(&format!("CPUs of {cpus},"), "CPUs of [cpus],")
    }
}

/// Encodes a Protocol Buffers field that holds bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    bytes.extend(content);
    bytes
}

/// Encodes a Protocol Buffers field that holds a number.
fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// Encodes a model with one operator: one tensor of four floats in, one out.
fn model_of(operator: &str) -> Vec<u8> {
    let node =
        [field(1, b"x"), field(2, b"y"), field(3, b"odd one"), field(4, operator.as_bytes())];
    let shape = field(2, &field(1, &number(1, 4)));
    let tensor = field(1, &[number(1, 1), shape].concat());
    let value = |name: &[u8]| [field(1, name), field(2, &tensor)].concat();
    let graph = [
        field(1, &node.concat()),
        field(2, b"graph"),
        field(11, &value(b"x")),
        field(12, &value(b"y")),
    ];
    [number(1, 8), field(7, &graph.concat()), field(8, &number(2, 17))].concat()
}

/// Encodes a model that reshapes six floats to the length in its second input, which no guess gets right.
fn reshaping_model() -> Vec<u8> {
    let node = [field(1, b"x"), field(1, b"shape"), field(2, b"y"), field(4, b"Reshape")];
    let value = |name: &[u8], element: u8, sizes: &[u8]| {
        let dims: Vec<u8> = sizes.iter().flat_map(|size| field(1, &number(1, *size))).collect();
        let shape = field(2, &dims);
        let tensor = field(1, &[number(1, element), shape].concat());
        [field(1, name), field(2, &tensor)].concat()
    };
    let graph = [
        field(1, &node.concat()),
        field(2, b"graph"),
        field(11, &value(b"x", 1, &[2, 3])),
        field(11, &value(b"shape", 7, &[1])),
        field(12, &value(b"y", 1, &[6])),
    ];
    [number(1, 8), field(7, &graph.concat()), field(8, &number(2, 17))].concat()
}

/// Encodes an array file of zeros.
fn npy(kind: &str, item: usize, shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().fold(String::new(), |text, size| format!("{text}{size}, "));
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sizes}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let zeros = vec![0; item * shape.iter().product::<usize>()];
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &zeros].concat()
}

#[test]
fn rejects_files_that_are_not_models() {
    let mut runs = Transcript::new();
    let whole = fs::read(model("detector")).unwrap();
    runs.home.write("cut.onnx", &whole[..whole.len() / 2]);
    runs.home.write("text.onnx", "To whom it may concern,\n");
    runs.home.write("empty.onnx", "");
    runs.home.write("unknown.onnx", model_of("Frobnicate"));
    fs::create_dir(runs.home.path("folder.onnx")).unwrap();
    for name in ["gone", "cut", "text", "empty", "folder", "unknown"] {
        runs.refused(&["--engine", "rten", &format!("{name}.onnx")]);
    }
    // with a known operator, the model is valid
    runs.home.write("known.onnx", model_of("Relu"));
    let mut known = runs.home.divvy();
    known.args(["--engine", "rten", "known.onnx", "--headless", "--for", "100ms"]);
    assert_eq!(runs.home.run(known).status.code(), Some(0));
    // all faults are reported at once
    runs.refused(&["--engine", "rten", "gone.onnx", "text.onnx"]);
    insta::assert_snapshot!("models", runs.text());
}

#[test]
fn record_argument_is_checked_first() {
    let home = Home::new();
    home.write("known.onnx", model_of("Relu"));
    home.write("old.npz", "");
    let refusal = |arguments: &[&str]| {
        let mut command = home.divvy();
        command.args(["--engine", "rten", "known.onnx", "--headless", "--for", "100ms"]);
        command.args(arguments);
        let output = home.run(command);
        assert_eq!(output.status.code(), Some(2), "{}", output.err);
        output.err
    };
    for (arguments, words) in [
        (&["--record", "other=a.npz"][..], "the layout has no such model, only known"),
        (&["--record", "known=old.npz"], "it exists already; remove it, or name another file"),
        (&["--record", "known=gone/a.npz"], "there is no folder gone"),
        (&["--record", "known=a.npz", "--record", "known=b.npz"], "recorded twice"),
        (&["--record", "known=a.npz:0"], "must be 1 to 1000000"),
    ] {
        let error = refusal(arguments);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn strict_run_serves_a_model_without_a_guess() {
    let home = Home::new();
    home.write("reshape.onnx", reshaping_model());
    let row = "version = 1\n[[model]]\nname = \"m\"\npath = \"reshape.onnx\"\nengine = \"rten\"\n";
    home.write("served.toml", row);
    home.write("loaded.toml", format!("{row}load = {{ kind = \"constant\", rate = 5 }}\n"));
    let run = |layout: &str| {
        let mut command = home.divvy();
        command.args([layout, "--strict", "--headless", "--for", "300ms"]);
        home.run(command)
    };
    let served = run("served.toml");
    assert_eq!(served.status.code(), Some(0), "{}", served.err);
    assert!(
        served.out.contains("m was not tried: its guessed trial request failed"),
        "{}",
        served.out
    );
    assert!(served.err.contains("m: not tried"), "{}", served.err);
    let refused = run("loaded.toml");
    assert_eq!(refused.status.code(), Some(2), "{}", refused.err);
    assert!(refused.err.contains("its trial request failed"), "{}", refused.err);
}

#[test]
fn rejects_invalid_arguments() {
    let mut runs = Transcript::new();
    fs::create_dir(runs.home.path("folder")).unwrap();
    let odd = OsString::from_vec(b"odd\xff.onnx".to_vec());
    runs.refused(&["frobnicate"]);
    runs.refused(&["ranker.onnx", "layout.toml"]);
    runs.refused(&["a.toml", "b.toml"]);
    runs.refused(&["a.toml", "-"]);
    runs.refused(&["folder"]);
    runs.refused(&["--demo", "--last"]);
    runs.refused(&["--pid", "1"]);
    runs.refused(&["--pid", "2147483647"]);
    runs.refused(&["--match", "bin/server"]);
    runs.refused(&["--config", "gone.toml"]);
    runs.refused(&["--layout-dir", "ranker.onnx"]);
    runs.refused(&["--state-dir", "ranker.onnx"]);
    runs.refused(&["--last"]);
    runs.refused(&[&odd]);
    runs.refused(&["--cores", "1023"]);
    runs.refused(&["--cores", "three"]);
    runs.refused(&["--interval", "5 parsecs"]);
    runs.refused(&["--interval", "0s"]);
    runs.refused(&["--engine", "tensorflow"]);
    insta::assert_snapshot!("arguments", runs.text());
}

#[test]
fn rejects_layouts_with_faults() {
    let mut runs = Transcript::new();
    fs::create_dir(runs.home.path("folder.toml")).unwrap();
    runs.home.write("not-utf8.toml", b"version = 1\n# caf\xe9\n");
    runs.refused(&["gone.toml"]);
    runs.refused(&["folder.toml"]);
    runs.refused(&["not-utf8.toml"]);
    for (name, lines) in [
        ("unknown-key", "colour = \"red\""),
        ("unknown-unit", "queue = { timeout = \"5 parsecs\" }"),
        ("lacking-core", "cores = \"1023\""),
        ("no-concurrency", "concurrency = 0"),
        ("huge-queue", "queue = { limit = 2147483648 }"),
        ("queue-in-bytes", "queue = { limit = \"2 GiB\" }"),
        ("rate-below-zero", "load = { kind = \"poisson\", rate = -1 }"),
        ("rate-not-a-number", "load = { kind = \"poisson\", rate = nan }"),
        ("several", "colour = \"red\"\nconcurrency = 0\nload = { kind = \"poisson\", rate = -1 }"),
    ] {
        let file = runs.layout(name, lines);
        runs.refused(&[file]);
    }
    let twice = "[[model]]\nname = \"same\"\npath = \"ranker.onnx\"\n".repeat(2);
    runs.home.write("twice.toml", format!("version = 1\n{twice}"));
    runs.refused(&["twice.toml"]);
    // a folder and a missing file as models
    let path = |path: &str| {
        format!("version = 1\n[[model]]\nname = \"m\"\npath = {path:?}\nengine = \"rten\"\n")
    };
    runs.home.write("model-folder.toml", path("."));
    runs.refused(&["model-folder.toml"]);
    runs.home.write("model-gone.toml", path("elsewhere/gone.onnx"));
    runs.refused(&["model-gone.toml"]);
    insta::assert_snapshot!("layouts", runs.text());
}

#[test]
fn rejects_pipes_devices_sockets() {
    let mut runs = Transcript::new();
    let pipe = runs.home.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from(0o600)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(runs.home.path("socket")).unwrap();
    for path in ["pipe", "socket", "/dev/zero"] {
        runs.refused(&[path]);
        runs.refused(&["--config", path]);
        runs.refused(&["--ort-dylib", path, "--engine", "onnxruntime", "ranker.onnx"]);
    }
    for (name, lines) in [
        ("pipe-replay", "load = { kind = \"replay\", file = \"pipe\" }"),
        ("pipe-input", "inputs.image = { npy = \"pipe\" }"),
    ] {
        let file = runs.layout(name, lines);
        runs.refused(&[file]);
    }
    let row = "version = 1\n[[model]]\nname = \"m\"\npath = \"pipe\"\n";
    runs.home.write("pipe-model.toml", row);
    runs.refused(&["pipe-model.toml"]);
    for folder in ["state", "layouts"] {
        fs::create_dir_all(runs.home.path(folder)).unwrap();
    }
    fs::rename(&pipe, runs.home.path("state/divvy.log")).unwrap();
    runs.refused(&["--state-dir", "state"]);
    fs::rename(runs.home.path("state/divvy.log"), runs.home.path("a.onnx")).unwrap();
    runs.refused(&["a.onnx"]);
    fs::rename(runs.home.path("a.onnx"), runs.home.path("a.toml")).unwrap();
    runs.refused(&["a.toml"]);
    insta::assert_snapshot!("special-files", runs.text());
}

/// Runs `divvy check` on these arguments with this text on standard input.
fn check(home: &Home, arguments: &[&str], stdin: &str) -> binary::RunOutput {
    let mut command = home.divvy();
    let input = home.write("stdin", stdin);
    command.arg("check").args(arguments).stdin(fs::File::open(input).unwrap());
    home.run(command)
}

#[test]
fn check_rejects_a_pipe() {
    let home = Home::new();
    let pipe = home.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from(0o600)).unwrap();
    let run = check(&home, &["pipe"], "");
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert!(run.err.contains("named pipe (FIFO)"), "{}", run.err);
}

#[test]
fn snapshot_rejects_a_pipe() {
    let home = Home::new();
    let pipe = home.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from(0o600)).unwrap();
    let mut command = home.divvy();
    command.args(["snapshot", "pipe", "--svg", "frame.svg"]);
    let run = home.run(command);
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert!(run.err.contains("named pipe (FIFO)"), "{}", run.err);
}

#[test]
fn check_reads_standard_input() {
    let home = Home::new();
    fs::copy(model("ranker"), home.path("ranker.onnx")).unwrap();
    let layout = "version = 1\n[[model]]\nname = \"a\"\npath = \"ranker.onnx\"\n";
    let run = check(&home, &["-"], layout);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(run.out.starts_with("standard input: OK, 1 model"), "{}", run.out);
    let run = check(&home, &["-"], "version = 1\ncolour = 1\n");
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert!(run.err.contains("standard input"), "{}", run.err);
}

#[test]
fn layout_from_standard_input_runs() {
    let home = Home::new();
    fs::copy(model("ranker"), home.path("ranker.onnx")).unwrap();
    let layout = "version = 1\n[[model]]\nname = \"a\"\npath = \"ranker.onnx\"\n";
    let mut command = home.divvy();
    command.args(["-", "--headless", "--engine", "rten", "--for", "100ms"]);
    command.stdin(fs::File::open(home.write("stdin", layout)).unwrap());
    let run = home.run(command);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(run.out.contains("whole run"), "{}", run.out);
}

#[test]
fn check_reports_names_the_model_lacks() {
    let mut runs = Transcript::new();
    for (name, lines) in [
        ("no-dimension", "dims = { \"x:0\" = 1 }"),
        ("no-input", "inputs.picture = { zeros = true }"),
    ] {
        let file = runs.layout(name, lines);
        runs.refused(&[&file]);
        let run = check(&runs.home, &[&file], "");
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        writeln!(runs.text, "$ divvy check {file}\n{}", run.err).unwrap();
    }
    runs.home.write("text.onnx", "not a model");
    let row = "version = 1\n[[model]]\nname = \"m\"\npath = \"text.onnx\"\n";
    runs.home.write("text.toml", row);
    let run = check(&runs.home, &["text.toml"], "");
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    writeln!(runs.text, "$ divvy check text.toml\n{}", run.err).unwrap();
    insta::assert_snapshot!("model-names", runs.text());
}

#[test]
fn rejects_core_reserved_twice() {
    let mut runs = Transcript::new();
    let core = binary::allowed().iter().next().unwrap();
    let row = |name: &str| {
        format!(
            "[[model]]\nname = \"{name}\"\npath = \"ranker.onnx\"\ncores = \"{core}\"\nreserve = true\n"
        )
    };
    runs.home.write("reserved.toml", format!("version = 1\n{}{}", row("first"), row("second")));
    runs.refused(&["reserved.toml"]);
    for part in [
        format!("`first` and `second` both reserve CPU {core}"),
        "reserved.toml:10:9".to_owned(),
        "remove `reserve` to share".to_owned(),
    ] {
        assert!(runs.text.contains(&part), "{part} in\n{}", runs.text);
    }
}

#[test]
fn rejects_inputs_that_do_not_fit() {
    let mut runs = Transcript::new();
    runs.home.write("float64.npy", npy("<f8", 8, &[1, 3, 8, 8]));
    runs.home.write("flat.npy", npy("<f4", 4, &[192]));
    runs.home.write("four-channels.npy", npy("<f4", 4, &[1, 4, 8, 8]));
    runs.home.write("text.npy", "1, 2, 3\n");
    for (name, lines) in [
        ("wrong-type", "inputs.image = { npy = \"float64.npy\" }"),
        ("wrong-rank", "inputs.image = { npy = \"flat.npy\" }"),
        ("wrong-shape", "inputs.image = { npy = \"four-channels.npy\" }"),
        ("not-npy", "inputs.image = { npy = \"text.npy\" }"),
        ("no-file", "inputs.image = { npy = \"gone.npy\" }"),
        ("no-such-input", "inputs.picture = { zeros = true }"),
        ("no-such-dimension", "dims = { batches = 2 }"),
    ] {
        let file = runs.layout(name, lines);
        runs.refused(&[file]);
    }
    insta::assert_snapshot!("inputs", runs.text());
}

#[test]
fn rejects_other_libraries() {
    let mut runs = Transcript::new();
    runs.home.write("text.so", "not a library\n");
    fs::create_dir(runs.home.path("folder")).unwrap();
    // the C library of this process is a library, but not ONNX Runtime
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps.split_whitespace().find(|word| word.contains("/libc.so")).map(str::to_owned);
    let named = ["text.so", "folder", "gone.so"].map(str::to_owned);
    for library in named.into_iter().chain(libc.clone()) {
        runs.refused_with(&["ranker.onnx"], |command| command.env("ORT_DYLIB_PATH", &library));
        runs.refused(&["ranker.onnx", "--ort-dylib", &library]);
    }
    // a fault of all models is reported once
    runs.refused_with(&["ranker.onnx", "detector.onnx"], |command| {
        command.env("ORT_DYLIB_PATH", "text.so")
    });
    let Some(libc) = libc else {
        println!("skipped: this process has no libc.so to name");
        return;
    };
    insta::assert_snapshot!("libraries", runs.text().replace(&libc, "[libc]"));
}

/// The user `nobody`, who cannot read every file as root can.
const NOBODY: u32 = 65534;

#[test]
fn rejects_unreadable_files() {
    let mut runs = Transcript::new();
    for name in ["closed.onnx", "closed.toml"] {
        runs.home.write(name, "version = 1\n");
        fs::set_permissions(runs.home.path(name), Permissions::from_mode(0o000)).unwrap();
    }
    let root = rustix::process::geteuid().is_root();
    let copy = runs.home.path("divvy");
    if root {
        // nobody must be able to run the binary
        fs::copy(DIVVY, &copy).unwrap();
        fs::set_permissions(runs.home.path(""), Permissions::from_mode(0o755)).unwrap();
        let mut probe = Command::new(&copy);
        let reached = probe.arg("--version").uid(NOBODY).gid(NOBODY).output();
        if !reached.is_ok_and(|output| output.status.success()) {
            println!("skipped: root reads every file, and cannot become another user here");
            return;
        }
    }
    for name in ["closed.onnx", "closed.toml"] {
        let run = if root {
            let mut command = runs.home.command(&copy);
            command.uid(NOBODY).gid(NOBODY).args([name, "--headless"]);
            runs.home.run(command)
        } else {
            let mut command = runs.home.divvy();
            command.args([name, "--headless"]);
            runs.home.run(command)
        };
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        assert_eq!(run.out, "");
        writeln!(runs.text, "$ divvy {name}\n{}", run.err).unwrap();
    }
    assert!(Path::new(&runs.home.path("closed.onnx")).exists());
    insta::assert_snapshot!("unreadable", runs.text());
}
