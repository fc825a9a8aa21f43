//! The GPU pane from the fake NVML, in the real binary in a pseudo-terminal: it shows the GPUs, and
//! a model dragged onto one stays on the CPU if the engine supports none.
#![cfg(target_os = "linux")]
// clippy allows these in test functions, not in what test functions call
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binary;
mod fake_nvml;
mod terminal;

use binary::{DIVVY, Home};
use divvy::telemetry::gpu::LIBRARY_VARIABLE;
use fake_nvml::{FakeNvml, GPU_IS_LOST, TWO_GPUS};
use terminal::Session;

const SIZE: (u16, u16) = (160, 40);

/// Column and row, from 0, of a text on the screen.
fn place(rows: &[String], line: &str, text: &str) -> Option<(u16, u16)> {
    rows.iter().enumerate().find_map(|(y, row)| {
        let row = Some(row).filter(|row| row.contains(line))?;
        let column = row[..row.find(text)?].chars().count();
        Some((u16::try_from(column).unwrap(), u16::try_from(y).unwrap()))
    })
}

fn open(home: &Home, fake: &FakeNvml) -> Session {
    let model = binary::model("ranker").display().to_string();
    let layout = home.write(
        "gpus.toml",
        format!(
            "version = 1\n[[model]]\nname = \"ranker\"\npath = {model:?}\ncores = 1\n\
             load = {{ kind = \"closed\", clients = 1, think = \"50ms\" }}\n"
        ),
    );
    let library = fake.library().display().to_string();
    let arguments = [layout.to_str().unwrap(), "--engine", "rten"];
    Session::start_with(home, DIVVY, &arguments, SIZE, &[(LIBRARY_VARIABLE, &library)])
}

#[test]
fn gpus_are_shown_with_their_faults() {
    let fake = FakeNvml::new(TWO_GPUS);
    let home = Home::new();
    let mut session = open(&home, &fake);
    session.until("both GPUs", |rows| {
        place(rows, "GPU CPU", "2 found")?;
        let first = rows.iter().find(|row| row.contains("NVIDIA RTX Imaginary"))?;
        let figures = ["use now  87%", "6144M/24.0G", "212 W", "71 °C"];
        figures.iter().all(|figure| first.contains(figure)).then_some(())?;
        place(rows, "    MIG", "2 3g.40gb")
    });
    fake.set(&[("error.gpu0", &GPU_IS_LOST.to_string())]);
    session.until_text("fell off the bus");
}

#[test]
fn model_stays_on_the_cpu_without_a_gpu_engine() {
    let fake = FakeNvml::new(&TWO_GPUS.replace("gpu1.mig = 1", "gpu1.mig = 0"));
    let home = Home::new();
    let mut session = open(&home, &fake);
    let (from, to) = session.until("the model and the GPU", |rows| {
        let from = place(rows, "1×1", "CPU ")?;
        Some((from, place(rows, "NVIDIA RTX Imaginary", "NVIDIA")?))
    });
    session.press_and_carry(from, to);
    session.until_text("ranker moves to GPU 0");
    session.mouse(0, to, 'm');
    // the build fails, the scheduler rolls the row back, and the screen shows the reason
    session.until_text("ranker moves to the CPU");
    session.until("the old place", |rows| place(rows, "1×1", "CPU "));
    session.send("J");
    session.until_text("rten runs models on the CPU only");
}
