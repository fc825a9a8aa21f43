//! The reasons why a metrics page has no figures, each with a remedy.

use std::io;

use super::http::{MOST_BYTES, PATIENCE};

/// The reason why a page has no figures.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageFault {
    #[error("its host has no address ({0}); correct the row's `metrics`")]
    UnknownHost(io::Error),
    #[error(
        "connection refused: nothing listens there; start the program's metrics page, or correct \
         the port in the row's `metrics`"
    )]
    Refused,
    #[error("no connection ({0}); correct the host or port in the row's `metrics`")]
    Connection(io::Error),
    #[error("no whole answer within {} s; the program may be busy or suspended", PATIENCE.as_secs())]
    TimedOut,
    #[error(
        "the page is larger than {} MiB; let the program report fewer series", MOST_BYTES >> 20
    )]
    TooLarge,
    #[error("it ended in the middle of the page; the program may have ended ({0})")]
    Broken(io::Error),
    #[error("it does not speak HTTP; correct the port in the row's `metrics`")]
    NotHttp,
    #[error("the answer is encoded ({0}), which divvy did not ask for; turn that off")]
    Encoded(String),
    #[error("the answer is {0:?}; correct the path in the row's `metrics`, often /metrics")]
    Status(String),
    #[error(
        "no page in Prometheus' text format: it begins with {0:?}; correct the path in the row's \
         `metrics`, often /metrics"
    )]
    NotMetrics(String),
    #[error("no metric on it that divvy knows; {}", remedy(.0))]
    NoKnownFamily(Vec<String>),
    #[error("it has no metric {name:?}; {}", remedy(.found))]
    NoSuchFamily { name: String, found: Vec<String> },
}

impl PageFault {
    pub(super) fn of_connection(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
            _ => Self::Connection(error),
        }
    }

    pub(super) fn of_transfer(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            io::ErrorKind::InvalidData => Self::NotHttp,
            _ => Self::Broken(error),
        }
    }
}

/// Returns the remedy for a page without a known metric, with the histograms that it has.
fn remedy(found: &[String]) -> String {
    if found.is_empty() {
        return "it has no histogram and no summary either, so let the program report its latency"
            .to_owned();
    }
    format!("name the one of the latency after # in the row's `metrics`: {}", found.join(", "))
}
