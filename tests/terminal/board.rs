//! Parses the Board from the screen: the owner of each core, and the fields of each row.
// each test crate uses a part of this
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

/// A cell of the cores pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub core: u16,
    /// The short name of the first owner, or "free".
    pub owner: String,
    /// True if it has more owners.
    pub shared: bool,
    /// Column and row, from 0.
    pub place: (u16, u16),
}

/// A row of the table of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub name: String,
    pub tag: String,
    pub cores: usize,
    /// Instances and threads of each, as the row says; none in the row of free cores.
    pub split: Option<(usize, usize)>,
    /// Column and row of the name, from 0.
    pub place: (u16, u16),
}

/// Returns the lines between a pane's title and its lower edge, and the row of the first one.
fn pane<'a>(rows: &'a [String], title: &str) -> Option<(u16, &'a [String])> {
    let top = rows.iter().position(|row| row.starts_with('╭') && row.contains(title))?;
    let inside = &rows[top + 1..];
    let height = inside.iter().position(|row| row.starts_with('╰'))?;
    Some((u16::try_from(top).unwrap() + 1, &inside[..height]))
}

/// Words of a line with the column where each begins.
fn words(line: &str) -> Vec<(u16, String)> {
    let mut words: Vec<(u16, String)> = Vec::new();
    let mut open = false;
    for (column, letter) in line.chars().enumerate() {
        if letter.is_whitespace() || letter == '│' {
            open = false;
        } else if open {
            words.last_mut().unwrap().1.push(letter);
        } else {
            words.push((u16::try_from(column).unwrap(), letter.to_string()));
            open = true;
        }
    }
    words
}

/// The cells of the cores pane; none before it is drawn.
pub(crate) fn cells(rows: &[String]) -> Vec<Cell> {
    let Some((top, lines)) = pane(rows, " Cores ") else { return Vec::new() };
    let mut cells = Vec::new();
    for (line, y) in lines.iter().zip(top..) {
        for pair in words(line).windows(2) {
            let Ok(core) = pair[0].1.parse() else { continue };
            let name = pair[1].1.trim_matches(['[', ']']);
            let owner = name.split('+').next().unwrap();
            if owner.chars().next().is_some_and(char::is_alphabetic) {
                let (owner, shared) = (owner.to_owned(), name.contains('+'));
                cells.push(Cell { core, owner, shared, place: (pair[0].0, y) });
            }
        }
    }
    cells
}

/// The rows of the table; none before it is drawn.
pub(crate) fn models(rows: &[String]) -> Vec<Row> {
    let Some((top, lines)) = pane(rows, " Models ") else { return Vec::new() };
    let mut found = Vec::new();
    for (line, y) in lines.iter().zip(top..).skip(1) {
        let words: Vec<(u16, String)> = words(line)
            .into_iter()
            .filter(|(_, word)| word.chars().any(char::is_alphanumeric) || word == "■")
            .collect();
        let Some(at) = words.iter().position(|(_, word)| word == "free" || word.len() > 3) else {
            continue;
        };
        let (column, name) = words[at].clone();
        let tag = if at == 0 { name.clone() } else { words[at - 1].1.clone() };
        let Some(cores) =
            words[at..].iter().find_map(|(_, word)| word.trim_end_matches('!').parse().ok())
        else {
            continue;
        };
        let split = words[at..].iter().find_map(|(_, word)| {
            let (instances, threads) = word.split_once('×')?;
            Some((instances.parse().ok()?, threads.parse().ok()?))
        });
        found.push(Row { name, tag, cores, split, place: (column, y) });
    }
    found
}

/// A row by its name.
pub(crate) fn model(rows: &[String], name: &str) -> Option<Row> {
    models(rows).into_iter().find(|row| row.name == name)
}

/// A cell by its core.
pub(crate) fn cell(rows: &[String], core: u16) -> Option<Cell> {
    cells(rows).into_iter().find(|cell| cell.core == core)
}
