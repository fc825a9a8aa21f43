//! The models in the executable, for a demo without any files. `divvy synth` generated them; a test
//! checks that it still generates the same bytes.

/// File name and bytes of each.
const MODELS: &[(&str, &[u8])] = &[
    ("detector.onnx", include_bytes!("../../assets/models/detector.onnx")),
    ("embedder.onnx", include_bytes!("../../assets/models/embedder.onnx")),
    ("ranker.onnx", include_bytes!("../../assets/models/ranker.onnx")),
];

/// Returns the bytes of an embedded model; `None` if no model has that name.
pub fn bytes(name: &str) -> Option<&'static [u8]> {
    MODELS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// Returns the names of all embedded models, for messages.
pub fn names() -> String {
    MODELS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
