//! The arrangements that are compared.

use crate::engine::InstanceSetup;
use crate::machine::{CoreId, CpuSet};

/// How one model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub setup: InstanceSetup,
    pub instances: usize,
    pub cores: CpuSet,
}

impl Place {
    /// "2 x 1 thread on 0-1".
    pub fn words(&self) -> String {
        let InstanceSetup { threads, spinning } = self.setup;
        let spins = if spinning { ", spinning" } else { "" };
        let unit = if threads == 1 { "thread" } else { "threads" };
        format!("{} x {threads} {unit}{spins} on {}", self.instances, self.cores)
    }

    fn single(instances: usize, cores: CpuSet) -> Self {
        Self { setup: InstanceSetup { threads: 1, spinning: false }, instances, cores }
    }
}

/// One row: a place for each model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrangement {
    pub name: String,
    pub divided: bool,
    pub places: Vec<Place>,
}

/// All of them, the default first: a session a model with all cores. Its callers queue for it, which
/// serves them better than running in it all at once.
pub fn arrangements(names: &[String], all: &CpuSet) -> Vec<Arrangement> {
    let cores: Vec<CoreId> = all.iter().collect();
    let count = cores.len();
    let same = |name: &str, divided: bool, place: Place| Arrangement {
        name: name.to_owned(),
        divided,
        places: names.iter().map(|_| place).collect(),
    };
    let wide = InstanceSetup { threads: count, spinning: true };
    let mut rows = vec![
        same("default: a session a model", false, Place { setup: wide, instances: 1, cores: *all }),
        same("a session a caller", false, Place { setup: wide, instances: 4, cores: *all }),
        same("bounded to 1, unpinned", true, Place::single(1, *all)),
    ];
    if count < 2 {
        return rows;
    }
    rows.push(same(&format!("bounded to {count}, unpinned"), true, Place::single(count, *all)));
    if names.len() < 2 {
        return rows;
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
        for count in [1, 2, 3, 4, 7, 64] {
            let all = CpuSet::first(count);
            let rows = arrangements(&names, &all);
            assert_eq!(rows.len(), [3, 7, 8][count.min(3) - 1]);
            assert!(!rows[0].divided);
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
        let setup = InstanceSetup { threads: 2, spinning: true };
        assert_eq!(Place { setup, ..place }.words(), "2 x 2 threads, spinning on 0-1");
    }
}
