//! The characters that bars, cells and frames are drawn with: Unicode blocks, braille for the small
//! curves, or plain ASCII.

use std::fmt;
use std::str::FromStr;

/// The kind of a character set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GlyphSet {
    /// Block elements, and braille for trends.
    Braille,
    /// Block elements.
    #[default]
    Block,
    /// ASCII only.
    Ascii,
}

impl GlyphSet {
    /// Returns the default for the values of `LC_ALL`, `LC_CTYPE`, `LANG` and `TERM`: ASCII if the locale
    /// names another character set than UTF-8, or on the Linux console, whose font lacks the blocks.
    ///
    /// Without a locale, block elements: containers and remote shells often set none.
    pub fn from_environment(locale: [Option<&str>; 3], term: Option<&str>) -> Self {
        let locale = locale.into_iter().flatten().find(|value| !value.is_empty());
        let is_utf8 = locale.is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if is_utf8 && term != Some("linux") { Self::default() } else { Self::Ascii }
    }
}

impl fmt::Display for GlyphSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Braille => "braille",
            Self::Block => "block",
            Self::Ascii => "ascii",
        })
    }
}

impl FromStr for GlyphSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Braille, Self::Block, Self::Ascii]
            .into_iter()
            .find(|set| set.to_string() == text)
            .ok_or_else(|| format!("unknown glyphs `{text}`: use braille, block or ascii"))
    }
}

/// One set of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Its kind.
    pub set: GlyphSet,
    /// A core of a model.
    pub core: &'static str,
    /// An instance that runs a request.
    pub busy: &'static str,
    /// An idle instance.
    pub idle: &'static str,
    /// A row of processes.
    pub process: &'static str,
    /// A row of processes that divvy cannot change.
    pub locked: &'static str,
    /// The selected row.
    pub pointer: &'static str,
    /// A row that can receive the dragged item.
    pub target: &'static str,
    /// An arrow from an old value to a new one.
    pub arrow: &'static str,
    /// The mark of cut text.
    pub ellipsis: &'static str,
    /// The mark of a change above the heat map.
    pub change: &'static str,
    /// A mark below the histogram.
    pub mark: &'static str,
    /// The multiplication sign.
    pub times: &'static str,
    /// The queue's part of a bar.
    pub queue: &'static str,
    /// A filled column of a bar.
    pub bar: &'static str,
    /// An empty column of a bar.
    pub empty: &'static str,
    /// Frames: horizontal, vertical, four corners from the top left clockwise.
    pub frame: [&'static str; 6],
    /// Levels from empty to full, upward.
    pub levels: [&'static str; 9],
    /// Shades from empty to full.
    pub shades: [&'static str; 5],
}

impl Glyphs {
    /// Builds a set.
    pub fn new(set: GlyphSet) -> Self {
        match set {
            GlyphSet::Ascii => Self {
                set,
                core: "#",
                busy: "*",
                idle: "o",
                process: "@",
                locked: "!",
                pointer: ">",
                target: "+",
                arrow: "->",
                ellipsis: "~",
                change: "v",
                mark: "^",
                times: "x",
                queue: ":",
                bar: "#",
                empty: ".",
                frame: ["-", "|", "+", "+", "+", "+"],
                levels: [" ", ".", ".", ":", ":", "|", "|", "#", "#"],
                shades: [" ", ".", ":", "*", "#"],
            },
            GlyphSet::Block | GlyphSet::Braille => Self {
                set,
                core: "■",
                busy: "●",
                idle: "○",
                process: "◆",
                locked: "◇",
                pointer: "▸",
                target: "+",
                arrow: "→",
                ellipsis: "…",
                change: "▼",
                mark: "▲",
                times: "×",
                queue: "▒",
                bar: "▆",
                empty: "·",
                frame: ["─", "│", "╭", "╮", "╯", "╰"],
                levels: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
                shades: [" ", "░", "▒", "▓", "█"],
            },
        }
    }

    /// Returns the level of a share from 0 to 1. Shares above 0 have at least the lowest visible
    /// level.
    pub fn level(&self, share: f64) -> &'static str {
        Self::pick(&self.levels, share)
    }

    /// Returns the shade of a share from 0 to 1. Shares above 0 have at least the lightest visible
    /// shade.
    pub fn shade(&self, share: f64) -> &'static str {
        Self::pick(&self.shades, share)
    }

    fn pick(steps: &[&'static str], share: f64) -> &'static str {
        let last = steps.len().saturating_sub(1);
        let mut at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        if share > 0.0 {
            at = at.max(1);
        }
        steps.get(at).copied().unwrap_or(" ")
    }

    /// Returns a graph of shares from 0 to 1 in `width` columns, newest at the right.
    pub fn trend(&self, shares: &[f64], width: usize) -> String {
        let per_column = if self.set == GlyphSet::Braille { 2 } else { 1 };
        let keep = shares.len().saturating_sub(width * per_column);
        let shares = shares.get(keep..).unwrap_or_default();
        let mut text = String::new();
        for pair in shares.chunks(per_column) {
            if self.set == GlyphSet::Braille {
                text.push(braille(pair.first().copied(), pair.get(1).copied()));
            } else {
                text.push_str(self.level(pair.first().copied().unwrap_or(0.0)));
            }
        }
        let gap = width.saturating_sub(text.chars().count());
        format!("{:gap$}{text}", "")
    }
}

/// Returns a braille character with two columns of up to four dots.
fn braille(left: Option<f64>, right: Option<f64>) -> char {
    // dots of a column from the bottom up, as bits of the Unicode block
    let column = |share: Option<f64>, bits: [u32; 4]| {
        let dots = share.map_or(0, |share| 1 + (share.clamp(0.0, 1.0) * 3.0).round() as usize);
        bits.iter().take(dots).sum::<u32>()
    };
    let dots = column(left, [0x40, 0x04, 0x02, 0x01]) + column(right, [0x80, 0x20, 0x10, 0x08]);
    char::from_u32(0x2800 + dots).unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_locales_get_ascii() {
        let of = |all, ctype, lang| GlyphSet::from_environment([all, ctype, lang], Some("xterm"));
        assert_eq!(of(None, None, Some("C")), GlyphSet::Ascii);
        assert_eq!(of(Some("POSIX"), None, Some("en_US.UTF-8")), GlyphSet::Ascii);
        assert_eq!(of(Some(""), Some("C.utf8"), Some("C")), GlyphSet::Block);
        assert_eq!(of(None, None, None), GlyphSet::Block);
        let linux = GlyphSet::from_environment([None, None, Some("C.UTF-8")], Some("linux"));
        assert_eq!(linux, GlyphSet::Ascii);
    }

    #[test]
    fn ascii_stays_ascii() {
        let glyphs = Glyphs::new(GlyphSet::Ascii);
        let all = format!("{glyphs:?}");
        assert!(all.is_ascii(), "{all}");
    }

    #[test]
    fn small_shares_are_visible() {
        let glyphs = Glyphs::new(GlyphSet::Block);
        assert_eq!(glyphs.level(0.0), " ");
        assert_eq!(glyphs.level(0.001), "▁");
        assert_eq!(glyphs.shade(2.0), "█");
    }

    #[test]
    fn trends_keep_their_width() {
        for set in [GlyphSet::Braille, GlyphSet::Block, GlyphSet::Ascii] {
            let glyphs = Glyphs::new(set);
            for samples in [0, 1, 5, 50] {
                let text = glyphs.trend(&vec![0.5; samples], 8);
                assert_eq!(text.chars().count(), 8, "{set} {samples}");
            }
        }
    }
}
