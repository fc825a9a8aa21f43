//! The models that are part of the executable, so that `divvy` shows something wherever it is
//! installed. `divvy synth` writes them; a test holds the files to what it writes.

/// File name and bytes of each.
const MODELS: &[(&str, &[u8])] = &[
    ("detector.onnx", include_bytes!("../../assets/models/detector.onnx")),
    ("embedder.onnx", include_bytes!("../../assets/models/embedder.onnx")),
    ("ranker.onnx", include_bytes!("../../assets/models/ranker.onnx")),
];

/// The bytes of an embedded model; `None` when there is none of that name.
pub fn bytes(name: &str) -> Option<&'static [u8]> {
    MODELS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The names of all embedded models, for messages.
pub fn names() -> String {
    MODELS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
