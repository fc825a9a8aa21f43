//! The built-in load of a row: `load` and `inputs`.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::DeTable;

use super::reader::{Reader, TomlValue};
use super::values::set;
use crate::layout::file::keys;
use crate::layout::{InputSpec, LoadSpec, ReplayOrder};

/// The most clients of a closed loop.
const MOST_CLIENTS: i64 = 10_000;

/// Reads `load`.
pub(super) fn load(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> Option<LoadSpec> {
    let help = "write `load = { kind = \"poisson\", rate = 120.0 }`, or leave it out";
    let table = reader.table(value, "`load`", help)?;
    let Some(kind) = table.get("kind") else {
        reader.fault(value.span(), "this load has no `kind`", help);
        return None;
    };
    let words: Vec<(&str, usize)> =
        keys::LOADS.iter().enumerate().map(|(index, (name, _))| (*name, index)).collect();
    let index = reader.one_of(kind, "the `kind` of a load", &words)?;
    let (name, own) = keys::LOADS.get(index)?;
    foreign_keys(reader, table, name, own);
    match *name {
        "closed" => closed(reader, value, table),
        "replay" => replay(reader, value, table),
        open => {
            let Some(rate) = table.get("rate") else {
                let message = format!("a {open} load has no `rate`");
                reader.fault(value.span(), message, "add requests per second: `rate = 120.0`");
                return None;
            };
            let rate = reader.rate(rate)?;
            Some(match open {
                "poisson" => LoadSpec::Poisson { rate },
                _ => LoadSpec::Constant { rate },
            })
        }
    }
}

/// Adds a fault for each key that this kind of load does not have.
fn foreign_keys(reader: &mut Reader<'_>, table: &DeTable<'_>, kind: &str, own: &[&str]) {
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
            reader.unknown(key, &format!("a {kind} load"), own);
        } else {
            reader.fault(
                key.span(),
                format!("a {kind} load has no `{name}`"),
                format!("remove it; only {} can have it", keys::list(&others)),
            );
        }
    }
}

fn closed(reader: &mut Reader<'_>, value: &TomlValue<'_>, table: &DeTable<'_>) -> Option<LoadSpec> {
    let help = "add the number of clients, 1 to 10,000, like `clients = 4`";
    let clients = if let Some(clients) = table.get("clients") {
        reader.count(clients, "`clients`", MOST_CLIENTS, help)
    } else {
        reader.fault(value.span(), "a closed load has no `clients`", help);
        None
    };
    let mut think = Duration::ZERO;
    if let Some(value) = table.get("think") {
        set(&mut think, reader.duration(value, "`think`"));
    }
    Some(LoadSpec::Closed { clients: clients?, think })
}

fn replay(reader: &mut Reader<'_>, value: &TomlValue<'_>, table: &DeTable<'_>) -> Option<LoadSpec> {
    let file = if let Some(file) = table.get("file") {
        reader
            .string(file, "`file`")
            .and_then(|written| reader.file(file, "the recording", &written))
    } else {
        let help = "add the recorded requests: `file = \"requests.npz\"`";
        reader.fault(value.span(), "a replay has no `file`", help);
        None
    };
    let mut order = ReplayOrder::default();
    if let Some(value) = table.get("order") {
        let words = [("recorded", ReplayOrder::Recorded), ("shuffled", ReplayOrder::Shuffled)];
        set(&mut order, reader.one_of(value, "`order`", &words));
    }
    let rate = table.get("rate").and_then(|rate| reader.rate(rate));
    let carry = table.get("carry").map(|value| carry(reader, value)).unwrap_or_default();
    Some(LoadSpec::Replay { file: file?, order, rate, carry })
}

fn carry(reader: &mut Reader<'_>, value: &TomlValue<'_>) -> BTreeMap<String, String> {
    let help = "write each output with the input that gets it: `carry = { stateN = \"state\" }`";
    let mut carry = BTreeMap::new();
    let Some(table) = reader.table(value, "`carry`", help) else {
        return carry;
    };
    for (output, input) in table {
        let what = format!("the input for `{}`", output.get_ref());
        if let Some(name) = reader.string(input, &what) {
            carry.insert(output.get_ref().to_string(), name);
        }
    }
    carry
}

/// Reads `inputs`.
pub(super) fn inputs(
    reader: &mut Reader<'_>,
    value: &TomlValue<'_>,
) -> BTreeMap<String, InputSpec> {
    let mut inputs = BTreeMap::new();
    let help = "write each input by name, like `inputs.ids = { range = [0, 1000] }`";
    let Some(table) = reader.table(value, "`inputs`", help) else {
        return inputs;
    };
    for (name, value) in table {
        if let Some(input) = input(reader, name.get_ref(), value) {
            inputs.insert(name.get_ref().to_string(), input);
        }
    }
    inputs
}

fn input(reader: &mut Reader<'_>, name: &str, value: &TomlValue<'_>) -> Option<InputSpec> {
    let help = "write one of `{ range = [0, 1000] }`, `{ zeros = true }`, `{ npy = \"x.npy\" }`";
    let what = format!("the input `{name}`");
    let table = reader.table(value, &what, help)?;
    let mut found = None;
    let mut known = 0;
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "range" => set(&mut found, range(reader, value, &what).map(Some)),
            "zeros" => match reader.boolean(value, "`zeros`") {
                Some(true) => found = Some(InputSpec::Zeros),
                Some(false) => reader.fault(value.span(), "`zeros` can only be true", help),
                None => {}
            },
            "npy" => {
                let file = reader
                    .string(value, "`npy`")
                    .and_then(|written| reader.file(value, "the array", &written));
                set(&mut found, file.map(|file| Some(InputSpec::Npy(file))));
            }
            _ => {
                reader.unknown(key, &what, keys::INPUT);
                continue;
            }
        }
        known += 1;
    }
    if known != 1 && known == table.len() {
        let message = format!("{what} has {known} keys; write one");
        reader.fault(value.span(), message, help);
    }
    found
}

fn range(reader: &mut Reader<'_>, value: &TomlValue<'_>, what: &str) -> Option<InputSpec> {
    let help = "write the lowest value and the end (exclusive): `range = [0, 1000]`";
    let pair = value.get_ref().as_array().map_or(&[][..], |list| list.iter().as_slice());
    let [low, high] = pair else {
        reader.fault(value.span(), format!("the range of {what} is not a pair"), help);
        return None;
    };
    let place = value.span();
    let low = reader.number(low, "the lowest value", help);
    let high = reader.number(high, "the end of the range", help);
    let (low, high) = (low?, high?);
    if low >= high {
        reader.fault(place, format!("the range of {what} is empty"), help);
        return None;
    }
    Some(InputSpec::Range(low, high))
}
