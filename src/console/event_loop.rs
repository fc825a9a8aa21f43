//! The event loop: takes events in, performs their effects, and draws frames at a steady pace.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::input::events::{self, ConsoleEvent};
use super::input::pointer;
use super::options::{ConsoleError, ConsoleOptions, ConsoleResult, Exit};
use super::picture::svg;
use super::state::{self, Action, Command, ConsoleState, Effect, update};
use super::terminal::TerminalScreen;
use super::view::{Painted, Painter};
use super::worker;
use crate::machine::request_short_slice;
use crate::scheduler::Control;

/// The shortest time between two frames while something is moved: 30 frames a second.
const FRAME: Duration = Duration::from_millis(33);

/// The shortest time between two frames for keys and clicks, and for what the scheduler answers.
const QUICK: Duration = Duration::from_millis(8);

/// The shortest time between two frames for new data where little is to move.
const CALM: Duration = Duration::from_secs(2);

/// Opens the console and runs it until the user leaves, the stop signal comes, or the scheduler or
/// the terminal is gone. The terminal is given back in every case, a panic included.
///
/// # Errors
/// [`ConsoleError`] when the terminal refuses.
pub fn run(
    control: Arc<dyn Control>,
    options: ConsoleOptions,
) -> Result<ConsoleResult, ConsoleError> {
    // this thread draws: it must not wait behind models that keep every core busy
    request_short_slice();
    let screen = TerminalScreen::enter(options.mouse, options.stderr.clone())?;
    let least = if options.reduced_motion { CALM } else { FRAME };
    let refresh = Duration::from_millis(options.refresh_ms).max(least);
    let opening = options.screen;
    let state = ConsoleState::new(&options);
    let baseline = options.baseline.unwrap_or_else(|| control.layout());
    let (sender, receiver) = mpsc::channel();
    let stop = events::start(&sender, control.snapshots(), options.stop);
    let context = worker::WorkerContext { control, profiles: options.profiles, log: options.log };
    let worker = worker::start(context, sender);
    let mut console =
        EventLoop { state, painter: Painter::default(), unsent: true, screen, worker };
    console.act(Action::Baseline(baseline))?;
    console.open(opening)?;
    let exit = console.run(&receiver, refresh);
    stop.stop();
    let ConsoleState { screen, profile, .. } = console.state;
    exit.map(|exit| ConsoleResult { exit, screen, profile })
}

/// Which part of the screen is out of date, and since what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dirty {
    Clean,
    Data,
    Input,
}

struct EventLoop {
    state: ConsoleState,
    painter: Painter,
    /// Whether the terminal does not show the painted frame yet.
    unsent: bool,
    screen: TerminalScreen,
    worker: mpsc::Sender<Effect>,
}

impl EventLoop {
    fn run(
        &mut self,
        events: &mpsc::Receiver<ConsoleEvent>,
        refresh: Duration,
    ) -> Result<Exit, ConsoleError> {
        let mut dirty = Dirty::Input;
        let mut drawn: Option<Instant> = None;
        // what a hand does is shown at once, whenever data was shown last; a flood of it at its pace
        let mut answered: Option<Instant> = None;
        loop {
            let pace = match dirty {
                Dirty::Clean => None,
                Dirty::Data => Some((refresh, drawn)),
                Dirty::Input if self.state.drag.is_some() => Some((FRAME, answered)),
                Dirty::Input => Some((QUICK, answered)),
            };
            // due at once where the last frame is old enough
            let due = pace.map(|(pace, last)| {
                last.map_or(Duration::ZERO, |last| pace.saturating_sub(last.elapsed()))
            });
            let event = match due {
                Some(wait) if wait.is_zero() => None,
                Some(wait) => match events.recv_timeout(wait) {
                    Ok(event) => Some(event),
                    Err(mpsc::RecvTimeoutError::Timeout) => None,
                    Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(Exit::Ended),
                },
                None => match events.recv() {
                    Ok(event) => Some(event),
                    Err(mpsc::RecvError) => return Ok(Exit::Ended),
                },
            };
            let Some(event) = event else {
                self.draw()?;
                drawn = Some(Instant::now());
                if dirty == Dirty::Input {
                    answered = drawn;
                }
                dirty = Dirty::Clean;
                continue;
            };
            // everything that waits is taken in before the next frame
            let mut next = Some(event);
            while let Some(event) = next {
                match event {
                    ConsoleEvent::Stop => return Ok(Exit::Stopped),
                    ConsoleEvent::Ended => return Ok(Exit::Ended),
                    ConsoleEvent::Lost => return Ok(Exit::Lost),
                    ConsoleEvent::Mouse(event) => {
                        if let Some(action) =
                            pointer::interpret(event, self.painter.hits(), &self.state)
                        {
                            dirty = Dirty::Input;
                            if self.act(action)? {
                                return Ok(Exit::Quit);
                            }
                            // the next event must meet the frame that this one leads to
                            if events_need_frame(&self.state) {
                                self.repaint();
                            }
                        }
                    }
                    ConsoleEvent::Action(action) => {
                        let kind = if action.is_input() { Dirty::Input } else { Dirty::Data };
                        dirty = dirty.max(kind);
                        if self.act(action)? {
                            return Ok(Exit::Quit);
                        }
                    }
                }
                // a flood of motion must not put the frame off for ever
                let late = drawn.is_some_and(|drawn| drawn.elapsed() >= refresh);
                next = if late { None } else { events.try_recv().ok() };
            }
        }
    }

    /// Opens a screen as its key does, but keeps what is said.
    fn open(&mut self, screen: state::Screen) -> Result<(), ConsoleError> {
        let message = self.state.message.take();
        if let Some(command) = Command::opening(screen) {
            self.act(Action::Command(command))?;
        }
        self.state.message = message;
        Ok(())
    }

    /// Takes an action in and sees to its effects. Whether the console is to end.
    fn act(&mut self, action: Action) -> Result<bool, ConsoleError> {
        if matches!(action, Action::Resized) {
            // the terminal may have gone to another size and back since the last frame, and lost
            // what stood outside the smaller one: a frame of the same size must be sent whole
            self.screen.clear()?;
            self.unsent = true;
        }
        for effect in update(&mut self.state, action) {
            match effect {
                Effect::Quit => return Ok(true),
                Effect::Mouse(on) => self.screen.set_mouse(on)?,
                Effect::Redraw => {
                    #[cfg(debug_assertions)]
                    on_request();
                    self.screen.clear()?;
                    self.unsent = true;
                }
                Effect::Suspend => {
                    self.screen.suspend()?;
                    self.unsent = true;
                }
                Effect::Picture => {
                    let result = worker::write_picture(&svg(self.painter.frame()));
                    update(&mut self.state, Action::Pictured(result));
                }
                // a worker that is gone has panicked: its panic was told, the screen goes on
                effect => drop(self.worker.send(effect)),
            }
        }
        Ok(false)
    }

    /// Paints a frame without sending it: only its click targets are wanted.
    fn repaint(&mut self) {
        let area = self.painter.frame().area;
        self.unsent |= self.painter.paint(&self.state, area) == Painted::Changed;
        self.state.scroll_limits = self.painter.hits().scroll_limits;
    }

    /// Paints a frame and sends what differs from the last one sent. An unchanged frame sends
    /// nothing.
    fn draw(&mut self) -> Result<(), ConsoleError> {
        let area = self.screen.area()?;
        self.unsent |= self.painter.paint(&self.state, area) == Painted::Changed;
        if self.unsent {
            self.screen.show(self.painter.frame())?;
            self.unsent = false;
        }
        self.state.scroll_limits = self.painter.hits().scroll_limits;
        Ok(())
    }
}

/// When the whole screen is asked for anew: a panic in the loop, for the test that the terminal is
/// given back then, or a line on standard error, as native libraries write them, the end of the
/// process included. Debug builds only.
#[cfg(debug_assertions)]
fn on_request() {
    let asked = |name| std::env::var_os(name).is_some_and(|when| when == "redraw");
    if asked("DIVVY_STRAY") || asked("DIVVY_ABORT") {
        eprintln!("a library was here");
    }
    if asked("DIVVY_ABORT") {
        std::process::abort();
    }
    assert!(!asked("DIVVY_PANIC"), "DIVVY_PANIC asks for it");
}

/// Whether places on the screen depend on what was just done: an opened dialog covers them.
fn events_need_frame(state: &ConsoleState) -> bool {
    state.dialog.is_some()
}
