//! The commands that a key, the palette or a click in the footer can run. Their names are also used
//! in the config file.

use std::fmt;

use super::Screen;

macro_rules! commands {
    ($($variant:ident, $name:literal, $label:literal, $help:literal;)+) => {
        /// A command.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Command {
            $(#[doc = $help] $variant,)+
        }

        impl Command {
            /// All commands, in the order of the help page.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name in the config file and the palette.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Returns the word in the footer.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// Returns the text of the help page.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }
        }
    };
}

commands! {
    Up, "up", "up", "previous row, or previous receiver while dragging";
    Down, "down", "down", "next row, or next receiver while dragging";
    Left, "left", "left", "previous column, or previous core";
    Right, "right", "right", "next column, or next core";
    PageUp, "page-up", "page up", "ten rows or lines up";
    PageDown, "page-down", "page down", "ten rows or lines down";
    PreviewUp, "preview-up", "preview up", "scroll the changes of the selected layout, or of the journal's entry, up";
    PreviewDown, "preview-down", "preview down", "scroll the changes of the selected layout, or of the journal's entry, down";
    ExtendLeft, "extend-left", "select", "select a range of cores in the cores pane, to the left";
    ExtendRight, "extend-right", "select", "select a range of cores in the cores pane, to the right";
    First, "first", "first", "first row or line";
    Last, "last", "last", "last row or line";
    NextPane, "next-pane", "pane", "focus the next pane (cores, models, ...)";
    Lift, "lift", "lift", "lift a core or an instance of the selected row, or the selected core";
    Accept, "accept", "open", "drop the dragged item; apply staged changes; else open the row";
    Cancel, "cancel", "back", "cancel the drag; discard staged changes; else go back";
    More, "more", "more", "one step up in the selected column, or drag one more";
    Less, "less", "less", "one step down in the selected column, or drag one fewer";
    Share, "share", "share", "while dragging: share the cores instead of moving them";
    Undo, "undo", "undo", "undo the newest change; in staged mode, of the staged ones";
    Redo, "redo", "redo", "redo the change that was undone; in staged mode, a staged one";
    UndoSelected, "undo-selected", "undo it", "journal screen: undo the selected change, whoever made it";
    Staged, "staged", "staged", "switch between live mode and staged mode (changes wait until applied)";
    Pause, "pause", "pause", "pause or resume the selected model";
    Edit, "edit", "edit", "edit any key of the row as in a layout file: name, load, queue, memory, ...";
    Add, "add", "add", "add a row: the path of a model's ONNX file, or a process that runs";
    Processes, "processes", "processes", "list what else runs on the machine, and add one as a row";
    Remove, "remove", "remove", "remove the selected row, after confirmation";
    Record, "record", "record", "record the live requests of the selected model for a replay, or stop that";
    Reserve, "reserve", "reserve", "reserve the row's cores for it, or let others share them";
    Save, "save", "save", "save into the file that this run opened or saved; else ask for a name";
    SaveAs, "save-as", "save as", "save the live layout under a new name";
    Restore, "restore", "restore", "restore the layout as it was last saved";
    Layouts, "layouts", "layouts", "saved layouts: compare, apply, rename, delete";
    Rename, "rename", "rename", "rename the selected layout";
    Delete, "delete", "delete", "delete the selected layout, after confirmation";
    Detail, "detail", "detail", "the selected row in detail";
    Machine, "machine", "machine", "map of the machine: sockets, NUMA nodes, caches";
    Memory, "memory", "memory", "memory use: of divvy's parts and of each row";
    Connections, "connections", "clients", "connections of clients: protocol, model, req/s, bytes";
    Journal, "journal", "journal", "all changes with their verdicts";
    Log, "log", "log", "the newest lines of divvy's own log";
    Alerts, "alerts", "alerts", "all alerts, in full";
    Board, "board", "board", "return to the board";
    Expand, "expand", "zoom", "show the focused pane on the whole screen, or return";
    Sort, "sort", "sort", "sort rows by the next key: name, cores, p99, SLO slack, CPU, queue, layout";
    Filter, "filter", "filter", "show only entries that contain a text";
    Palette, "palette", "command", "find a command by its name";
    Help, "help", "help", "show this help";
    Theme, "theme", "theme", "next colour theme";
    Mouse, "mouse", "mouse", "mouse on or off (off: the terminal selects text)";
    Picture, "picture", "picture", "write the screen to an SVG file";
    Redraw, "redraw", "redraw", "redraw the whole screen";
    Suspend, "suspend", "suspend", "stop divvy and its models, return to the shell; `fg` resumes";
    EndRun, "end-run", "end run", "end the run and its models, after confirmation if the console is attached";
    Quit, "quit", "quit", "quit; asks first if the layout was modified";
}

impl Command {
    /// Returns the command of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|command| command.name() == name)
    }

    /// Returns the command that opens a screen; `None` for the board, which is open at the start.
    pub fn opening(screen: Screen) -> Option<Self> {
        match screen {
            Screen::Board => None,
            Screen::Detail => Some(Self::Detail),
            Screen::Machine => Some(Self::Machine),
            Screen::Layouts => Some(Self::Layouts),
            Screen::Memory => Some(Self::Memory),
            Screen::Connections => Some(Self::Connections),
            Screen::Journal => Some(Self::Journal),
            Screen::Log => Some(Self::Log),
            Screen::Alerts => Some(Self::Alerts),
        }
    }

    /// Returns the text of the help page in read-only mode.
    pub fn readonly_help(self) -> &'static str {
        match self {
            Self::Up => "previous row",
            Self::Down => "next row",
            Self::Accept => "open the row",
            Self::Cancel => "go back",
            Self::Edit => "show the keys of the row as in a layout file",
            Self::Layouts => "saved layouts: compare",
            Self::Processes => "list what else runs on the machine",
            Self::Quit => "quit",
            other => other.help(),
        }
    }

    /// Returns true if it changes the layout, the models or saved files, or only serves to do so.
    /// Refused in read-only mode.
    pub fn changes(self) -> bool {
        matches!(
            self,
            Self::ExtendLeft
                | Self::ExtendRight
                | Self::Share
                | Self::Staged
                | Self::Lift
                | Self::More
                | Self::Less
                | Self::Undo
                | Self::Redo
                | Self::UndoSelected
                | Self::Pause
                | Self::Add
                | Self::Remove
                | Self::Reserve
                | Self::Record
                | Self::Save
                | Self::SaveAs
                | Self::Restore
                | Self::Rename
                | Self::Delete
                | Self::EndRun
        )
    }

    /// Returns the text of the help page in a console that is attached to a run in another process.
    pub fn attached_help(self) -> Option<&'static str> {
        match self {
            Self::EndRun => Some("end the run and its models, after confirmation"),
            Self::Quit => Some("detach: the run goes on; asks first if changes are staged"),
            Self::Suspend => Some("suspend this console only, return to the shell; `fg` resumes"),
            _ => None,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.help())
    }
}
