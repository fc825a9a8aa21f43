//! Addresses to listen on, as the command line has them.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// An IP address and a port. Port 0 stands for any free port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress(pub SocketAddr);

/// The error of a text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not an address to listen on: write a port (8000), which listens on this machine only, or an \
     IP address and a port (192.0.2.7:8000, [::1]:8000); port 0 takes a free one"
)]
pub struct ListenAddressError(String);

impl ListenAddress {
    /// Returns true if only this machine can reach the address.
    pub fn is_local(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        let local = |port: &str| {
            let is_number = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
            let port = port.parse().ok().filter(|_| is_number)?;
            Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        };
        let port =
            text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
        let address = local(port).or_else(|| text.parse().ok());
        address.map(Self).ok_or_else(|| ListenAddressError(text.to_owned()))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_alone_means_this_machine() {
        for (text, address) in [
            ("8000", "127.0.0.1:8000"),
            (":0", "127.0.0.1:0"),
            ("localhost:7", "127.0.0.1:7"),
            ("127.0.0.2:9", "127.0.0.2:9"),
            ("[::1]:8000", "[::1]:8000"),
        ] {
            let parsed: ListenAddress = text.parse().unwrap();
            assert_eq!(parsed.to_string(), address);
            assert!(parsed.is_local(), "{text}");
        }
        for text in ["0.0.0.0:8000", "[::]:8000", "192.0.2.7:80", "[::ffff:192.0.2.7]:80"] {
            assert!(!text.parse::<ListenAddress>().unwrap().is_local(), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", ":", "65536", "+80", "example.org:80", "127.0.0.1", "::1:80:", "http://[::1]"]
        {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains("8000"), "{error}");
        }
    }
}
