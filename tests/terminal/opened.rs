//! The console in a terminal: with a layout that hardly works, or with the one that is asked for.

use std::path::PathBuf;

use super::board::{Cell, cells, models};
use super::{SIZE, Session};
use crate::binary::{self, DIVVY, Home};

/// A layout of one model that hardly works, for tests of what is not its work.
pub(crate) fn quiet(home: &Home) -> PathBuf {
    let path = binary::model("ranker");
    let text = format!(
        "version = 1\n[[model]]\nname = \"ranker\"\npath = {:?}\ncores = 1\nengine = \"rten\"\n\
         load = {{ kind = \"closed\", clients = 1, think = \"100ms\" }}\n",
        path.display().to_string()
    );
    home.write("quiet.toml", text)
}

/// The console, with its layouts in this home.
pub(crate) fn open(home: &Home, arguments: &[&str]) -> Session {
    let layouts = home.path("layouts");
    let mut all = vec!["--layout-dir", layouts.to_str().unwrap()];
    all.extend(arguments);
    Session::start(home, DIVVY, &all, SIZE)
}

/// The console with [`quiet`], once its Board is there.
pub(crate) fn open_quiet(home: &Home) -> Session {
    let layout = quiet(home);
    let mut session = open(home, &[layout.to_str().unwrap()]);
    until_board(&mut session, 1);
    session
}

/// Waits until the Board shows cores and so many models that have cores.
pub(crate) fn until_board(session: &mut Session, count: usize) -> Vec<Cell> {
    session.until("the Board", |rows| {
        let models = models(rows);
        let there = models.iter().filter(|row| row.split.is_some() && row.cores > 0).count();
        let cells = cells(rows);
        (there == count && !cells.is_empty()).then_some(cells)
    })
}
