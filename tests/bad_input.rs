//! What a user can get wrong, given to the real binary: exit code 2, nothing on standard output,
//! nothing started, and a message that says what is wrong, where, and what to do. The messages are
//! compared word by word.
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

/// Runs of the binary and what they said, in a form that is the same on every machine.
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

    /// A layout of one model with these lines.
    fn layout(&self, name: &str, lines: &str) -> String {
        let file = format!("{name}.toml");
        let row = "[[model]]\nname = \"detector\"\npath = \"detector.onnx\"\nengine = \"rten\"\n";
        self.home.write(&file, format!("version = 1\n{row}{lines}\n"));
        file
    }

    /// Runs it: it must refuse.
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
        let ended = self.home.run(command);
        assert_eq!(ended.status.code(), Some(2), "{line}: {ended:?}");
        assert_eq!(ended.out, "", "{line}");
        for started in ["whole run", "models ready", "models loaded", "panicked"] {
            assert!(!ended.err.contains(started), "{line}: {}", ended.err);
        }
        writeln!(self.text, "$ {line}\n{}", ended.err).unwrap();
    }

    /// The text without this machine's folders and CPUs.
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

/// A field of a Protocol Buffers message that holds bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    bytes.extend(content);
    bytes
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// A model whose only operator is this one: one tensor of four floats in, one out.
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

/// An array file of zeros.
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
fn models_that_are_none() {
    let mut told = Transcript::new();
    let whole = fs::read(model("detector")).unwrap();
    told.home.write("cut.onnx", &whole[..whole.len() / 2]);
    told.home.write("text.onnx", "To whom it may concern,\n");
    told.home.write("empty.onnx", "");
    told.home.write("unknown.onnx", model_of("Frobnicate"));
    fs::create_dir(told.home.path("folder.onnx")).unwrap();
    for name in ["gone", "cut", "text", "empty", "folder", "unknown"] {
        told.refused(&["--engine", "rten", &format!("{name}.onnx")]);
    }
    // the operator's model is sound but for the operator
    told.home.write("known.onnx", model_of("Relu"));
    let mut known = told.home.divvy();
    known.args(["--engine", "rten", "known.onnx", "--headless", "--for", "100ms"]);
    assert_eq!(told.home.run(known).status.code(), Some(0));
    // all that is wrong is told at once
    told.refused(&["--engine", "rten", "gone.onnx", "text.onnx"]);
    insta::assert_snapshot!("models", told.text());
}

#[test]
fn arguments_that_fit_nothing() {
    let mut told = Transcript::new();
    let odd = OsString::from_vec(b"odd\xff.onnx".to_vec());
    told.refused(&["frobnicate"]);
    told.refused(&["ranker.onnx", "layout.toml"]);
    told.refused(&[&odd]);
    told.refused(&["--cores", "1023"]);
    told.refused(&["--cores", "three"]);
    told.refused(&["--interval", "5 parsecs"]);
    told.refused(&["--interval", "0s"]);
    told.refused(&["--engine", "tensorflow"]);
    insta::assert_snapshot!("arguments", told.text());
}

#[test]
fn layouts_with_faults() {
    let mut told = Transcript::new();
    fs::create_dir(told.home.path("folder.toml")).unwrap();
    told.home.write("not-utf8.toml", b"version = 1\n# caf\xe9\n");
    told.refused(&["gone.toml"]);
    told.refused(&["folder.toml"]);
    told.refused(&["not-utf8.toml"]);
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
        let file = told.layout(name, lines);
        told.refused(&[file]);
    }
    let twice = "[[model]]\nname = \"same\"\npath = \"ranker.onnx\"\n".repeat(2);
    told.home.write("twice.toml", format!("version = 1\n{twice}"));
    told.refused(&["twice.toml"]);
    // a folder and a file that is not there, as models
    let path = |path: &str| {
        format!("version = 1\n[[model]]\nname = \"m\"\npath = {path:?}\nengine = \"rten\"\n")
    };
    told.home.write("model-folder.toml", path("."));
    told.refused(&["model-folder.toml"]);
    told.home.write("model-gone.toml", path("elsewhere/gone.onnx"));
    told.refused(&["model-gone.toml"]);
    insta::assert_snapshot!("layouts", told.text());
}

#[test]
fn two_models_that_reserve_one_core() {
    let mut told = Transcript::new();
    let core = binary::allowed().iter().next().unwrap();
    let row = |name: &str| {
        format!(
            "[[model]]\nname = \"{name}\"\npath = \"ranker.onnx\"\ncores = \"{core}\"\nreserve = true\n"
        )
    };
    told.home.write("reserved.toml", format!("version = 1\n{}{}", row("first"), row("second")));
    told.refused(&["reserved.toml"]);
    for part in [
        format!("`first` and `second` both reserve CPU {core}"),
        "reserved.toml:10:9".to_owned(),
        "take `reserve` away to share".to_owned(),
    ] {
        assert!(told.text.contains(&part), "{part} in\n{}", told.text);
    }
}

#[test]
fn inputs_that_do_not_fit_the_model() {
    let mut told = Transcript::new();
    told.home.write("float64.npy", npy("<f8", 8, &[1, 3, 8, 8]));
    told.home.write("flat.npy", npy("<f4", 4, &[192]));
    told.home.write("four-channels.npy", npy("<f4", 4, &[1, 4, 8, 8]));
    told.home.write("text.npy", "1, 2, 3\n");
    for (name, lines) in [
        ("wrong-type", "inputs.image = { npy = \"float64.npy\" }"),
        ("wrong-rank", "inputs.image = { npy = \"flat.npy\" }"),
        ("wrong-shape", "inputs.image = { npy = \"four-channels.npy\" }"),
        ("not-npy", "inputs.image = { npy = \"text.npy\" }"),
        ("no-file", "inputs.image = { npy = \"gone.npy\" }"),
        ("no-such-input", "inputs.picture = { zeros = true }"),
        ("no-such-dimension", "dims = { batches = 2 }"),
    ] {
        let file = told.layout(name, lines);
        told.refused(&[file]);
    }
    insta::assert_snapshot!("inputs", told.text());
}

#[test]
fn libraries_that_are_not_onnx_runtime() {
    let mut told = Transcript::new();
    told.home.write("text.so", "not a library\n");
    fs::create_dir(told.home.path("folder")).unwrap();
    // the C library of this process: a sound library, and surely not that one
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps.split_whitespace().find(|word| word.contains("/libc.so")).map(str::to_owned);
    let named = ["text.so", "folder", "gone.so"].map(str::to_owned);
    for library in named.into_iter().chain(libc.clone()) {
        told.refused_with(&["ranker.onnx"], |command| command.env("ORT_DYLIB_PATH", &library));
        told.refused(&["ranker.onnx", "--ort-dylib", &library]);
    }
    // one fault of all models is told once
    told.refused_with(&["ranker.onnx", "detector.onnx"], |command| {
        command.env("ORT_DYLIB_PATH", "text.so")
    });
    let Some(libc) = libc else {
        println!("skipped: this process has no libc.so to name");
        return;
    };
    insta::assert_snapshot!("libraries", told.text().replace(&libc, "[libc]"));
}

/// The user `nobody`, from whom a file can be kept where the tests run as root.
const NOBODY: u32 = 65534;

#[test]
fn files_that_may_not_be_read() {
    let mut told = Transcript::new();
    for name in ["closed.onnx", "closed.toml"] {
        told.home.write(name, "version = 1\n");
        fs::set_permissions(told.home.path(name), Permissions::from_mode(0o000)).unwrap();
    }
    let root = rustix::process::geteuid().is_root();
    let copy = told.home.path("divvy");
    if root {
        // nobody must get to the binary, at least
        fs::copy(DIVVY, &copy).unwrap();
        fs::set_permissions(told.home.path(""), Permissions::from_mode(0o755)).unwrap();
        let mut probe = Command::new(&copy);
        let reached = probe.arg("--version").uid(NOBODY).gid(NOBODY).output();
        if !reached.is_ok_and(|output| output.status.success()) {
            println!("skipped: root reads every file, and cannot become another user here");
            return;
        }
    }
    for name in ["closed.onnx", "closed.toml"] {
        let ended = if root {
            let mut command = told.home.command(&copy);
            command.uid(NOBODY).gid(NOBODY).args([name, "--headless"]);
            told.home.run(command)
        } else {
            let mut command = told.home.divvy();
            command.args([name, "--headless"]);
            told.home.run(command)
        };
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert_eq!(ended.out, "");
        writeln!(told.text, "$ divvy {name}\n{}", ended.err).unwrap();
    }
    assert!(Path::new(&told.home.path("closed.onnx")).exists());
    insta::assert_snapshot!("unreadable", told.text());
}
