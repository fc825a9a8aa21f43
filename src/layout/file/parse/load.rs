//! What divvy sends to a model by itself: the `load` and the `inputs` of a row.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::DeTable;

use super::super::keys;
use super::row::set;
use super::{Reader, Value};
use crate::layout::{InputSpec, LoadSpec, ReplayOrder};

/// The most callers of a closed loop.
const MOST_CLIENTS: i64 = 10_000;

impl Reader<'_> {
    /// Reads `load`.
    pub(super) fn load(&mut self, value: &Value<'_>) -> Option<LoadSpec> {
        let help = "write `load = { kind = \"poisson\", rate = 120.0 }`, or leave it out";
        let table = self.table(value, "`load`", help)?;
        let Some(kind) = table.get("kind") else {
            self.fault(value.span(), "this load has no `kind`", help);
            return None;
        };
        let words: Vec<(&str, usize)> =
            keys::LOADS.iter().enumerate().map(|(index, (name, _))| (*name, index)).collect();
        let index = self.one_of(kind, "the `kind` of a load", &words)?;
        let (name, own) = keys::LOADS.get(index)?;
        self.foreign_keys(table, name, own);
        match *name {
            "closed" => self.closed(value, table),
            "replay" => self.replay(value, table),
            open => {
                let Some(rate) = table.get("rate") else {
                    let message = format!("a {open} load has no `rate`");
                    self.fault(value.span(), message, "add requests per second: `rate = 120.0`");
                    return None;
                };
                let rate = self.rate(rate)?;
                Some(match open {
                    "poisson" => LoadSpec::Poisson { rate },
                    _ => LoadSpec::Constant { rate },
                })
            }
        }
    }

    /// Keys that this kind of load does not have.
    fn foreign_keys(&mut self, table: &DeTable<'_>, kind: &str, own: &[&str]) {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if own.contains(&name) {
                continue;
            }
            let others: Vec<&str> = keys::LOADS
                .iter()
                .filter(|(_, keys)| keys.contains(&name))
                .map(|(other, _)| *other)
                .collect();
            if others.is_empty() {
                self.unknown(key, &format!("a {kind} load"), own);
            } else {
                self.fault(
                    key.span(),
                    format!("a {kind} load has no `{name}`"),
                    format!("it belongs to {}", keys::list(&others)),
                );
            }
        }
    }

    fn closed(&mut self, value: &Value<'_>, table: &DeTable<'_>) -> Option<LoadSpec> {
        let help = "write how many callers ask, 1 to 10,000, like `clients = 4`";
        let clients = if let Some(clients) = table.get("clients") {
            self.count(clients, "`clients`", MOST_CLIENTS, help)
        } else {
            self.fault(value.span(), "a closed load has no `clients`", help);
            None
        };
        let mut pause = Duration::ZERO;
        if let Some(value) = table.get("think") {
            set(&mut pause, self.duration(value, "`think`"));
        }
        Some(LoadSpec::Closed { clients: clients?, think: pause })
    }

    fn replay(&mut self, value: &Value<'_>, table: &DeTable<'_>) -> Option<LoadSpec> {
        let file = if let Some(file) = table.get("file") {
            self.string(file, "`file`")
                .and_then(|written| self.file(file, "the recording", &written))
        } else {
            let help = "add the recorded requests: `file = \"requests.npz\"`";
            self.fault(value.span(), "a replay has no `file`", help);
            None
        };
        let mut order = ReplayOrder::default();
        if let Some(value) = table.get("order") {
            let words = [("recorded", ReplayOrder::Recorded), ("shuffled", ReplayOrder::Shuffled)];
            set(&mut order, self.one_of(value, "`order`", &words));
        }
        let rate = table.get("rate").and_then(|rate| self.rate(rate));
        let carry = table.get("carry").map(|carry| self.carry(carry)).unwrap_or_default();
        Some(LoadSpec::Replay { file: file?, order, rate, carry })
    }

    fn carry(&mut self, value: &Value<'_>) -> BTreeMap<String, String> {
        let help = "write outputs and the inputs they become: `carry = { stateN = \"state\" }`";
        let mut carry = BTreeMap::new();
        let Some(table) = self.table(value, "`carry`", help) else {
            return carry;
        };
        for (output, input) in table {
            let what = format!("the input for `{}`", output.get_ref());
            if let Some(name) = self.string(input, &what) {
                carry.insert(output.get_ref().to_string(), name);
            }
        }
        carry
    }

    /// Reads `inputs`.
    pub(super) fn inputs(&mut self, value: &Value<'_>) -> BTreeMap<String, InputSpec> {
        let mut inputs = BTreeMap::new();
        let help = "write each input by name, like `inputs.ids = { range = [0, 1000] }`";
        let Some(table) = self.table(value, "`inputs`", help) else {
            return inputs;
        };
        for (name, value) in table {
            if let Some(input) = self.input(name.get_ref(), value) {
                inputs.insert(name.get_ref().to_string(), input);
            }
        }
        inputs
    }

    fn input(&mut self, name: &str, value: &Value<'_>) -> Option<InputSpec> {
        let help =
            "write one of `{ range = [0, 1000] }`, `{ zeros = true }`, `{ npy = \"x.npy\" }`";
        let what = format!("the input `{name}`");
        let table = self.table(value, &what, help)?;
        let mut found = None;
        let mut known = 0;
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "range" => set(&mut found, self.range(value, &what).map(Some)),
                "zeros" => match self.boolean(value, "`zeros`") {
                    Some(true) => found = Some(InputSpec::Zeros),
                    Some(false) => self.fault(value.span(), "`zeros` can only be true", help),
                    None => {}
                },
                "npy" => {
                    let file = self
                        .string(value, "`npy`")
                        .and_then(|written| self.file(value, "the array", &written));
                    set(&mut found, file.map(|file| Some(InputSpec::Npy(file))));
                }
                _ => {
                    self.unknown(key, &what, keys::INPUT);
                    continue;
                }
            }
            known += 1;
        }
        if known != 1 && known == table.len() {
            let message = format!("{what} has {known} ways to be filled, not one");
            self.fault(value.span(), message, help);
        }
        found
    }

    fn range(&mut self, value: &Value<'_>, what: &str) -> Option<InputSpec> {
        let help = "write the lowest value and the end, which is left out: `range = [0, 1000]`";
        let pair = value.get_ref().as_array().map_or(&[][..], |list| list.iter().as_slice());
        let [low, high] = pair else {
            self.fault(value.span(), format!("the range of {what} is not a pair"), help);
            return None;
        };
        let place = value.span();
        let low = self.number(low, "the lowest value", help);
        let high = self.number(high, "the end of the range", help);
        let (low, high) = (low?, high?);
        if low >= high {
            self.fault(place, format!("the range of {what} is empty"), help);
            return None;
        }
        Some(InputSpec::Range(low, high))
    }
}
