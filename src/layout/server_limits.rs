//! The limits of the server: what it accepts from clients, and the keys that set them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::{Bytes, print_duration};

/// The limits of the server. A request that exceeds one is refused before it costs anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLimits {
    /// The largest body of a request in bytes, decompressed.
    pub body: u64,
    /// The largest head of an HTTP request (request line and headers) in bytes.
    pub header: u64,
    /// The most open connections of all listeners.
    pub connections: usize,
    /// The most bytes of all requests and answers in flight.
    pub in_flight: u64,
    /// The longest time that the head or the body of one request may take to arrive.
    pub receive_timeout: Duration,
    /// The longest time in which a client takes nothing of an answer.
    pub send_timeout: Duration,
    /// The longest time that a connection stays open without a request.
    pub idle_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body: 64 << 20,
            header: 16 << 10,
            connections: 1024,
            in_flight: 1 << 30,
            receive_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(5),
        }
    }
}

/// The limits that a layout's `[server]` or the command line sets; `None` for the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerKeys {
    /// [`ServerLimits::body`].
    pub max_body: Option<Bytes>,
    /// [`ServerLimits::header`], 1 KiB to 1 MiB.
    pub max_header: Option<Bytes>,
    /// [`ServerLimits::connections`], 1 to 1,000,000.
    pub max_connections: Option<u32>,
    /// [`ServerLimits::in_flight`].
    pub max_in_flight: Option<Bytes>,
    /// [`ServerLimits::receive_timeout`], 100 ms or more.
    pub receive_timeout: Option<Duration>,
    /// [`ServerLimits::send_timeout`], 100 ms or more.
    pub send_timeout: Option<Duration>,
    /// [`ServerLimits::idle_timeout`], 100 ms or more.
    pub idle_timeout: Option<Duration>,
}

/// A limit that is out of range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKeyFault {
    /// The key.
    pub key: &'static str,
    /// The problem, after "is".
    pub problem: String,
    /// The remedy: the valid range.
    pub remedy: String,
}

/// The range of the size of a head, in bytes.
const HEADERS: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 20;

/// The shortest timeout.
const SHORTEST: Duration = Duration::from_millis(100);

impl ServerKeys {
    /// The most connections that a layout may ask for.
    pub const MAX_CONNECTIONS: u32 = 1_000_000;

    /// Returns these keys, and those of `other` where these are not set.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            max_body: self.max_body.or(other.max_body),
            max_header: self.max_header.or(other.max_header),
            max_connections: self.max_connections.or(other.max_connections),
            max_in_flight: self.max_in_flight.or(other.max_in_flight),
            receive_timeout: self.receive_timeout.or(other.receive_timeout),
            send_timeout: self.send_timeout.or(other.send_timeout),
            idle_timeout: self.idle_timeout.or(other.idle_timeout),
        }
    }

    /// Returns the limits, with the defaults for keys that are not set.
    pub fn limits(&self) -> ServerLimits {
        let default = ServerLimits::default();
        let bytes = |set: Option<Bytes>, default: u64| set.map_or(default, |bytes| bytes.0);
        ServerLimits {
            body: bytes(self.max_body, default.body),
            header: bytes(self.max_header, default.header),
            connections: self.max_connections.map_or(default.connections, |count| count as usize),
            in_flight: bytes(self.max_in_flight, default.in_flight),
            receive_timeout: self.receive_timeout.unwrap_or(default.receive_timeout),
            send_timeout: self.send_timeout.unwrap_or(default.send_timeout),
            idle_timeout: self.idle_timeout.unwrap_or(default.idle_timeout),
        }
    }

    /// Returns the keys that are set with their values as a layout file has them, in the order of the file.
    pub fn texts(&self) -> Vec<(&'static str, String)> {
        let bytes = |set: Option<Bytes>| set.map(|bytes| bytes.to_string());
        let time = |set: Option<Duration>| set.map(print_duration);
        let all = [
            ("max_body", bytes(self.max_body)),
            ("max_header", bytes(self.max_header)),
            ("max_connections", self.max_connections.map(|count| count.to_string())),
            ("max_in_flight", bytes(self.max_in_flight)),
            ("receive_timeout", time(self.receive_timeout)),
            ("send_timeout", time(self.send_timeout)),
            ("idle_timeout", time(self.idle_timeout)),
        ];
        all.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
    }

    /// Returns the first key that is set.
    pub fn first_set(&self) -> Option<&'static str> {
        self.texts().first().map(|(key, _)| *key)
    }

    /// Checks the ranges of the keys that are set, and with the defaults of the others that one body fits the
    /// bytes in flight.
    ///
    /// # Errors
    /// The first key that is out of range.
    pub fn check(&self) -> Result<(), ServerKeyFault> {
        self.check_ranges()?;
        self.check_body()
    }

    /// Checks the ranges of the keys that are set, each alone.
    ///
    /// # Errors
    /// The first key that is out of range.
    pub fn check_ranges(&self) -> Result<(), ServerKeyFault> {
        let fault = |key, remedy: &str| {
            let (problem, remedy) = ("out of range".to_owned(), remedy.to_owned());
            Err(ServerKeyFault { key, problem, remedy })
        };
        if self.max_header.is_some_and(|size| !HEADERS.contains(&size.0)) {
            return fault("max_header", "use 1KiB to 1MiB");
        }
        let most = Self::MAX_CONNECTIONS;
        if self.max_connections.is_some_and(|count| !(1..=most).contains(&count)) {
            return fault("max_connections", "use 1 to 1,000,000");
        }
        let timeouts = [
            ("receive_timeout", self.receive_timeout),
            ("send_timeout", self.send_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        match timeouts.iter().find(|(_, time)| time.is_some_and(|time| time < SHORTEST)) {
            Some((key, _)) => fault(key, "use 100ms to 24h"),
            None => Ok(()),
        }
    }

    /// Checks that one body fits the bytes in flight.
    fn check_body(&self) -> Result<(), ServerKeyFault> {
        let limits = self.limits();
        let (body, in_flight) = (Bytes(limits.body), Bytes(limits.in_flight));
        if body <= in_flight {
            return Ok(());
        }
        // the default of the other key is not at fault
        Err(if self.max_in_flight.is_some() {
            ServerKeyFault {
                key: "max_in_flight",
                problem: format!("{in_flight}, less than the largest body ({body})"),
                remedy: format!("use {body} or more, or a smaller body"),
            }
        } else {
            ServerKeyFault {
                key: "max_body",
                problem: format!("{body}, more than the bytes in flight ({in_flight})"),
                remedy: format!("use {in_flight} or less, or allow more bytes in flight"),
            }
        })
    }
}

impl fmt::Display for ServerKeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}: {}", self.key, self.problem, self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(keys: ServerKeys) -> String {
        keys.check().unwrap_err().to_string()
    }

    #[test]
    fn body_must_fit_the_bytes_in_flight() {
        let default = ServerKeys::default();
        assert_eq!(default.check(), Ok(()));
        let small = ServerKeys { max_in_flight: Some(Bytes(1 << 20)), ..default };
        assert_eq!(
            fault(small),
            "max_in_flight is 1MiB, less than the largest body (64MiB): use 64MiB or more, or a smaller body"
        );
        assert_eq!(ServerKeys { max_body: Some(Bytes(1 << 20)), ..small }.check(), Ok(()));
        let large = ServerKeys { max_body: Some(Bytes(2 << 30)), ..default };
        assert!(fault(large).starts_with("max_body is 2GiB, more than"), "{}", fault(large));
    }

    #[test]
    fn limits_out_of_range_are_faults() {
        let default = ServerKeys::default;
        let short = Some(Duration::from_millis(99));
        for (key, keys) in [
            ("max_header", ServerKeys { max_header: Some(Bytes(1023)), ..default() }),
            ("max_connections", ServerKeys { max_connections: Some(0), ..default() }),
            ("receive_timeout", ServerKeys { receive_timeout: short, ..default() }),
            ("send_timeout", ServerKeys { send_timeout: short, ..default() }),
            ("idle_timeout", ServerKeys { idle_timeout: short, ..default() }),
        ] {
            assert_eq!(keys.check().unwrap_err().key, key);
        }
    }
}
