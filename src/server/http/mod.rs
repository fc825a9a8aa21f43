//! The Open Inference Protocol over HTTP.

mod answer;
mod body;
mod elements;
mod error_answer;
mod infer;
mod json_form;
mod parameters;
mod path_names;
mod request_head;
mod resources;
mod routes;

pub(super) use routes::{routes, wrong_method};
