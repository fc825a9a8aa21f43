//! The arrangements that are compared.

use crate::engine::InstanceSetup;
use crate::machine::{CoreId, CpuSet};

/// How one model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub setup: InstanceSetup,
    pub instances: usize,
    pub cores: CpuSet,
    /// Whether all instances are calls into one session.
    pub inside: bool,
    /// How its threads stand beside others.
    pub nice: i32,
}

impl Place {
    /// "2 x 1 thread on 0-1".
    pub(super) fn words(&self) -> String {
        let InstanceSetup { threads, spinning, device: _ } = self.setup;
        let spins = if spinning { ", spinning" } else { "" };
        let unit = if threads == 1 { "thread" } else { "threads" };
        let low = if self.nice > 0 { format!(", nice {}", self.nice) } else { String::new() };
        let count = self.instances;
        if self.inside {
            return format!(
                "{count} calls at once in 1 x {threads} {unit}{spins} on {}",
                self.cores
            );
        }
        format!("{count} x {threads} {unit}{spins} on {}{low}", self.cores)
    }

    fn single(instances: usize, cores: CpuSet) -> Self {
        let setup = InstanceSetup::cpu(1);
        Self { setup, instances, cores, inside: false, nice: 0 }
    }
}

/// One row: a place for each model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrangement {
    pub name: String,
    pub divided: bool,
    pub places: Vec<Place>,
}

/// The nice value of models that stand behind another, as the largest weight gives it.
const LOWEST: i32 = 19;

/// Callers of a closed loop.
pub(super) const CLIENTS: usize = 4;

/// What is known of the models.
pub(super) struct Cast<'a> {
    pub names: &'a [String],
    /// Whether one session can be called from several places at once.
    pub inside: bool,
    /// The lightest model, which is under an open loop.
    pub light: Option<usize>,
}

/// All of them, the default first: a session a model with all cores, its callers in it all at once;
/// where the engine has no such thing, queueing for it, which serves them better.
pub(super) fn arrangements(cast: &Cast<'_>, all: &CpuSet) -> Vec<Arrangement> {
    let names = cast.names;
    let cores: Vec<CoreId> = all.iter().collect();
    let count = cores.len();
    let same = |name: &str, divided: bool, place: Place| Arrangement {
        name: name.to_owned(),
        divided,
        places: names.iter().map(|_| place).collect(),
    };
    let setup = InstanceSetup { spinning: true, ..InstanceSetup::cpu(count) };
    let wide = Place { setup, instances: 1, cores: *all, inside: false, nice: 0 };
    let inside = Place { instances: CLIENTS, inside: true, ..wide };
    let mut rows = Vec::new();
    if cast.inside {
        rows.push(same("default: a session a model", false, inside));
    }
    rows.extend([
        same("default, callers in a queue", false, wide),
        same("a session a caller", false, Place { instances: CLIENTS, ..wide }),
        same("bounded to 1, unpinned", true, Place::single(1, *all)),
    ]);
    if count < 2 {
        return rows;
    }
    rows.push(same(&format!("bounded to {count}, unpinned"), true, Place::single(count, *all)));
    if names.len() < 2 {
        return rows;
    }
    if let Some(light) = cast.light {
        let place = |at: usize| {
            let nice = if at == light { 0 } else { LOWEST };
            Place { nice, ..Place::single(count, *all) }
        };
        rows.push(Arrangement {
            name: format!("the same, {} ahead", names.get(light).map_or("", String::as_str)),
            divided: true,
            places: (0..names.len()).map(place).collect(),
        });
    }
    // One model alone on its part of the cores, the others together on the rest.
    let part = (count / names.len()).max(1);
    let own: CpuSet = cores.iter().rev().take(part).copied().collect();
    let rest = all.difference(&own);
    for (alone, name) in names.iter().enumerate() {
        let place = |at: usize| {
            let cores = if at == alone { own } else { rest };
            Place::single(cores.len(), cores)
        };
        rows.push(Arrangement {
            name: format!("{name} alone"),
            divided: true,
            places: (0..names.len()).map(place).collect(),
        });
    }
    if count >= names.len() && names.len() > 2 {
        let places = cores.chunks(part).take(names.len()).map(|cores| {
            let cores: CpuSet = cores.iter().copied().collect();
            Place::single(cores.len(), cores)
        });
        rows.push(Arrangement {
            name: "each alone".to_owned(),
            divided: true,
            places: places.collect(),
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_places_every_model_on_cores_that_are_there() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        for (count, inside) in
            [(1, false), (2, false), (3, true), (4, false), (7, true), (64, true)]
        {
            let all = CpuSet::first(count);
            let rows = arrangements(&Cast { names: &names, inside, light: Some(2) }, &all);
            assert_eq!(rows.len(), [3, 8, 9][count.min(3) - 1] + usize::from(inside));
            assert!(rows[0].name.starts_with("default") && !rows[0].divided);
            assert_eq!(rows[0].places[0].inside, inside);
            for row in rows {
                assert_eq!(row.places.len(), 3, "{}", row.name);
                for place in row.places {
                    assert!(!place.cores.is_empty() && place.cores.is_subset(&all));
                    assert!(place.instances >= 1 && place.setup.threads <= count);
                }
            }
        }
    }

    #[test]
    fn a_place_says_its_whole_configuration() {
        let place = Place::single(2, CpuSet::first(2));
        assert_eq!(place.words(), "2 x 1 thread on 0-1");
        assert_eq!(Place { nice: 19, ..place }.words(), "2 x 1 thread on 0-1, nice 19");
        let setup = InstanceSetup { spinning: true, ..InstanceSetup::cpu(2) };
        assert_eq!(Place { setup, ..place }.words(), "2 x 2 threads, spinning on 0-1");
        let inside = Place { setup, instances: 4, inside: true, ..place };
        assert_eq!(inside.words(), "4 calls at once in 1 x 2 threads, spinning on 0-1");
    }
}
