//! Guesses for the sizes of open dimensions. They are tried in turn until one runs, so that a model
//! named on the command line needs no layout.

use std::collections::BTreeMap;

use crate::engine::{OpenDim, Signature, TensorSpec};

/// Height and width of the input of models that recognise a line of text.
const TEXT_LINE: (usize, usize) = (48, 320);

/// Samples per request of streaming speech models: 32 ms at 16 kHz, after 4 ms of context.
const AUDIO_WINDOW: usize = 576;

/// Returns the sizes to try, in order. The first is `given` alone, and it is the only one if `given`
/// sets every open dimension. All others contain `given` too.
pub(super) fn guesses(
    signature: &Signature,
    given: &BTreeMap<String, usize>,
) -> Vec<BTreeMap<String, usize>> {
    let open: Vec<OpenDim> = signature.inputs.iter().flat_map(TensorSpec::open_dims).collect();
    if open.iter().all(|open| given.contains_key(&open.name)) {
        return vec![given.clone()];
    }
    let with = |size: &dyn Fn(&OpenDim) -> Option<usize>| {
        let mut dims: BTreeMap<String, usize> =
            open.iter().filter_map(|open| Some((open.name.clone(), size(open)?))).collect();
        dims.extend(given.iter().map(|(name, size)| (name.clone(), *size)));
        dims
    };
    let mut guesses = vec![given.clone()];
    let others = [
        with(&|open| match (open.rank, open.axis) {
            (4, 2) => Some(TEXT_LINE.0),
            (4, 3) => Some(TEXT_LINE.1),
            _ => None,
        }),
        with(&|open| (open.rank > 2).then_some(1)),
        with(&|open| match (open.rank, open.axis) {
            (2, 1) if open.element.is_float() => Some(AUDIO_WINDOW),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Dim, ElementType};

    fn spec(name: &str, dims: Vec<Dim>) -> TensorSpec {
        TensorSpec { name: name.to_owned(), element: ElementType::F32, dims: Some(dims) }
    }

    #[test]
    fn leaves_fixed_dimensions_alone() {
        let dims = vec![Dim::Unknown, Dim::Fixed(3)];
        let signature = Signature { inputs: vec![spec("x", dims)], outputs: Vec::new() };
        let given = BTreeMap::from([("x.0".to_owned(), 7)]);
        assert_eq!(guesses(&signature, &given), [given]);
        assert_eq!(guesses(&Signature::default(), &BTreeMap::new()), [BTreeMap::new()]);
    }

    #[test]
    fn guesses_text_line_sizes() {
        let open = || Dim::Unknown;
        let line = spec("x", vec![open(), Dim::Fixed(3), open(), open()]);
        let signature = Signature { inputs: vec![line], outputs: Vec::new() };
        let text = BTreeMap::from([("x.2".to_owned(), 48), ("x.3".to_owned(), 320)]);
        assert!(guesses(&signature, &BTreeMap::new()).contains(&text));
    }

    #[test]
    fn guesses_audio_stream_sizes() {
        let open = || Dim::Unknown;
        let inputs = vec![
            spec("input", vec![open(), open()]),
            spec("state", vec![Dim::Fixed(2), open(), Dim::Fixed(128)]),
        ];
        let signature = Signature { inputs, outputs: Vec::new() };
        let stream = [("input.0", 1), ("input.1", 576), ("state.1", 1)];
        let stream = stream.map(|(name, size)| (name.to_owned(), size)).into();
        assert!(guesses(&signature, &BTreeMap::new()).contains(&stream));
    }
}
