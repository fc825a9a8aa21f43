//! The arrangements to compare.

use crate::engine::InstanceSetup;
use crate::machine::{CoreId, CpuSet};

/// Instances, threads and CPUs of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModelPlacement {
    pub setup: InstanceSetup,
    pub instances: usize,
    pub cores: CpuSet,
    /// True if all instances are concurrent calls of one session.
    pub one_session: bool,
    /// The nice value of its threads.
    pub nice: i32,
}

impl ModelPlacement {
    /// Returns a text such as "2 x 1 thread on 0-1".
    pub(super) fn description(&self) -> String {
        let InstanceSetup { threads, spinning, device: _ } = self.setup;
        let spins = if spinning { ", spinning" } else { "" };
        let unit = if threads == 1 { "thread" } else { "threads" };
        let low = if self.nice > 0 { format!(", nice {}", self.nice) } else { String::new() };
        let count = self.instances;
        if self.one_session {
            return format!(
                "{count} calls at once in 1 x {threads} {unit}{spins} on {}",
                self.cores
            );
        }
        format!("{count} x {threads} {unit}{spins} on {}{low}", self.cores)
    }

    fn single(instances: usize, cores: CpuSet) -> Self {
        let setup = InstanceSetup::cpu(1);
        Self { setup, instances, cores, one_session: false, nice: 0 }
    }
}

/// One row of the comparison: a placement per model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BenchArrangement {
    pub name: String,
    /// True if it divides the cores.
    pub divided: bool,
    pub placements: Vec<ModelPlacement>,
}

/// The nice value of models behind another one, that of the largest weight.
const NICE_BEHIND: i32 = 19;

/// Callers of a closed loop.
pub(super) const CLIENTS: usize = 4;

/// The models of the comparison.
pub(super) struct ModelSet<'a> {
    pub names: &'a [String],
    /// True if one session can run several requests at once.
    pub allows_one_session: bool,
    /// The lightest model, which is under an open loop.
    pub light: Option<usize>,
}

/// Returns all arrangements, the default first: one session per model on all cores, called by all
/// callers at once, or, if the engine cannot do that, by one caller after the other.
pub(super) fn arrangements(set: &ModelSet<'_>, all: &CpuSet) -> Vec<BenchArrangement> {
    let names = set.names;
    let cores: Vec<CoreId> = all.iter().collect();
    let count = cores.len();
    let same = |name: &str, divided: bool, placement: ModelPlacement| BenchArrangement {
        name: name.to_owned(),
        divided,
        placements: names.iter().map(|_| placement).collect(),
    };
    let setup = InstanceSetup { spinning: true, ..InstanceSetup::cpu(count) };
    let wide = ModelPlacement { setup, instances: 1, cores: *all, one_session: false, nice: 0 };
    let shared = ModelPlacement { instances: CLIENTS, one_session: true, ..wide };
    let mut rows = Vec::new();
    if set.allows_one_session {
        rows.push(same("default: one session per model", false, shared));
    }
    rows.extend([
        same("default, callers queue", false, wide),
        same("one session per caller", false, ModelPlacement { instances: CLIENTS, ..wide }),
        same("bounded to 1, unpinned", true, ModelPlacement::single(1, *all)),
    ]);
    if count < 2 {
        return rows;
    }
    rows.push(same(
        &format!("bounded to {count}, unpinned"),
        true,
        ModelPlacement::single(count, *all),
    ));
    if names.len() < 2 {
        return rows;
    }
    if let Some(light) = set.light {
        let placement = |at: usize| {
            let nice = if at == light { 0 } else { NICE_BEHIND };
            ModelPlacement { nice, ..ModelPlacement::single(count, *all) }
        };
        rows.push(BenchArrangement {
            name: format!("the same, {} ahead", names.get(light).map_or("", String::as_str)),
            divided: true,
            placements: (0..names.len()).map(placement).collect(),
        });
    }
    // one model alone on its part of the cores, the others together on the rest
    let part = (count / names.len()).max(1);
    let own: CpuSet = cores.iter().rev().take(part).copied().collect();
    let rest = all.difference(&own);
    for (alone, name) in names.iter().enumerate() {
        let placement = |at: usize| {
            let cores = if at == alone { own } else { rest };
            ModelPlacement::single(cores.len(), cores)
        };
        rows.push(BenchArrangement {
            name: format!("{name} alone"),
            divided: true,
            placements: (0..names.len()).map(placement).collect(),
        });
    }
    if count >= names.len() && names.len() > 2 {
        let placements = cores.chunks(part).take(names.len()).map(|cores| {
            let cores: CpuSet = cores.iter().copied().collect();
            ModelPlacement::single(cores.len(), cores)
        });
        rows.push(BenchArrangement {
            name: "each alone".to_owned(),
            divided: true,
            placements: placements.collect(),
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_gets_allowed_cores() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        for (count, inside) in
            [(1, false), (2, false), (3, true), (4, false), (7, true), (64, true)]
        {
            let all = CpuSet::first(count);
            let rows = arrangements(
                &ModelSet { names: &names, allows_one_session: inside, light: Some(2) },
                &all,
            );
            assert_eq!(rows.len(), [3, 8, 9][count.min(3) - 1] + usize::from(inside));
            assert!(rows[0].name.starts_with("default") && !rows[0].divided);
            assert_eq!(rows[0].placements[0].one_session, inside);
            for row in rows {
                assert_eq!(row.placements.len(), 3, "{}", row.name);
                for placement in row.placements {
                    assert!(!placement.cores.is_empty() && placement.cores.is_subset(&all));
                    assert!(placement.instances >= 1 && placement.setup.threads <= count);
                }
            }
        }
    }

    #[test]
    fn description_names_threads_cores_nice() {
        let placement = ModelPlacement::single(2, CpuSet::first(2));
        assert_eq!(placement.description(), "2 x 1 thread on 0-1");
        assert_eq!(
            ModelPlacement { nice: 19, ..placement }.description(),
            "2 x 1 thread on 0-1, nice 19"
        );
        let setup = InstanceSetup { spinning: true, ..InstanceSetup::cpu(2) };
        assert_eq!(
            ModelPlacement { setup, ..placement }.description(),
            "2 x 2 threads, spinning on 0-1"
        );
        let shared = ModelPlacement { setup, instances: 4, one_session: true, ..placement };
        assert_eq!(shared.description(), "4 calls at once in 1 x 2 threads, spinning on 0-1");
    }
}
