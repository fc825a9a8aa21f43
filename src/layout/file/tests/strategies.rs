//! Random layouts.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::layout::{
    Auto, Budget, Bytes, CoreRequest, EngineChoice, GpuId, InputSpec, Layout, LoadSpec,
    ModelSource, Objective, Overflow, ProcessCommand, ProcessFilter, ProcessSelector,
    ProcessSource, QueuePolicy, ReplayOrder, RestartPolicy, Slo,
};
use crate::machine::{CoreId, CpuSet};

fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "[a-zA-Z0-9 ._\"'\\\\#=\u{e9}\u{4e2d}-]{0,20}[a-z]"]
}

fn duration() -> impl Strategy<Value = Duration> {
    (1u64..86_400_000_000).prop_map(Duration::from_micros)
}

fn auto() -> impl Strategy<Value = Auto> {
    prop_oneof![Just(Auto::Auto), (1usize..=1024).prop_map(Auto::Exactly)]
}

fn cores() -> impl Strategy<Value = CoreRequest> {
    prop_oneof![
        prop::collection::btree_set(0u16..1024, 1..20)
            .prop_map(|ids| CoreRequest::List(ids.into_iter().map(CoreId).collect::<CpuSet>())),
        (0usize..=1024).prop_map(CoreRequest::Count),
        (1u32..=10_000).prop_map(|share| CoreRequest::Share(f64::from(share) / 100.0)),
    ]
}

fn load() -> impl Strategy<Value = LoadSpec> {
    let rate = || (1u32..=1_000_000_000).prop_map(|rate| f64::from(rate) / 1000.0);
    let order = prop_oneof![Just(ReplayOrder::Recorded), Just(ReplayOrder::Shuffled)];
    let carry = prop::collection::btree_map(names(), names(), 0..3);
    prop_oneof![
        rate().prop_map(|rate| LoadSpec::Poisson { rate }),
        rate().prop_map(|rate| LoadSpec::Constant { rate }),
        (1usize..=10_000, prop::option::of(duration())).prop_map(|(clients, think)| {
            LoadSpec::Closed { clients, think: think.unwrap_or_default() }
        }),
        (order, prop::option::of(rate()), carry).prop_map(|(order, rate, carry)| {
            LoadSpec::Replay { file: "/r/x.npz".into(), order, rate, carry }
        }),
    ]
}

fn inputs() -> impl Strategy<Value = BTreeMap<String, InputSpec>> {
    let input = prop_oneof![
        (-1000i32..1000, 1i32..1000).prop_map(|(low, width)| {
            InputSpec::Range(f64::from(low) / 4.0, f64::from(low + width * 4) / 4.0)
        }),
        Just(InputSpec::Zeros),
        Just(InputSpec::Npy("/r/in put.npy".into())),
    ];
    prop::collection::btree_map(names(), input, 0..3)
}

prop_compose! {
    fn budget()(
        name in names(),
        file in prop_oneof![Just("/r/m/a.onnx"), Just("/b.onnx"), Just("/r/l/c d.onnx")],
        embedded in any::<bool>(),
        engine in prop_oneof![
            Just(EngineChoice::Auto), Just(EngineChoice::OnnxRuntime), Just(EngineChoice::Rten)
        ],
        (cores, reserve, paused, latency) in (cores(), any::<bool>(), any::<bool>(), any::<bool>()),
        (threads, concurrency) in (auto(), auto()),
        (spinning, weight) in (prop::option::of(any::<bool>()), 1u32..=64),
        memory in prop::option::of((1u64..1 << 50).prop_map(Bytes)),
        (limit, timeout, block) in
            (1usize..=1_000_000, prop::option::of(duration()), any::<bool>()),
        slo in prop::option::of((
            prop_oneof![Just(50.0), Just(90.0), Just(95.0), Just(99.0), Just(99.9)], duration()
        )),
        load in prop::option::of(load()),
        dims in prop::collection::btree_map(names(), 1usize..100_000, 0..3),
        inputs in inputs(),
        gpu in gpu(),
        (version, levels) in ("[!-.0-~é]{1,64}", 1u8..=100),
    ) -> Budget {
        // the engine rten has no GPU
        let (gpu, gpu_memory) = if engine == EngineChoice::Rten { (None, None) } else { gpu };
        let overflow = if block { Overflow::Block } else { Overflow::Reject };
        Budget {
            name,
            source: if embedded {
                ModelSource::Embedded("ranker.onnx".into())
            } else {
                ModelSource::File(file.into())
            }
            .into(),
            engine, cores, reserve, threads, concurrency,
            objective: if latency { Objective::Latency } else { Objective::Throughput },
            spinning, weight, memory, gpu, gpu_memory,
            queue: QueuePolicy { limit, timeout, overflow, levels },
            version,
            slo: slo.map(|(percentile, bound)| Slo { percentile, bound }),
            load, dims, inputs, paused,
        }
    }
}

/// A GPU with or without a limit, or none.
fn gpu() -> impl Strategy<Value = (Option<GpuId>, Option<Bytes>)> {
    let id = prop_oneof![
        (0u32..=63).prop_map(GpuId::Index),
        "GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".prop_map(GpuId::Uuid),
        "MIG-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".prop_map(GpuId::Mig),
    ];
    prop::option::of((id, prop::option::of((1u64..1 << 50).prop_map(Bytes))))
        .prop_map(|gpu| gpu.map_or((None, None), |(id, limit)| (Some(id), limit)))
}

fn selector() -> impl Strategy<Value = ProcessSelector> {
    let restart = prop_oneof![
        Just(RestartPolicy::Never),
        Just(RestartPolicy::OnFailure),
        Just(RestartPolicy::Always)
    ];
    let dir = prop_oneof![Just("/r/l"), Just("/r/l/a b"), Just("/srv")];
    let env = prop::collection::btree_map("[A-Z_]{1,6}", "[ -~\u{e9}\n]{0,9}", 0..3);
    let args = (names(), prop::collection::vec("[ -~\u{e9}\n]{0,9}", 0..3));
    prop_oneof![
        prop_oneof![Just("redis-server"), Just("/opt/my programs/x")]
            .prop_map(|exe| ProcessSelector::Exe(exe.into())),
        (1i32..).prop_map(ProcessSelector::Pid),
        Just(ProcessSelector::Cgroup("/system.slice/a\\x2db.service".into())),
        (args, prop::option::of(dir), env, restart).prop_map(
            |((program, rest), dir, env, restart)| {
                let args = std::iter::once(program).chain(rest).collect();
                let dir = dir.map(Into::into);
                ProcessSelector::Command(ProcessCommand { args, dir, env, restart })
            }
        ),
    ]
}

prop_compose! {
    fn process()(
        name in names(),
        selector in selector(),
        (cmdline, user) in (prop::option::of(names()), prop::option::of(names())),
        cwd in prop::option::of(Just("/srv/x y".into())),
        has_metrics in any::<bool>(),
        cores in prop::option::of(cores()),
        (reserve, weight) in (any::<bool>(), 1u32..=64),
        memory in prop::option::of((1u64..1 << 50).prop_map(Bytes)),
        slo in prop::option::of(duration()),
    ) -> Budget {
        let filter = match selector {
            ProcessSelector::Command(_) => ProcessFilter::default(),
            _ => ProcessFilter { cmdline, user, cwd },
        };
        let metrics = has_metrics.then(|| "http://127.0.0.1:8002/metrics#\"x\"".to_owned());
        let slo = slo.map(|bound| Slo { percentile: 99.0, bound });
        // no cores are written as none
        let none = CoreRequest::List(CpuSet::EMPTY);
        let cores = cores.filter(|cores| *cores != CoreRequest::Count(0)).unwrap_or(none);
        let source = ProcessSource { selector, filter, metrics };
        Budget { cores, reserve, weight, memory, slo, ..Budget::new(name, source) }
    }
}

prop_compose! {
    pub(super) fn layout()(
        description in "[ -~\u{e9}\n]{0,40}",
        rows in prop::collection::vec(prop_oneof![budget(), process()], 1..6),
    )
        -> Layout
    {
        let mut models: Vec<Budget> = Vec::new();
        for row in rows {
            if models.iter().all(|model| model.name != row.name) {
                models.push(row);
            }
        }
        Layout { description, models }
    }
}
