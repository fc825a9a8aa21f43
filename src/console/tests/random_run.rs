//! A seeded run of random keys, mouse events, pastes and resizes over the demo. Refused input changes
//! nothing, only the layouts that the user names are written, and undo returns to the start.
//!
//! `scripts/random-input` makes longer runs.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::fixtures;
use super::testing::TestConsole;
use crate::console::input::input_queue::InputEvent;
use crate::console::state::{Action, Command, ConfirmedAction, ConsoleState, Dialog, Mode, Tone};
use crate::layout::{DesiredState, Layout, demo};
use crate::scheduler::Control;

/// Events of a run in the suite.
const EVENTS: usize = 10_000;

/// Keys that follow each other on the way to a change; `\r` is enter, `\u{1b}` is escape.
const PHRASES: [&str; 16] = [
    "oj\r",
    "Snight\r",
    "Sday\r\ry",
    "s",
    "Xy",
    "Rr\r",
    " j\r",
    " k\r",
    "l+++",
    "pp",
    "t++\r",
    "t++\u{1b}yu",
    "/e\r\u{1b}",
    ":pau\r",
    "oDy",
    "q\u{1b}",
];

/// Texts that are pasted; `FILE` stands for the path of a model.
const PASTES: [&str; 7] = [
    "FILE\n",
    "\"FILE\"",
    "{ kind = \"poisson\",\n rate = 5 }",
    "night",
    "3\r\n",
    "\u{1b}[31mred",
    "y\ny\nq\n",
];

/// One random event.
#[derive(Clone, Debug)]
enum RandomEvent {
    Input(InputEvent),
    /// Keys that arrive together.
    Burst(String),
    Resize(u16, u16),
    Data,
}

fn code(letter: char) -> KeyCode {
    match letter {
        '\r' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        letter => KeyCode::Char(letter),
    }
}

fn press(code: KeyCode, modifiers: KeyModifiers) -> InputEvent {
    InputEvent::Action(Action::Key(KeyEvent::new(code, modifiers)))
}

/// The console under test, and the source of its events.
struct RandomRun {
    console: TestConsole,
    random: fastrand::Rng,
    /// The path of a model file that can be added.
    file: String,
}

/// The part of the state that only accepted input may change.
struct Kept {
    desired: DesiredState,
    saved: Vec<(String, Layout)>,
    /// The layouts that the next input may write.
    named: Vec<String>,
    /// True if the frame is too small for what the input would do.
    unseen: bool,
}

impl RandomRun {
    fn new(seed: u64, file: &str) -> Self {
        let layout = demo().unwrap().layout().clone();
        let mut console = TestConsole::with(&layout, fixtures::machine(8, 4), 120, 36);
        console.profiles.put("alt", &fixtures::layout());
        console.profiles.put("balanced", &layout);
        console.state.readonly = seed % 4 == 3;
        console.draw();
        Self { console, random: fastrand::Rng::with_seed(seed), file: file.to_owned() }
    }

    fn event(&mut self) -> RandomEvent {
        const CODES: [KeyCode; 12] = [
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::Delete,
            KeyCode::Backspace,
            KeyCode::Home,
            KeyCode::End,
        ];
        let random = &mut self.random;
        // most of the run is on a terminal that is large enough
        if self.console.state.too_small && random.u8(..20) == 0 {
            return RandomEvent::Resize(120, 36);
        }
        RandomEvent::Input(match random.u8(..100) {
            0..=34 => press(KeyCode::Char(random.char(' '..='~')), KeyModifiers::NONE),
            35..=49 => press(CODES[random.usize(..CODES.len())], KeyModifiers::NONE),
            50..=54 => press(KeyCode::Char(random.char('a'..='z')), KeyModifiers::CONTROL),
            55..=84 => self.mouse(),
            85..=88 => {
                let text = PASTES[random.usize(..PASTES.len())].replace("FILE", &self.file);
                InputEvent::Action(Action::Paste(text))
            }
            89..=95 => {
                // half of them close a dialog first
                let start = if random.bool() { "\u{1b}\u{1b}" } else { "" };
                let phrase = PHRASES[random.usize(..PHRASES.len())];
                return RandomEvent::Burst(format!("{start}{phrase}"));
            }
            96 => return RandomEvent::Resize(random.u16(1..130), random.u16(1..40)),
            97 => InputEvent::Action(Action::FocusLost),
            _ => return RandomEvent::Data,
        })
    }

    fn mouse(&mut self) -> InputEvent {
        let left = MouseButton::Left;
        let kind = match self.random.u8(..9) {
            0..=2 => MouseEventKind::Down(left),
            3 | 4 => MouseEventKind::Up(left),
            5 => MouseEventKind::Drag(left),
            6 => MouseEventKind::Moved,
            7 => MouseEventKind::ScrollUp,
            _ => MouseEventKind::ScrollDown,
        };
        let places: Vec<Rect> = self.console.hits.iter().map(|(place, _)| *place).collect();
        let place = self.random.choice(places).unwrap_or(Rect::new(0, 0, 120, 36));
        let modifiers = match self.random.u8(..4) {
            0 => KeyModifiers::CONTROL,
            1 => KeyModifiers::SHIFT,
            _ => KeyModifiers::NONE,
        };
        InputEvent::Mouse(MouseEvent {
            kind,
            column: place.x + self.random.u16(..place.width.max(1)),
            row: place.y + self.random.u16(..place.height.max(1)),
            modifiers,
        })
    }

    fn take_in(&mut self, event: RandomEvent) {
        let console = &mut self.console;
        match event {
            RandomEvent::Input(InputEvent::Action(action)) => console.act(action),
            RandomEvent::Input(InputEvent::Mouse(event)) => {
                console.mouse_with(event.kind, (event.column, event.row), event.modifiers);
            }
            RandomEvent::Burst(keys) => {
                console.burst(keys.chars().map(|letter| press(code(letter), KeyModifiers::NONE)));
            }
            RandomEvent::Resize(width, height) => {
                console.frame = Buffer::empty(Rect::new(0, 0, width, height));
                console.act(Action::Resized);
            }
            RandomEvent::Data => console.refresh(),
        }
    }

    fn kept(&self) -> Kept {
        let state = &self.console.state;
        Kept {
            desired: self.console.control.desired(),
            saved: self.console.profiles.all(),
            named: named_layouts(state),
            unseen: state.too_small && !matches!(state.dialog, Some(Dialog::Quit)),
        }
    }

    /// Handles one event, and checks what it may change.
    fn step(&mut self) {
        let event = self.event();
        let before = self.kept();
        self.console.state.message = None;
        let burst = matches!(event, RandomEvent::Burst(_));
        self.take_in(event.clone());
        let state = &self.console.state;
        let after = self.kept();
        let refused = state.message.as_ref().is_some_and(|message| {
            message.tone == Tone::Bad
                && ["refused: ", "not staged: ", "read-only: "]
                    .iter()
                    .any(|start| message.text.starts_with(start))
        });
        // of a burst, only some keys may be refused, and some may name a layout
        if (refused && !burst) || before.unseen || state.readonly {
            assert_eq!(after.desired, before.desired, "{event:?}: {}", self.console.message());
        }
        if before.unseen || state.readonly {
            assert_eq!(after.saved, before.saved, "{event:?}");
        }
        for written in differing(&before.saved, &after.saved).into_iter().filter(|_| !burst) {
            assert!(before.named.contains(&written), "{event:?} wrote {written}");
        }
    }

    /// Leaves all dialogs, the drag and staged mode.
    fn leave_all(&mut self) {
        self.take_in(RandomEvent::Resize(120, 36));
        self.console.act(Action::Command(Command::Board));
        self.console.refresh();
        while self.console.state.drag.is_some() {
            self.console.key(KeyCode::Esc);
        }
        if !self.console.state.staged.is_empty() {
            self.console.key(KeyCode::Esc);
            if self.console.state.dialog.is_some() {
                self.console.keys("y");
            }
        }
        if self.console.state.mode == Mode::Staged && !self.console.state.readonly {
            self.console.keys("t");
        }
    }

    fn undo_all(&mut self) {
        while !self.console.message().contains("nothing to undo") {
            self.console.keys("u");
            assert!(
                ["undone: ", "refused: nothing to undo"]
                    .iter()
                    .any(|start| self.console.message().starts_with(start)),
                "{}",
                self.console.message()
            );
        }
    }
}

/// Returns the layouts that the next key or click may write: the live one, and those that the open
/// dialog names.
fn named_layouts(state: &ConsoleState) -> Vec<String> {
    let mut names: Vec<String> = state.profile.iter().cloned().collect();
    match &state.dialog {
        // another layout of this name is written only after a question
        Some(Dialog::SaveAs { editor, .. }) => {
            names.extend(
                Some(editor.text().trim().to_owned())
                    .filter(|name| state.layouts.find(name).is_none()),
            );
        }
        Some(Dialog::Rename { from, editor }) => {
            names.extend([from.clone(), editor.text().trim().to_owned()]);
        }
        Some(Dialog::Confirm {
            yes: ConfirmedAction::Delete(name) | ConfirmedAction::Overwrite(name),
            ..
        }) => names.push(name.clone()),
        Some(Dialog::Comparison(dialog)) => names.push(dialog.name.clone()),
        _ => {}
    }
    names
}

/// Returns the names whose layout differs.
fn differing(before: &[(String, Layout)], after: &[(String, Layout)]) -> Vec<String> {
    let only = |left: &[(String, Layout)], right: &[(String, Layout)]| -> Vec<String> {
        left.iter().filter(|entry| !right.contains(entry)).map(|(name, _)| name.clone()).collect()
    };
    [only(before, after), only(after, before)].concat()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn random_input_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("o'cr model.onnx");
    std::fs::write(&file, crate::engine::embedded::bytes("ranker.onnx").unwrap()).unwrap();
    let events = number("DIVVY_INPUT_EVENTS", EVENTS as u64);
    let first = number("DIVVY_INPUT_SEED", 1);
    for seed in first..first + 4 {
        println!("seed {seed}");
        let mut run = RandomRun::new(seed, file.to_str().unwrap());
        let start = run.console.control.layout();
        for _ in 0..events / 4 {
            run.step();
        }
        let changes = run.console.control.changes().len();
        println!("{changes} changes, {} undoable", run.console.control.undoable());
        run.leave_all();
        if run.console.state.readonly {
            assert_eq!(changes, 0);
            continue;
        }
        run.undo_all();
        assert_eq!(run.console.control.layout(), start, "seed {seed}");
        assert!(changes > 0, "seed {seed} changed nothing");
    }
}
