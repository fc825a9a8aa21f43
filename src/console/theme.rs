//! Styles by meaning. Panes never name a colour, and a state that has a colour also has a letter or
//! a word.

use std::fmt;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};

/// The built-in themes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemeName {
    /// The terminal's sixteen colours, for light and dark terminals.
    #[default]
    Ansi,
    /// 24-bit colours for dark terminals.
    Truecolor,
    /// Blue, orange and related colours, distinct with any colour vision.
    ColourBlind,
    /// No colour. `NO_COLOR` selects it.
    Mono,
}

impl ThemeName {
    /// All themes, in the order in which the key cycles through them.
    pub const ALL: [Self; 4] = [Self::Ansi, Self::Truecolor, Self::ColourBlind, Self::Mono];

    /// Returns the theme for an environment: mono with `NO_COLOR`, 24-bit colours if `COLORTERM`
    /// declares them, else the sixteen colours.
    pub fn from_environment(no_color: Option<&str>, colorterm: Option<&str>) -> Self {
        if no_color.is_some_and(|value| !value.is_empty()) {
            return Self::Mono;
        }
        match colorterm {
            Some("truecolor" | "24bit") => Self::Truecolor,
            _ => Self::Ansi,
        }
    }

    /// Returns the next theme; the first after the last.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Ansi => Self::Truecolor,
            Self::Truecolor => Self::ColourBlind,
            Self::ColourBlind => Self::Mono,
            Self::Mono => Self::Ansi,
        }
    }
}

impl fmt::Display for ThemeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ansi => "ansi",
            Self::Truecolor => "truecolor",
            Self::ColourBlind => "colour-blind",
            Self::Mono => "mono",
        })
    }
}

impl FromStr for ThemeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|name| name.to_string() == text).ok_or_else(|| {
            format!("unknown theme `{text}`: use ansi, truecolor, colour-blind or mono")
        })
    }
}

/// Styles by meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// The theme.
    pub name: ThemeName,
    /// Ordinary text.
    pub text: Style,
    /// Headings, units and windows.
    pub dim: Style,
    /// Frames of panes.
    pub frame: Style,
    /// Titles of panes.
    pub title: Style,
    /// The title of the focused pane.
    pub focus: Style,
    /// The program's name, keys in the footer.
    pub accent: Style,
    /// A target met.
    pub good: Style,
    /// A warning.
    pub warn: Style,
    /// A target missed, a failure.
    pub bad: Style,
    /// The selected row.
    pub selected: Style,
    /// The selected field of it.
    pub field: Style,
    /// A row that can receive the drag.
    pub lit: Style,
    /// The row that receives the drag if it is dropped now.
    pub receiver: Style,
    /// A row that cannot receive the drag.
    pub blocked: Style,
    /// The dragged item.
    pub ghost: Style,
    /// Queue time in the histogram.
    pub queue: Style,
    models: &'static [Color],
    heat: &'static [Color],
}

const ANSI_MODELS: [Color; 6] =
    [Color::Blue, Color::Green, Color::Magenta, Color::Cyan, Color::LightBlue, Color::LightMagenta];
const TRUE_MODELS: [Color; 8] = [
    Color::Rgb(102, 178, 255),
    Color::Rgb(126, 211, 133),
    Color::Rgb(209, 143, 255),
    Color::Rgb(94, 214, 214),
    Color::Rgb(255, 176, 120),
    Color::Rgb(240, 140, 190),
    Color::Rgb(190, 200, 110),
    Color::Rgb(150, 160, 235),
];
// after Okabe and Ito's palette: distinct under the three common colour vision deficiencies
const BLIND_MODELS: [Color; 6] = [
    Color::Rgb(86, 180, 233),
    Color::Rgb(230, 159, 0),
    Color::Rgb(0, 158, 115),
    Color::Rgb(204, 121, 167),
    Color::Rgb(240, 228, 66),
    Color::Rgb(0, 114, 178),
];
const MONO: [Color; 1] = [Color::Reset];
const ANSI_HEAT: [Color; 4] = [Color::Blue, Color::Cyan, Color::Yellow, Color::Red];
const TRUE_HEAT: [Color; 6] = [
    Color::Rgb(52, 73, 120),
    Color::Rgb(60, 110, 160),
    Color::Rgb(80, 160, 170),
    Color::Rgb(170, 190, 110),
    Color::Rgb(240, 180, 70),
    Color::Rgb(250, 110, 70),
];
const BLIND_HEAT: [Color; 4] = [
    Color::Rgb(0, 70, 130),
    Color::Rgb(86, 180, 233),
    Color::Rgb(240, 228, 66),
    Color::Rgb(213, 94, 0),
];

impl Theme {
    /// Builds a theme.
    pub fn new(name: ThemeName) -> Self {
        match name {
            ThemeName::Ansi => Self::ansi(),
            ThemeName::Truecolor => Self::truecolor(),
            ThemeName::ColourBlind => Self::colour_blind(),
            ThemeName::Mono => Self::mono(),
        }
    }

    fn ansi() -> Self {
        let base = Self::mono();
        Self {
            name: ThemeName::Ansi,
            dim: Style::new().fg(Color::DarkGray),
            frame: Style::new().fg(Color::DarkGray),
            focus: Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
            accent: Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
            good: Style::new().fg(Color::Green),
            warn: Style::new().fg(Color::Yellow),
            bad: Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            lit: Style::new().fg(Color::Green),
            receiver: Style::new().fg(Color::Black).bg(Color::Green),
            blocked: Style::new().fg(Color::DarkGray),
            ghost: Style::new().fg(Color::Black).bg(Color::Cyan).add_modifier(Modifier::BOLD),
            queue: Style::new().fg(Color::Yellow),
            models: &ANSI_MODELS,
            heat: &ANSI_HEAT,
            ..base
        }
    }

    fn truecolor() -> Self {
        let rgb = |r, g, b| Style::new().fg(Color::Rgb(r, g, b));
        Self {
            name: ThemeName::Truecolor,
            text: rgb(214, 219, 230),
            dim: rgb(126, 136, 155),
            frame: rgb(72, 80, 98),
            title: rgb(214, 219, 230).add_modifier(Modifier::BOLD),
            focus: rgb(120, 200, 255).add_modifier(Modifier::BOLD),
            accent: rgb(120, 200, 255).add_modifier(Modifier::BOLD),
            good: rgb(126, 211, 133),
            warn: rgb(240, 190, 90),
            bad: rgb(255, 107, 107).add_modifier(Modifier::BOLD),
            selected: Style::new().bg(Color::Rgb(42, 49, 66)),
            field: Style::new().bg(Color::Rgb(70, 84, 120)).add_modifier(Modifier::BOLD),
            lit: rgb(126, 211, 133),
            receiver: Style::new().fg(Color::Rgb(16, 22, 30)).bg(Color::Rgb(126, 211, 133)),
            blocked: rgb(92, 100, 116),
            ghost: Style::new()
                .fg(Color::Rgb(16, 22, 30))
                .bg(Color::Rgb(120, 200, 255))
                .add_modifier(Modifier::BOLD),
            queue: rgb(240, 190, 90),
            models: &TRUE_MODELS,
            heat: &TRUE_HEAT,
        }
    }

    fn colour_blind() -> Self {
        let rgb = |r, g, b| Style::new().fg(Color::Rgb(r, g, b));
        Self {
            name: ThemeName::ColourBlind,
            good: rgb(86, 180, 233),
            warn: rgb(240, 228, 66),
            bad: rgb(230, 120, 30).add_modifier(Modifier::BOLD),
            lit: rgb(86, 180, 233),
            receiver: Style::new().fg(Color::Black).bg(Color::Rgb(86, 180, 233)),
            ghost: Style::new()
                .fg(Color::Black)
                .bg(Color::Rgb(240, 228, 66))
                .add_modifier(Modifier::BOLD),
            queue: rgb(240, 228, 66),
            models: &BLIND_MODELS,
            heat: &BLIND_HEAT,
            ..Self::truecolor()
        }
    }

    fn mono() -> Self {
        let plain = Style::new();
        // terminals differ in what they show for bold and dim together, so one replaces the other
        let bold = plain.add_modifier(Modifier::BOLD).remove_modifier(Modifier::DIM);
        let dim = plain.add_modifier(Modifier::DIM).remove_modifier(Modifier::BOLD);
        Self {
            name: ThemeName::Mono,
            text: plain,
            dim,
            frame: dim,
            title: bold,
            focus: bold.add_modifier(Modifier::UNDERLINED),
            accent: bold,
            good: plain,
            warn: plain.add_modifier(Modifier::UNDERLINED),
            bad: bold,
            selected: bold,
            field: plain.add_modifier(Modifier::REVERSED),
            lit: plain,
            receiver: plain.add_modifier(Modifier::REVERSED),
            blocked: dim,
            ghost: bold.add_modifier(Modifier::REVERSED),
            queue: plain,
            models: &MONO,
            heat: &MONO,
        }
    }

    /// Returns the style of a model by its index in the layout. Colours repeat; tags do not.
    pub fn model(&self, index: usize) -> Style {
        let colour = self.models.get(index % self.models.len().max(1));
        colour.map_or(self.text, |colour| Style::new().fg(*colour))
    }

    /// Returns the heat-map style of a share from 0 to 1.
    pub fn heat(&self, share: f64) -> Style {
        let last = self.heat.len().saturating_sub(1);
        let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        self.heat.get(at).map_or(self.text, |colour| Style::new().fg(*colour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_selects_the_theme() {
        assert_eq!(ThemeName::from_environment(Some("1"), Some("truecolor")), ThemeName::Mono);
        assert_eq!(ThemeName::from_environment(Some(""), Some("truecolor")), ThemeName::Truecolor);
        assert_eq!(ThemeName::from_environment(None, Some("yes")), ThemeName::Ansi);
    }

    #[test]
    fn mono_has_no_colour() {
        let theme = Theme::new(ThemeName::Mono);
        let styles = [theme.bad, theme.good, theme.ghost, theme.model(3), theme.heat(0.7)];
        for style in styles {
            assert!(style.fg.is_none_or(|colour| colour == Color::Reset), "{style:?}");
            assert!(style.bg.is_none(), "{style:?}");
        }
    }

    #[test]
    fn theme_names_round_trip() {
        for name in ThemeName::ALL {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        assert!("beige".parse::<ThemeName>().is_err());
    }
}
