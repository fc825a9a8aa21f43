//! Sizes for open dimensions that a model may insist on without saying so: tried in turn until one
//! runs, so that a model named on the command line needs no layout.

use std::collections::BTreeMap;

use crate::engine::{Dim, ElementType, Signature, TensorSpec};

/// Height and width that recognisers of a line of text take.
const TEXT_LINE: (usize, usize) = (48, 320);

/// Samples that streaming speech models take at a time: 32 ms at 16 kHz, and 4 ms before them.
const AUDIO_WINDOW: usize = 576;

/// What to try, the plain guess first; only that one where the model leaves nothing open. Sizes that
/// the layout gives hold in each.
pub(super) fn of(
    signature: &Signature,
    given: &BTreeMap<String, usize>,
) -> Vec<BTreeMap<String, usize>> {
    let open: Vec<Open> = signature.inputs.iter().flat_map(open).collect();
    if open.iter().all(|open| given.contains_key(&open.name)) {
        return vec![given.clone()];
    }
    let with = |size: &dyn Fn(&Open) -> Option<usize>| {
        let mut dims: BTreeMap<String, usize> =
            open.iter().filter_map(|open| Some((open.name.clone(), size(open)?))).collect();
        dims.extend(given.iter().map(|(name, size)| (name.clone(), *size)));
        dims
    };
    let mut guesses = vec![given.clone()];
    let others = [
        with(&|open| match (open.rank, open.place) {
            (4, 2) => Some(TEXT_LINE.0),
            (4, 3) => Some(TEXT_LINE.1),
            _ => None,
        }),
        with(&|open| (open.rank > 2).then_some(1)),
        with(&|open| match (open.rank, open.place) {
            (2, 1) if open.is_float => Some(AUDIO_WINDOW),
            _ => Some(1),
        }),
        with(&|_| Some(1)),
    ];
    for other in others {
        if !guesses.contains(&other) {
            guesses.push(other);
        }
    }
    guesses
}

struct Open {
    name: String,
    rank: usize,
    place: usize,
    is_float: bool,
}

fn open(spec: &TensorSpec) -> impl Iterator<Item = Open> + '_ {
    let dims = spec.dims.as_deref().unwrap_or_default();
    dims.iter().enumerate().filter_map(move |(place, dim)| {
        let name = match dim {
            Dim::Fixed(_) => return None,
            Dim::Named(name) => name.clone(),
            Dim::Unknown => format!("{}.{place}", spec.name),
        };
        let is_float = matches!(
            spec.element,
            ElementType::F16 | ElementType::BF16 | ElementType::F32 | ElementType::F64
        );
        Some(Open { name, rank: dims.len(), place, is_float })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, dims: Vec<Dim>) -> TensorSpec {
        TensorSpec { name: name.to_owned(), element: ElementType::F32, dims: Some(dims) }
    }

    #[test]
    fn what_is_fixed_or_given_is_not_guessed() {
        let dims = vec![Dim::Unknown, Dim::Fixed(3)];
        let signature = Signature { inputs: vec![spec("x", dims)], outputs: Vec::new() };
        let given = BTreeMap::from([("x.0".to_owned(), 7)]);
        assert_eq!(of(&signature, &given), [given]);
        assert_eq!(of(&Signature::default(), &BTreeMap::new()), [BTreeMap::new()]);
    }

    #[test]
    fn a_line_of_text_and_a_stream_with_a_state_are_among_the_guesses() {
        let open = || Dim::Unknown;
        let line = spec("x", vec![open(), Dim::Fixed(3), open(), open()]);
        let signature = Signature { inputs: vec![line], outputs: Vec::new() };
        let text = BTreeMap::from([("x.2".to_owned(), 48), ("x.3".to_owned(), 320)]);
        assert!(of(&signature, &BTreeMap::new()).contains(&text));

        let inputs = vec![
            spec("input", vec![open(), open()]),
            spec("state", vec![Dim::Fixed(2), open(), Dim::Fixed(128)]),
        ];
        let signature = Signature { inputs, outputs: Vec::new() };
        let stream = [("input.0", 1), ("input.1", 576), ("state.1", 1)];
        let stream = stream.map(|(name, size)| (name.to_owned(), size)).into();
        assert!(of(&signature, &BTreeMap::new()).contains(&stream));
    }
}
