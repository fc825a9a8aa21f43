//! Loops that run one model without a server: one thread per loop, each pinned to a core. Prints requests
//! per second and CPU seconds per request as JSON: the bound that a server of this model can approach.
//!
//! `cargo run --release --example direct MODEL.onnx SHAPE LOOPS SECONDS`, where SHAPE is that of the only
//! input, which takes 32-bit floats, such as `1,3,48,192`.

use std::error::Error;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use divvy::engine::onnxruntime::OnnxRuntime;
use divvy::engine::{Engine, InstanceSetup, NamedTensor, Tensor, TensorData};
use divvy::layout::ModelSource;
use rustix::time::{ClockId, clock_gettime};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, shape, loops, seconds] = arguments.as_slice() else {
        return Err("usage: direct MODEL.onnx SHAPE LOOPS SECONDS".into());
    };
    let (loops, time) = (loops.parse()?, Duration::from_secs_f64(seconds.parse()?));
    let model = OnnxRuntime::find(None)?.load(&ModelSource::File(path.into()))?;
    let shape: Vec<usize> = shape.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let count = shape.iter().product();
    let values = (0..count).map(|at: usize| (at % 251) as f32 / 251.0).collect();
    let tensor = Tensor::new(shape, TensorData::F32(values)).ok_or("the shape is too large")?;
    let input = model.signature().inputs.first().ok_or("the model has no input")?;
    let request = [NamedTensor { name: input.name.clone(), tensor }];
    let cores = core_affinity::get_core_ids().ok_or("the cores are unknown")?;

    let (ready, stop) = (Barrier::new(loops + 1), AtomicBool::new(false));
    let mut instances = Vec::new();
    for at in 0..loops {
        let core = *cores.get(at).ok_or("there are fewer cores than loops")?;
        instances.push((core, model.instance(InstanceSetup::cpu(1))?));
    }
    let (latencies, elapsed, cpu) = thread::scope(|scope| {
        let threads: Vec<_> = instances
            .into_iter()
            .map(|(core, mut instance)| {
                let (ready, stop, inputs) = (&ready, &stop, &request);
                scope.spawn(move || {
                    core_affinity::set_for_current(core);
                    let first = instance.run(inputs).map(drop);
                    ready.wait();
                    let mut latencies = first.map(|()| Vec::new())?;
                    while !stop.load(Ordering::Relaxed) {
                        let start = Instant::now();
                        instance.run(inputs)?;
                        latencies.push(start.elapsed());
                    }
                    Ok::<_, divvy::engine::EngineError>(latencies)
                })
            })
            .collect();
        ready.wait();
        let (start, before) = (Instant::now(), process_cpu());
        thread::sleep(time);
        let (elapsed, cpu) = (start.elapsed(), process_cpu().saturating_sub(before));
        stop.store(true, Ordering::Relaxed);
        let mut latencies = Vec::new();
        for thread in threads {
            latencies.extend(thread.join().map_err(|_| "a loop panicked")??);
        }
        Ok::<_, Box<dyn Error>>((latencies, elapsed, cpu))
    })?;
    let mut sorted = latencies;
    sorted.sort_unstable();
    let count = sorted.len().max(1);
    let percentile = |p: usize| sorted.get(count * p / 100).map_or(0.0, Duration::as_secs_f64);
    println!(
        "{}",
        serde_json::json!({
            "requests_per_s": count as f64 / elapsed.as_secs_f64(),
            "cpu_s_per_request": cpu.as_secs_f64() / count as f64,
            "p50_s": percentile(50),
            "p99_s": percentile(99),
        })
    );
    Ok(())
}

/// Returns the CPU time of this process so far.
fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
