//! The event loop: receives events, performs their effects and draws frames at a limited rate.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ratatui::layout::Rect;

use super::input::events::{self, ConsoleEvent, EventSources};
use super::input::input_queue::{InputEvent, InputQueue};
use super::input::pointer;
use super::known_layouts::KnownLayouts;
use super::options::{ConsoleError, ConsoleOptions, ConsoleResult, Exit};
use super::picture::svg;
use super::state::{self, Action, Command, ConsoleState, Effect, update};
use super::terminal::{MousePointer, TerminalScreen};
use super::view::{Painted, Painter};
use super::worker;
use crate::machine::request_short_slice;
use crate::scheduler::Control;

/// Minimum time between two frames during a drag: 30 frames per second.
const FRAME: Duration = Duration::from_millis(33);

/// Minimum time between two frames for keys, clicks and answers of the scheduler.
const QUICK: Duration = Duration::from_millis(8);

/// Minimum time between two frames for new data with reduced motion.
const CALM: Duration = Duration::from_secs(2);

/// Opens the console and runs it until the user quits, a stop signal arrives, or the scheduler or
/// the terminal is gone. Restores the terminal in every case, also after a panic.
///
/// # Errors
/// [`ConsoleError`] if the terminal cannot be set up.
pub fn run(
    control: Arc<dyn Control>,
    options: ConsoleOptions,
) -> Result<ConsoleResult, ConsoleError> {
    // this thread draws, so it must not wait while models keep every core busy
    request_short_slice();
    let least = if options.reduced_motion { CALM } else { FRAME };
    let refresh = Duration::from_millis(options.refresh_ms).max(least);
    let opening = options.screen;
    let state = ConsoleState::new(&options);
    let screen = TerminalScreen::enter(MousePointer::of(&state), options.stderr.clone())?;
    let baseline = options.baseline.unwrap_or_else(|| control.layout());
    let (sender, receiver) = mpsc::channel();
    let sources = EventSources {
        snapshots: control.snapshots(),
        connection: options.attached.as_ref().map(|run| run.connection.clone()),
        stop: options.stop,
    };
    let stop = events::start(&sender, sources);
    let known = KnownLayouts::default();
    if let (Some(name), Some(opened)) = (&options.profile, options.opened) {
        known.insert(name, opened);
    }
    let (profiles, log, recordings) = (options.profiles, options.log, options.recordings);
    let context = worker::WorkerContext {
        control,
        profiles,
        known: known.clone(),
        log,
        recordings,
        attached: options.attached,
    };
    let worker = worker::start(context, sender);
    let mut console = EventLoop {
        state,
        painter: Painter::default(),
        unsent: true,
        screen,
        worker,
        inputs: InputQueue::default(),
        painted: 0,
    };
    console.act(Action::Baseline(baseline))?;
    console.open(opening)?;
    let exit = console.run(&receiver, refresh);
    stop.stop();
    let ConsoleState { screen, profile, .. } = console.state;
    let revision = profile.as_deref().and_then(|name| known.revision(name));
    exit.map(|exit| ConsoleResult { exit, screen, profile, revision })
}

/// The outdated part of the screen and the cause.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dirty {
    Clean,
    Data,
    Input,
}

struct EventLoop {
    state: ConsoleState,
    painter: Painter,
    /// True if the painted frame was not sent to the terminal yet.
    unsent: bool,
    screen: TerminalScreen,
    worker: mpsc::Sender<Effect>,
    inputs: InputQueue,
    /// The revision of the state that the last painted frame shows.
    painted: u64,
}

impl EventLoop {
    fn run(
        &mut self,
        events: &mpsc::Receiver<ConsoleEvent>,
        refresh: Duration,
    ) -> Result<Exit, ConsoleError> {
        let mut dirty = Dirty::Input;
        let mut drawn: Option<Instant> = None;
        // show input at once, even right after new data; limit the frame rate of an input flood
        let mut answered: Option<Instant> = None;
        loop {
            let pace = match dirty {
                Dirty::Clean => None,
                Dirty::Data => Some((refresh, drawn)),
                Dirty::Input if self.state.drag.is_some() => Some((FRAME, answered)),
                Dirty::Input => Some((QUICK, answered)),
            };
            // due at once if the last frame is old enough
            let due = pace.map(|(pace, last)| {
                last.map_or(Duration::ZERO, |last| pace.saturating_sub(last.elapsed()))
            });
            let wait =
                [due, self.inputs.remaining_wait(Instant::now())].into_iter().flatten().min();
            let event = match wait {
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
                // some input may have waited long enough
                if self.handle_inputs(&mut dirty)? {
                    return Ok(Exit::Quit);
                }
                continue;
            };
            // process all waiting events before the next frame
            let mut next = Some(event);
            while let Some(event) = next {
                match event {
                    ConsoleEvent::Stop => return Ok(Exit::Stopped),
                    ConsoleEvent::Ended => return Ok(Exit::Ended),
                    ConsoleEvent::Lost => return Ok(Exit::Lost),
                    ConsoleEvent::Input(input) => {
                        if matches!(input, InputEvent::Action(Action::Resized)) {
                            // at once, even if the action must wait. The terminal may have been
                            // resized back and forth since the last frame and lost cells, so send
                            // the whole frame even if the size is the same
                            self.screen.clear();
                            self.unsent = true;
                            dirty = Dirty::Input;
                        }
                        self.inputs.push(input);
                    }
                    ConsoleEvent::Performed(answer) => {
                        self.inputs.note_answer();
                        dirty = Dirty::Input;
                        if let Some(answer) = answer
                            && self.act(*answer)?
                        {
                            return Ok(Exit::Quit);
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
                if self.handle_inputs(&mut dirty)? {
                    return Ok(Exit::Quit);
                }
                // a flood of mouse motion must not delay the frame forever
                let late = drawn.is_some_and(|drawn| drawn.elapsed() >= refresh);
                next = if late { None } else { events.try_recv().ok() };
            }
        }
    }

    /// Handles the input that need not wait. Returns true if the console must end.
    fn handle_inputs(&mut self, dirty: &mut Dirty) -> Result<bool, ConsoleError> {
        while let Some(input) = self.inputs.next(&self.state, Instant::now()) {
            // clicks and scrolling refer to the frame after the input before
            if self.painted != self.state.revision && !input.is_motion() {
                self.repaint()?;
            }
            let action = match input {
                InputEvent::Action(action) => Some(action),
                InputEvent::Mouse(event) => {
                    pointer::interpret(event, self.painter.hits(), &self.state)
                }
            };
            let Some(action) = action else {
                continue;
            };
            *dirty = Dirty::Input;
            if self.act(action)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens a screen like its key, but keeps the current message.
    fn open(&mut self, screen: state::Screen) -> Result<(), ConsoleError> {
        let message = self.state.message.take();
        if let Some(command) = Command::opening(screen) {
            self.act(Action::Command(command))?;
        }
        self.state.message = message;
        Ok(())
    }

    /// Applies an action and performs its effects. Returns true if the console must end.
    fn act(&mut self, action: Action) -> Result<bool, ConsoleError> {
        for effect in update(&mut self.state, action) {
            match effect {
                Effect::Quit => return Ok(true),
                Effect::Mouse => self.screen.set_mouse(MousePointer::of(&self.state))?,
                Effect::Redraw => {
                    #[cfg(debug_assertions)]
                    on_request();
                    self.screen.clear();
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
                // a missing worker has panicked; the panic was reported, and the screen keeps
                // running
                effect => {
                    let delays_input = effect.delays_input();
                    if self.worker.send(effect).is_ok() && delays_input {
                        self.inputs.note_request();
                    }
                }
            }
        }
        Ok(false)
    }

    /// Paints a frame without sending it, to get its click targets.
    fn repaint(&mut self) -> Result<(), ConsoleError> {
        let area = self.screen.area()?;
        self.paint(area);
        Ok(())
    }

    fn paint(&mut self, area: Rect) {
        self.unsent |= self.painter.paint(&self.state, area) == Painted::Changed;
        self.painted = self.state.revision;
        self.state.note_frame(self.painter.hits());
    }

    /// Paints a frame and sends the cells that differ from the last one. An unchanged frame sends
    /// nothing.
    fn draw(&mut self) -> Result<(), ConsoleError> {
        let area = self.screen.area()?;
        self.paint(area);
        if self.unsent {
            let changed = self.painter.take_changed();
            self.screen.show(self.painter.frame(), &changed)?;
            self.unsent = false;
        }
        Ok(())
    }
}

/// Simulates faults on a request to redraw the screen, for tests: a panic in the loop, a line on
/// stderr as native libraries write it, or the end of the process. Debug builds only.
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
