//! Explanations of rten's messages: which operator is unsupported, and what to do.

use rten::{LoadError, LoadErrorKind, RunErrorKind};

use super::name::NAME;
use crate::engine::onnx::{self, ModelFile, Node};
use crate::engine::{EngineError, EngineReason};
use crate::layout::ModelSource;

/// Advice for a model that rten cannot run. Whether ONNX Runtime can is known only once it tries.
pub(super) const ADVICE: &str = "ONNX Runtime may run it: install it with `divvy runtime install`, \
                                 and use `--engine onnxruntime`";

/// Explains why a model could not be loaded. Writes rten's own message to the log.
pub(super) fn load(source: &ModelSource, file: &ModelFile, error: &LoadError) -> EngineError {
    let message = error.to_string();
    tracing::info!(target: "rten", model = file.title, "the model was refused: {message}");
    let path = file.title.clone();
    let find = |matches: &dyn Fn(&Node<'_>) -> bool| onnx::find_operators(source, matches);
    match error.kind() {
        LoadErrorKind::OperatorInvalid => EngineError::Unsupported {
            engine: NAME,
            path,
            reason: EngineReason::explained(explain_operator(&message, &find), message),
        },
        _ => EngineError::Load {
            engine: NAME,
            path,
            reason: EngineReason::explained(
                format!(
                    "the graph is invalid, or has a form that {NAME} does not support ({message}). \
                     {ADVICE}"
                ),
                message,
            ),
        },
    }
}

/// Explains why a request failed, and distinguishes a request's fault from the engine's. Writes rten's own
/// message to the log.
pub(super) fn run(kind: &RunErrorKind, message: &str) -> EngineError {
    tracing::debug!(target: "rten", "a request failed: {message}");
    let reason = EngineReason::explained(explain_run(message), message);
    if is_invalid_request(kind, message) {
        EngineError::InvalidRequest { engine: NAME, reason }
    } else {
        EngineError::Run { engine: NAME, reason }
    }
}

/// Returns true if the values or the shapes of a request were refused. rten does not expose the kind
/// of an operator's error; its message begins with it.
fn is_invalid_request(kind: &RunErrorKind, message: &str) -> bool {
    match kind {
        RunErrorKind::InvalidInput => true,
        RunErrorKind::OperatorError => innermost(message)
            .strip_prefix("operator \"")
            .and_then(|rest| rest.split_once("\" failed: "))
            .is_some_and(|(_, error)| {
                error.starts_with(INVALID_VALUE) || error.starts_with("incompatible input shapes: ")
            }),
        _ => false,
    }
}

/// Returns the message of the innermost operator of nested graphs, which is the one that failed.
fn innermost(message: &str) -> &str {
    message.rsplit(" subgraph error: ").next().unwrap_or(message)
}

/// Begin of rten's message about a value of an input or an attribute.
const INVALID_VALUE: &str = "input or attribute has invalid value: ";

/// Returns the names of the operators that match.
type FindOperators<'a> = &'a dyn Fn(&dyn Fn(&Node<'_>) -> bool) -> Vec<String>;

fn explain_operator(message: &str, find: FindOperators<'_>) -> String {
    let detail = message.split_once("operator error: ").map_or(message, |(_, detail)| detail);
    if let Some(name) = detail.strip_suffix(" operator not supported or not enabled") {
        return format!("{NAME} has no operator `{}`. {ADVICE}", name.replace('/', "."));
    }
    if let Some((name, rest)) = detail.split_once(" operator uses opset version ") {
        let versions: Vec<&str> = rest.split(' ').filter(|word| is_number(word)).collect();
        let (version, oldest) = match versions.as_slice() {
            [version, oldest, ..] => (*version, *oldest),
            _ => ("of another number", "other versions"),
        };
        return format!(
            "the operator `{name}` has version {version}, and {NAME} supports version {oldest} and \
             later. Export the model with a newer operator set. {ADVICE}"
        );
    }
    if let Some(rest) = detail.strip_prefix("error in attribute \"")
        && let Some((attribute, error)) = rest.split_once("\": ")
    {
        let operators = listed(&find(&|node| node.has_attribute(attribute)));
        return match error {
            "unsupported value" => format!(
                "{NAME} does not support the value of the attribute `{attribute}` of {operators}. \
                 {ADVICE}"
            ),
            error => format!(
                "the attribute `{attribute}` of {operators} cannot be used ({error}). {ADVICE}"
            ),
        };
    }
    if let Some(names) = detail.strip_prefix("unsupported or duplicated attributes: ") {
        let names: Vec<&str> = names.split(", ").collect();
        let operators = find(&|node| names.iter().any(|name| node.has_attribute(name)));
        let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let attributes = if names.len() == 1 { "attribute" } else { "attributes" };
        return format!(
            "{NAME} does not support the {attributes} {} of {}. {ADVICE}",
            quoted.join(", "),
            listed(&operators)
        );
    }
    if let Some(rest) = detail.strip_prefix("operator has ")
        && let Some((count, limit)) = rest.split_once(" inputs but maximum is ")
    {
        let operators = find(&|node| node.inputs().to_string() == count);
        return format!(
            "{NAME} supports up to {limit} inputs of {}, and the model has one with {count}. \
             {ADVICE}",
            listed(&operators)
        );
    }
    format!("{NAME} does not support an operator of this model ({detail}). {ADVICE}")
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns "the operator `A`", "the operators `A`, `B`", or "an operator".
fn listed(operators: &[String]) -> String {
    let quoted: Vec<String> = operators.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "an operator".to_owned(),
        [one] => format!("the operator {one}"),
        several => format!("one of the operators {}", several.join(", ")),
    }
}

fn explain_run(message: &str) -> String {
    let message = innermost(message);
    let Some((name, rest)) =
        message.strip_prefix("operator \"").and_then(|rest| rest.split_once('"'))
    else {
        return message.to_owned();
    };
    let node = if name.is_empty() {
        "an operator".to_owned()
    } else {
        format!("the operator at node `{name}`")
    };
    if let Some(detail) = rest.strip_prefix(" output mismatch: ") {
        return format!(
            "{node} has a number of outputs that {NAME} does not support ({detail}). {ADVICE}"
        );
    }
    let rest = rest.strip_prefix(" failed: ").unwrap_or(rest);
    let (error, inputs) = match rest.rsplit_once(". Inputs were (") {
        Some((error, inputs)) => (error, inputs.strip_suffix(')').unwrap_or(inputs)),
        None => (rest, ""),
    };
    let inputs = types_by_name(inputs);
    let inputs = if inputs.is_empty() { String::new() } else { format!("; its inputs: {inputs}") };
    if error == "unsupported input type" {
        return format!("{NAME} does not support the element types of {node}{inputs}. {ADVICE}");
    }
    if let Some(output) = error.strip_prefix("unsupported output: ") {
        return format!("{NAME} does not support the output `{output}` of {node}. {ADVICE}");
    }
    if let Some(detail) = error.strip_prefix("unsupported input or attribute value: ") {
        return format!(
            "{NAME} does not support an input or attribute of {node}: {detail}{inputs}. {ADVICE}"
        );
    }
    let failed = |detail: &str| format!("{node} failed: {detail}{inputs}");
    if let Some((input, detail)) =
        error.strip_prefix("conversion error for input ").and_then(|rest| rest.split_once(": "))
    {
        let detail = types_by_name(detail);
        let detail = detail.replace("expected tensor with ", "").replace("type ", "");
        let (wanted, given) = detail.split_once(" but has ").unwrap_or((&detail, "another"));
        return failed(&match (wanted.strip_suffix(" dims"), given.strip_suffix(" dims")) {
            (Some(wanted), Some(given)) => {
                format!("its input {input} must have {wanted} dimensions, and has {given}")
            }
            _ => format!("its input {input} must be {wanted}, and is {given}"),
        });
    }
    if let Some(detail) = error.strip_prefix(INVALID_VALUE) {
        return failed(detail);
    }
    failed(error)
}

/// Writes element types as divvy names them.
fn types_by_name(text: &str) -> String {
    [("f32", "float32"), ("i32", "int32"), ("i8", "int8"), ("u8", "uint8")]
        .iter()
        .fold(text.to_owned(), |text, (short, name)| {
            text.replace(&format!("tensor({short})"), name)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(message: &str, names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let sentence = explain_operator(message, &|_| names.clone());
        sentence.strip_suffix(&format!(". {ADVICE}")).expect("advice").to_owned()
    }

    #[test]
    fn missing_operator_is_named_with_its_domain() {
        assert_eq!(
            operator(
                "operator error: ai.onnx.preview/Adam operator not supported or not enabled",
                &[]
            ),
            "rten has no operator `ai.onnx.preview.Adam`"
        );
    }

    #[test]
    fn unsupported_attribute_names_its_operator() {
        assert_eq!(
            operator(
                "operator error: error in attribute \"mode\": unsupported value",
                &["GridSample"]
            ),
            "rten does not support the value of the attribute `mode` of the operator `GridSample`"
        );
        assert_eq!(
            operator(
                "in node \"n\": operator error: unsupported or duplicated attributes: a, b",
                &["X", "Y"]
            ),
            "rten does not support the attributes `a`, `b` of one of the operators `X`, `Y`"
        );
    }

    #[test]
    fn surplus_inputs_are_counted() {
        assert_eq!(
            operator("operator error: operator has 8 inputs but maximum is 7", &["LSTM"]),
            "rten supports up to 7 inputs of the operator `LSTM`, and the model has one with 8"
        );
    }

    #[test]
    fn old_operator_version_asks_for_a_newer_set() {
        let sentence = operator(
            "operator error: Pad operator uses opset version 2 but only version 11 and later are \
             supported",
            &[],
        );
        assert!(sentence.starts_with(
            "the operator `Pad` has version 2, and rten supports version 11 and later. Export"
        ));
    }

    #[test]
    fn failed_request_names_node_with_inputs() {
        for (message, sentence) in [
            (
                "operator \"a\" failed: input or attribute has invalid value: Divisor contains zero. \
                 Inputs were (tensor(i32) [4], tensor(i32) [4])",
                "the operator at node `a` failed: Divisor contains zero; its inputs: int32 [4], int32 \
                 [4]",
            ),
            (
                "operator \"\" subgraph error: operator \"b\" failed: incompatible input shapes: No. \
                 Inputs were (tensor(f32) [3])",
                "the operator at node `b` failed: incompatible input shapes: No; its inputs: float32 \
                 [3]",
            ),
            (
                "operator \"\" failed: conversion error for input 1: expected tensor with type \
                 tensor(i32) but has type tensor(f32). Inputs were (tensor(i32) [3])",
                "an operator failed: its input 1 must be int32, and is float32; its inputs: int32 \
                 [3]",
            ),
            (
                "operator \"\" failed: conversion error for input 0: expected tensor with 4 dims but \
                 has 5 dims. Inputs were (tensor(f32) [1])",
                "an operator failed: its input 0 must have 4 dimensions, and has 5; its inputs: \
                 float32 [1]",
            ),
        ] {
            assert_eq!(explain_run(message), sentence);
        }
    }

    #[test]
    fn kind_tells_whose_fault_a_failure_is() {
        let operator = |error: &str| format!("operator \"a\" failed: {error}. Inputs were ()");
        let nested = format!("operator \"i\" subgraph error: {}", operator(INVALID_VALUE));
        for (kind, message, is_invalid) in [
            (RunErrorKind::InvalidInput, "input \"x\" is invalid: no".to_owned(), true),
            (RunErrorKind::OperatorError, operator("incompatible input shapes: no"), true),
            (RunErrorKind::OperatorError, operator(INVALID_VALUE), true),
            (RunErrorKind::OperatorError, nested, true),
            (RunErrorKind::OperatorError, operator("unsupported input type"), false),
            (RunErrorKind::OperatorError, operator("required inputs were missing"), false),
            (RunErrorKind::PlanningError, operator(INVALID_VALUE), false),
        ] {
            let error = run(&kind, &message);
            let found = matches!(error, EngineError::InvalidRequest { .. });
            assert_eq!(found, is_invalid, "{message}");
        }
    }

    #[test]
    fn unsupported_request_comes_with_advice() {
        let sentence = explain_run(
            "operator \"\" failed: unsupported input type. Inputs were (tensor(i8) [3], -)",
        );
        assert_eq!(
            sentence,
            format!(
                "rten does not support the element types of an operator; its inputs: int8 [3], -. {ADVICE}"
            )
        );
        let sentence =
            explain_run("operator \"n\" failed: unsupported output: Mean. Inputs were ()");
        assert!(sentence.starts_with("rten does not support the output `Mean` of the operator at"));
    }
}
