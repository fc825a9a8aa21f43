//! Explanations of the library's messages: what is wrong and what to do, in place of source files
//! and C++ signatures. The library has no error codes for these cases, only its messages.

use ort::ErrorCode;

use super::cuda;
use super::library::{Library, NAME};
use super::message::{between, number_after, shorten};
use crate::engine::onnx::ModelFile;
use crate::engine::{Device, EngineError, EngineReason};

/// Hint where to find the library's own message, for a message that is not explained further.
const SEE_MESSAGE: &str = "`divvy inspect -v` prints ONNX Runtime's own message";

/// Text before the name of an operator that failed.
const FAILED_OPERATOR: &str = "Non-zero status code returned while running ";

/// Explains why a session could not be built. Writes the library's own message to the log.
pub(super) fn load(
    library: &Library,
    file: &ModelFile,
    device: Option<Device>,
    message: &str,
) -> EngineError {
    tracing::info!(target: "onnxruntime", model = file.title, "the model was refused: {message}");
    let path = file.title.clone();
    let explanation = match device {
        Some(device) => Explanation::Load(cuda::explain(message, device)),
        None => explain_load(&library.version, message),
    };
    match explanation {
        Explanation::Damaged(reason) => EngineError::NotOnnx { path, reason },
        Explanation::Unsupported(sentence) => EngineError::Unsupported {
            engine: NAME,
            path,
            reason: EngineReason::explained(sentence, message),
        },
        Explanation::Load(sentence) => EngineError::Load {
            engine: NAME,
            path,
            reason: EngineReason::explained(sentence, message),
        },
    }
}

/// Explains why the library did not run a request, and distinguishes a request's fault from the engine's.
pub(super) fn failed_run(code: ErrorCode, message: &str) -> EngineError {
    let reason = run(message);
    if is_invalid_request(code, message) {
        EngineError::InvalidRequest { engine: NAME, reason }
    } else {
        EngineError::Run { engine: NAME, reason }
    }
}

/// Returns true if a code does not say what failed: operators use any of these for shapes that do not
/// fit.
pub(super) fn is_general(code: ErrorCode) -> bool {
    use ErrorCode::{GenericFailure, InvalidArgument, RuntimeException};
    matches!(code, GenericFailure | InvalidArgument | RuntimeException)
}

/// Returns true if an operator refused the values or the shapes of a request. Without an operator,
/// an invalid argument may be one of divvy's own options for the run.
fn is_invalid_request(code: ErrorCode, message: &str) -> bool {
    message.contains(FAILED_OPERATOR)
        && (code == ErrorCode::InvalidArgument
            || message.contains("indices element out of data bounds"))
}

/// Explains why a request failed.
pub(super) fn run(message: &str) -> EngineReason {
    EngineReason::explained(explain_run(message), message)
}

/// The explanation of a model error, by the kind of error.
#[derive(Debug, PartialEq, Eq)]
enum Explanation {
    /// The file is not a whole model.
    Damaged(String),
    /// The model needs something that this library lacks.
    Unsupported(String),
    /// The library refuses the model for another reason.
    Load(String),
}

fn explain_load(version: &str, message: &str) -> Explanation {
    let engine = format!("{NAME} {version}");
    let contains = |words: &str| message.contains(words);
    if let Some(file) = number_after(message, "Unsupported model IR version: ") {
        let limit = number_after(message, "max supported IR version: ")
            .map_or("older versions only".to_owned(), |limit| format!("up to {limit}"));
        return Explanation::Unsupported(format!(
            "the file has IR version {file}; {engine} reads {limit}. {NEWER}, or export the model \
             with an older IR version"
        ));
    }
    if contains("is under development and support for this is limited") {
        let used = number_after(message, "Opset ").unwrap_or("a newer version");
        let domain = between(message, "official support for domain ", " is till").unwrap_or("?");
        let limit = number_after(message, "is till opset ")
            .map_or("older versions only".to_owned(), |limit| format!("up to {limit}"));
        return Explanation::Unsupported(format!(
            "the file uses operator set {used} of {domain}; {engine} supports {limit}. {NEWER}, or \
             export the model with an older operator set"
        ));
    }
    if let Some(operator) = between(message, "Fatal error: ", " is not a registered function/op") {
        return Explanation::Unsupported(unknown_operator(&engine, operator));
    }
    if let Some(operator) = between(message, "No Op registered for ", " with domain_version") {
        let set = number_after(message, "domain_version of ").unwrap_or("?");
        return Explanation::Unsupported(format!(
            "{engine} has no operator `{operator}` in operator set {set}. {NEWER}, or export the \
             model without this operator"
        ));
    }
    if let Some(operator) = between(message, "Could not find an implementation for ", " node") {
        let (name, version) = split_version(operator);
        return Explanation::Unsupported(format!(
            "{engine} has no CPU kernel for the operator `{name}`{version}, or none for the element \
             types of this model. {NEWER}, or export the model with other types, such as float32"
        ));
    }
    if contains("rotobuf parsing failed") {
        return Explanation::Damaged("it is damaged, cut short, or has another format".to_owned());
    }
    if let Some(locale) = between(message, "Failed to construct locale with name:", ":") {
        return Explanation::Load(format!(
            "the operator `StringNormalizer` needs the locale {locale}, which this system does not \
             have: install it (on Debian: the package `locales-all`)"
        ));
    }
    if let Some(at) = message.find("This is an invalid model") {
        let detail = message.get(at..).unwrap_or(message);
        let detail = detail.split_once(", Error ").map_or(detail, |(_, detail)| detail);
        return Explanation::Load(format!(
            "the graph is invalid, or newer than {engine}: {}. Check it with Python's \
             `onnx.checker`, and export the model again",
            shorten(detail)
        ));
    }
    if contains("Type Error") {
        return Explanation::Load(format!(
            "the graph is invalid: {}. Export the model again, with one type throughout",
            types_by_name(&shorten(message.trim_start_matches("Type Error: ")))
        ));
    }
    if contains("xternal data") {
        return Explanation::Load(format!(
            "weights in another file cannot be used: {}. {SEE_MESSAGE}",
            shorten(message)
        ));
    }
    if contains("Failed to allocate memory") || contains("bad_alloc") {
        return Explanation::Load(format!(
            "there is not enough memory for the model: {}",
            shorten(message)
        ));
    }
    if let Some((_, detail)) = message.split_once("Exception during initialization: ") {
        return Explanation::Unsupported(format!(
            "{engine} does not support an operator of this model: {}. {SEE_MESSAGE}",
            shorten(detail)
        ));
    }
    Explanation::Load(format!("{}. {SEE_MESSAGE}", shorten(message)))
}

/// Advice for a model that is newer than the library.
const NEWER: &str = "Use a newer ONNX Runtime (name it with `--ort-dylib`)";

fn unknown_operator(engine: &str, operator: &str) -> String {
    let (name, version) = split_version(operator);
    let name = name.replace(':', ".");
    format!(
        "{engine} has no operator `{name}`{version}. {NEWER} if it has this operator, or export the \
         model without it"
    )
}

/// Splits "Max(13)" into the name and " (version 13)". A version that is unknown is left out.
fn split_version(operator: &str) -> (&str, String) {
    let Some((name, rest)) = operator.split_once('(') else { return (operator, String::new()) };
    match rest.trim_end_matches(')').parse::<u32>() {
        Ok(version) => (name, format!(" (version {version})")),
        Err(_) => (name, String::new()),
    }
}

fn explain_run(message: &str) -> String {
    // The innermost operator of nested graphs is the one that failed.
    let Some(at) = message.rfind(FAILED_OPERATOR) else {
        return shorten(message);
    };
    let detail = message.get(at + FAILED_OPERATOR.len()..).unwrap_or_default();
    let operator = detail.split(' ').next().unwrap_or_default();
    let node = between(detail, "Name:'", "'").filter(|name| !name.is_empty());
    let node = node.map(|name| format!(" (node `{name}`)")).unwrap_or_default();
    let cause = detail.split_once("Status Message: ").map_or(detail, |(_, cause)| cause);
    format!("the operator `{operator}`{node} failed: {}", shorten(cause))
}

/// Writes element types as divvy names them.
fn types_by_name(text: &str) -> String {
    text.replace("tensor(float)", "float32")
        .replace("tensor(double)", "float64")
        .replace("tensor(float16)", "float16")
        .replace("tensor(bfloat16)", "bfloat16")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsupported(message: &str) -> String {
        match explain_load("1.31.1", message) {
            Explanation::Unsupported(sentence) => sentence,
            other => panic!("{other:?}"),
        }
    }

    fn refused(message: &str) -> String {
        match explain_load("1.31.1", message) {
            Explanation::Load(sentence) => sentence,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn code_tells_whose_fault_a_failure_is() {
        let gather = "Non-zero status code returned while running Gather node. Name:'g' Status \
                      Message: indices element out of data bounds, idx=9 must be within [-4,3]";
        let other = "Non-zero status code returned while running Conv node. Name:'c' Status \
                     Message: bad";
        let options = "Did not find an arena based allocator registered for device-id";
        for (code, message, is_invalid) in [
            (ErrorCode::InvalidArgument, gather, true),
            (ErrorCode::GenericFailure, gather, true),
            (ErrorCode::InvalidArgument, other, true),
            (ErrorCode::RuntimeException, other, false),
            (ErrorCode::ExecutionProviderFailure, other, false),
            (ErrorCode::InvalidArgument, options, false),
        ] {
            let error = failed_run(code, message);
            let found = matches!(error, EngineError::InvalidRequest { .. });
            assert_eq!(found, is_invalid, "{code:?}: {message}");
        }
    }

    #[test]
    fn newer_ir_version_names_both_versions() {
        let sentence = unsupported(
            "Load model from m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:256 \
             onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&) \
             Unsupported model IR version: 14, max supported IR version: 13\n",
        );
        assert!(sentence.starts_with(
            "the file has IR version 14; ONNX Runtime 1.31.1 reads up to 13. Use a newer"
        ));
    }

    #[test]
    fn newer_operator_set_names_both_versions() {
        let sentence = unsupported(
            "ONNX Runtime only *guarantees* support for models stamped with official released onnx \
             opset versions. Opset 27 is under development and support for this is limited. \
             Current official support for domain ai.onnx is till opset 26.\n",
        );
        assert!(sentence.starts_with(
            "the file uses operator set 27 of ai.onnx; ONNX Runtime 1.31.1 supports up to 26. "
        ));
    }

    #[test]
    fn unknown_operator_is_named_with_its_domain() {
        let sentence = unsupported(
            "Load model from m.onnx failed:Fatal error: ai.onnx.preview:FlexAttention(-1) is not a \
             registered function/op",
        );
        assert!(
            sentence.contains("has no operator `ai.onnx.preview.FlexAttention`. "),
            "{sentence}"
        );
        let sentence = unsupported("No Op registered for Frob with domain_version of 17");
        assert!(sentence.contains("no operator `Frob` in operator set 17"), "{sentence}");
    }

    #[test]
    fn missing_kernel_names_operator_version() {
        let sentence =
            unsupported("Could not find an implementation for Max(13) node with name ''");
        assert!(
            sentence.contains("no CPU kernel for the operator `Max` (version 13)"),
            "{sentence}"
        );
    }

    #[test]
    fn invalid_graph_keeps_the_cause_only() {
        let sentence = refused(
            "Load model from m.onnx failed:This is an invalid model. In Node, (\"\", Attention, \"\", \
             -1) : (\"Q\": tensor(float),) -> (\"Y\": tensor(float),) , Error Unrecognized attribute: \
             left_window_size for operator Attention",
        );
        let cause = "ONNX Runtime 1.31.1: Unrecognized attribute: left_window_size for operator \
                     Attention. Check";
        assert!(sentence.contains(cause), "{sentence}");
        let sentence = refused(
            "Type Error: Type parameter (T) of Optype (Add) bound to different types \
             (tensor(bfloat16) and tensor(float) in node ().",
        );
        assert!(sentence.contains("different types (bfloat16 and float32"), "{sentence}");
    }

    #[test]
    fn damaged_file_is_not_an_onnx_model() {
        let explanation =
            explain_load("1.31.1", "Load model from m failed:Protobuf parsing failed.");
        assert!(matches!(explanation, Explanation::Damaged(_)));
    }

    #[test]
    fn unknown_message_is_shortened() {
        let sentence = refused(
            "Load model from m.onnx failed:/onnxruntime_src/core/x.cc:12 void onnxruntime::F(int, \
             std::vector<int>) count == 1 was false. Something else.\n",
        );
        assert_eq!(sentence, format!("Something else. {SEE_MESSAGE}"));
    }

    #[test]
    fn failed_request_names_the_innermost_operator() {
        let sentence = explain_run(
            "Non-zero status code returned while running If node. Name:'' Status Message: Non-zero \
             status code returned while running Split node. Name:'a/split' Status Message: \
             /onnxruntime_src/onnxruntime/core/providers/common.h:31 int64_t \
             onnxruntime::HandleNegativeAxis(int64_t, int64_t) IsAxisInRange(axis, tensor_rank) was \
             false. axis 1 is not in valid range [-1,0]\n",
        );
        assert_eq!(
            sentence,
            "the operator `Split` (node `a/split`) failed: axis 1 is not in valid range [-1,0]"
        );
    }
}
