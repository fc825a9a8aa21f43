//! Wall-clock times as text.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Formats a time, in milliseconds since 1970 in UTC, by a `strftime` form.
pub(super) fn clock(unix_ms: u64, zone: &TimeZone, form: &str) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).map_or_else(
        |_| "(invalid time)".to_owned(),
        |moment| moment.to_zoned_datetime(zone.clone()).strftime(form).to_string(),
    )
}
