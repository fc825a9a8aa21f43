//! The deadline of a call, which clients send as the header `grpc-timeout`.

use std::time::Duration;

use axum::http::HeaderMap;

/// Returns the time that a client allows for its call; `None` if it sets no limit or the header cannot be
/// read.
pub(super) fn read(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get("grpc-timeout")?.to_str().ok()?)
}

/// Parses at most eight digits and a unit: H, M, S, m (milliseconds), u (microseconds) or n (nanoseconds).
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let read = ["2H", "3M", "4S", "5m", "6u", "7n"].map(|text| parse(text).unwrap().as_nanos());
        let expected = [7_200_000_000_000, 180_000_000_000, 4_000_000_000, 5_000_000, 6_000, 7];
        assert_eq!(read, expected);
    }

    #[test]
    fn malformed_deadlines_are_ignored() {
        for text in ["", "S", "5", "-1S", "+1S", "123456789S", "1x", "1 S", "1é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
