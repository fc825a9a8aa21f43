//! Numbers and names as the screen shows them: fixed widths and units that do not flip, so that
//! a column stays still while its values move.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

pub(super) use crate::telemetry::text::{duration as latency, millis, rate};

/// Returns the number of terminal columns of a text.
pub(super) fn width(text: &str) -> usize {
    if is_plain(text) {
        text.len()
    } else if is_narrow(text) {
        text.chars().count()
    } else {
        text.width()
    }
}

/// Returns true if the text is printable ASCII: one column per byte.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Returns true if each character has one column and none joins another: printable ASCII, and the
/// characters that the console draws with.
pub(super) fn is_narrow(text: &str) -> bool {
    text.chars().all(|letter| {
        matches!(letter, ' '..='~'
            // box drawing, blocks and shapes; braille
            | '\u{2500}'..='\u{25fc}' | '\u{2800}'..='\u{28ff}'
            | '…' | '→' | '×')
    })
}

/// Cuts a text to at most `limit` columns. A cut text ends in `ellipsis`.
pub(super) fn fit<'a>(text: &'a str, limit: usize, ellipsis: &str) -> Cow<'a, str> {
    if width(text) <= limit {
        return Cow::Borrowed(text);
    }
    let room = limit.saturating_sub(ellipsis.width());
    let mut end = 0;
    for (at, letter) in text.char_indices() {
        let next = at + letter.len_utf8();
        // measure the whole prefix, because joined and combining characters have no width
        if text.get(..next).is_none_or(|prefix| prefix.width() > room) {
            break;
        }
        end = next;
    }
    let kept = text.get(..end).unwrap_or_default();
    if limit < ellipsis.width() {
        return Cow::Owned(kept.to_owned());
    }
    Cow::Owned(format!("{kept}{ellipsis}"))
}

/// Pads or cuts a text to the left of a field of exactly `size` columns.
pub(super) fn left(text: &str, size: usize, ellipsis: &str) -> String {
    let text = fit(text, size, ellipsis);
    let gap = size.saturating_sub(width(&text));
    format!("{text}{:gap$}", "")
}

/// Pads or cuts a text to the right of a field of exactly `size` columns.
pub(super) fn right(text: &str, size: usize) -> String {
    let text = fit(text, size, ">");
    let gap = size.saturating_sub(width(&text));
    format!("{:gap$}{text}", "")
}

/// Formats a count, at most five columns.
pub(super) fn count(number: u64) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..10_000_000 => format!("{}k", number / 1000),
        10_000_000..10_000_000_000 => format!("{}M", number / 1_000_000),
        _ => format!("{}G", number / 1_000_000_000),
    }
}

/// Formats a size in binary units, at most five columns: "84M" (MiB), "9.8G" from 10000 MiB on,
/// "336G" from 99 GiB on.
pub(super) fn bytes(size: u64) -> String {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    match size {
        0 => "0M".to_owned(),
        1..MIB => "<1M".to_owned(),
        _ if size < 10_000 * MIB => format!("{}M", size / MIB),
        _ if size < 99 * GIB => format!("{:.1}G", size as f64 / GIB as f64),
        _ if size < 10_000 * GIB => format!("{}G", size / GIB),
        _ => format!("{}T", size >> 40),
    }
}

/// Formats transferred bytes, at most five columns: "812B", "14K" (KiB), then as [`bytes`].
pub(super) fn traffic(size: u64) -> String {
    const KIB: u64 = 1 << 10;
    match size {
        0..1000 => format!("{size}B"),
        1000..1_024_000 => format!("{}K", size.div_ceil(KIB)),
        _ => bytes(size),
    }
}

/// Formats a share as a whole percentage without its sign: "87"; never more than three columns.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0}", (share * 100.0).clamp(0.0, 999.0))
}

/// Formats CPU time in cores: "3.4", at most five columns.
pub(super) fn cores(cpu: f64) -> String {
    if cpu < 99.95 { format!("{cpu:.2}") } else { format!("{cpu:.0}") }
}

/// Formats a duration as a clock: "00:12:31".
pub(super) fn clock(us: u64) -> String {
    let seconds = us / 1_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Formats a time of day in a time zone: "12:31:07".
pub(super) fn time_of_day(unix_ms: u64, zone: &jiff::tz::TimeZone) -> String {
    let moment =
        i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(
        || "--:--:--".to_owned(),
        |moment| moment.to_zoned_datetime(zone.clone()).strftime("%H:%M:%S").to_string(),
    )
}

/// Formats a count with its noun: "1 core", "2 cores".
pub(super) fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::console::GlyphSet;
    use crate::console::glyphs::Glyphs;

    #[test]
    fn cut_text_respects_character_width() {
        assert_eq!(fit("detector", 8, "…"), "detector");
        assert_eq!(fit("detectors", 8, "…"), "detecto…");
        assert_eq!(fit("検出器モデル", 6, "…"), "検出…");
        assert_eq!(left("検出器", 5, "…"), "検出…");
        assert_eq!(fit("e\u{301}tude", 4, "…"), "e\u{301}tu…");
        assert_eq!(fit("abc", 0, "…"), "");
    }

    #[test]
    fn narrow_characters_have_one_column() {
        let narrow = |letter: &char| is_narrow(letter.encode_utf8(&mut [0; 4]));
        for letter in ('\0'..=char::MAX).filter(narrow) {
            assert_eq!(letter.to_string().width(), 1, "{letter:?}");
        }
        for set in [GlyphSet::Block, GlyphSet::Braille, GlyphSet::Ascii] {
            let glyphs = Glyphs::new(set);
            let marks = [glyphs.core, glyphs.pointer, glyphs.ellipsis, glyphs.arrow, glyphs.times];
            assert!(
                glyphs.levels.iter().chain(&glyphs.frame).chain(&marks).all(|mark| is_narrow(mark))
            );
        }
    }

    proptest! {
        #[test]
        fn field_has_the_exact_width(text in "\\PC{0,30}", size in 0usize..40) {
            prop_assert_eq!(width(&left(&text, size, "…")), size);
            prop_assert_eq!(width(&right(&text, size)), size);
        }

        #[test]
        fn metrics_keep_their_width(us in 0u64..10_000_000_000, size in any::<u64>()) {
            prop_assert!(millis(us).len() <= 6, "{}", millis(us));
            prop_assert!(rate(us as f64).len() <= 6, "{}", rate(us as f64));
            prop_assert!(count(us).len() <= 5, "{}", count(us));
            prop_assert!(bytes(size % (9000 << 40)).len() <= 5, "{}", bytes(size));
        }
    }
}
