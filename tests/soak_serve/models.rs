//! Small models that tell themselves apart: each adds its own constant to its input.

use std::path::Path;

/// The models by name.
pub(crate) const MODELS: [&str; 3] = ["a", "b", "c"];

/// Elements of an input and of an output.
pub(crate) const ELEMENTS: usize = 4;

/// Returns the constant that a model adds.
pub(crate) fn constant(model: &str) -> f32 {
    let at = MODELS.iter().position(|name| *name == model).unwrap();
    (at as f32 + 1.0) * 0.25
}

/// Writes two files per model, `a.onnx` and `a-copy.onnx`, with the same content.
pub(crate) fn write_all(folder: &Path) {
    for name in MODELS {
        let model = model(constant(name));
        for file in [format!("{name}.onnx"), format!("{name}-copy.onnx")] {
            std::fs::write(folder.join(file), &model).unwrap();
        }
    }
}

/// Returns the ONNX file of `y = x + constant`.
fn model(constant: f32) -> Vec<u8> {
    let node = [bytes(1, b"x"), bytes(1, b"constant"), bytes(2, b"y"), bytes(4, b"Add")].concat();
    let constant =
        [number(1, 1), number(2, 1), bytes(8, b"constant"), bytes(9, &constant.to_le_bytes())];
    let graph = [
        bytes(1, &node),
        bytes(2, b"graph"),
        bytes(5, &constant.concat()),
        bytes(11, &value("x")),
        bytes(12, &value("y")),
    ];
    let operators = bytes(8, &number(2, 17));
    [number(1, 8), bytes(7, &graph.concat()), operators].concat()
}

/// Returns the description of an input or output: its name, type and shape.
fn value(name: &str) -> Vec<u8> {
    let shape = bytes(1, &number(1, ELEMENTS as u64));
    let tensor = [number(1, 1), bytes(2, &shape)].concat();
    [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat()
}

/// Returns a field of bytes of a protobuf message.
fn bytes(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag << 3 | 2];
    prost::encode_length_delimiter(content.len(), &mut field).unwrap();
    [field.as_slice(), content].concat()
}

/// Returns a field of a small number.
fn number(tag: u8, value: u64) -> Vec<u8> {
    assert!(value < 128);
    vec![tag << 3, value as u8]
}
