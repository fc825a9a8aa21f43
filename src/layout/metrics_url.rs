//! The URL of the page where a program reports its own requests.

use std::fmt;
use std::net::Ipv6Addr;

/// The URL of a metrics page, `http://HOST[:PORT][/PATH][#FAMILY]`. The fragment names the histogram,
/// summary or counter of the latency, for a program that divvy does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsUrl {
    host: String,
    port: u16,
    path: String,
    family: Option<String>,
}

/// A fault in the URL of a metrics page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricsUrlError {
    /// It has another scheme than `http`.
    #[error(
        "{0:?} does not begin with http://; divvy reads metrics pages over plain HTTP only, for \
         example http://127.0.0.1:8002/metrics"
    )]
    Scheme(String),
    /// It has a user name or a password.
    #[error("{0:?} has a user name; divvy sends none: remove the part before @")]
    User(String),
    /// Its host is missing or wrong.
    #[error("{0:?} has no valid host; an example is http://127.0.0.1:8002/metrics")]
    Host(String),
    /// Its port is wrong.
    #[error("{0:?} has no valid port; an example is http://127.0.0.1:8002/metrics")]
    Port(String),
    /// It contains a blank, a control character or a letter outside ASCII.
    #[error("{0:?} contains a character that a URL cannot have; write it as %XX")]
    Character(String),
    /// Its fragment is no name of a metric.
    #[error("{0:?}: the part after # is no name of a metric")]
    Family(String),
}

impl MetricsUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// The fault, with an example.
    pub fn parse(text: &str) -> Result<Self, MetricsUrlError> {
        let whole = || text.to_owned();
        let has_scheme = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let rest = text.get(7..).filter(|_| has_scheme);
        let rest = rest.ok_or_else(|| MetricsUrlError::Scheme(whole()))?;
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(MetricsUrlError::Character(whole()));
        }
        let (rest, family) = match rest.split_once('#') {
            Some((rest, family)) => (rest, Some(family.to_owned())),
            None => (rest, None),
        };
        if family.as_deref().is_some_and(|family| !is_metric_name(family)) {
            return Err(MetricsUrlError::Family(whole()));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(MetricsUrlError::User(whole()));
        }
        let (host, port) = host_port(authority).ok_or_else(|| MetricsUrlError::Host(whole()))?;
        let port = match port {
            None => 80,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| MetricsUrlError::Port(whole()))?,
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { host: host.to_owned(), port, path: format!("{slash}{path}"), family })
    }

    /// Returns the host's name or address, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the path and the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the name of the latency's metric, if the URL names one.
    pub fn family(&self) -> Option<&str> {
        self.family.as_deref()
    }

    /// Returns host and port as in a `Host` header.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for MetricsUrl {
    /// Writes the address of the page, without the metric's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// Returns true if Prometheus accepts it as the name of a metric.
fn is_metric_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    name.bytes().next().is_some_and(is_letter)
        && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// Splits `host`, `host:port`, `[::1]` or `[::1]:port`.
fn host_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            None if rest.is_empty() => Some((address, None)),
            port => Some((address, Some(port?))),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_valid)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_has_host_port_path_family() {
        let url = MetricsUrl::parse("http://[::1]:8002/metrics?x=1#request_seconds").unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("::1", 8002, "/metrics?x=1"));
        assert_eq!(url.family(), Some("request_seconds"));
        assert_eq!(url.to_string(), "http://[::1]:8002/metrics?x=1");
        let url = MetricsUrl::parse("HTTP://node-1.lan").unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("node-1.lan", 80, "/"));
        assert_eq!(MetricsUrl::parse("http://h?name=x").unwrap().path(), "/?name=x");
    }

    #[test]
    fn faults_name_the_url() {
        let fault = |text: &str| MetricsUrl::parse(text).unwrap_err();
        let bad = |text: &str| text.to_owned();
        for text in ["https://h/", "127.0.0.1:8002/metrics", "", "h\u{e4}ttp://x"] {
            assert_eq!(fault(text), MetricsUrlError::Scheme(bad(text)));
        }
        for text in ["http://h/a b", "http://h/\r\nx: y", "http://h\u{e4}/"] {
            assert_eq!(fault(text), MetricsUrlError::Character(bad(text)));
        }
        for text in ["http://", "http://:80/", "http://[::1/", "http://[x]/", "http://[::1]x/"] {
            assert_eq!(fault(text), MetricsUrlError::Host(bad(text)));
        }
        for text in ["http://h:0/", "http://h:65536/", "http://h:x/", "http://h:/"] {
            assert_eq!(fault(text), MetricsUrlError::Port(bad(text)));
        }
        assert_eq!(fault("http://u:p@h/"), MetricsUrlError::User(bad("http://u:p@h/")));
        assert_eq!(fault("http://h/#1x"), MetricsUrlError::Family(bad("http://h/#1x")));
        assert!(fault("https://h/").to_string().contains("http://127.0.0.1:8002/metrics"));
    }
}
