//! One line of a journal, the writer that chains them, and the reader that believes only a chain.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The format of a journal's lines; readers refuse a newer one. 2: undo has an outcome of its own,
/// and there is a point of no return.
pub const FORMAT: u32 = 2;
/// Hex digits kept of each line's hash: enough to tell a torn or edited line, short to read.
const CHAIN_DIGITS: usize = 16;

/// What kind of line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// The run begins: its data is the plan.
    Run,
    /// A step is about to act.
    Intent,
    /// A step has ended.
    Outcome,
    /// The new release was seen to serve: from here on nothing is undone.
    PointOfNoReturn,
    /// A step is about to be taken back.
    Undo,
    /// A step was taken back, or could not be.
    Undone,
    /// The run's verdict.
    End,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`FORMAT`].
    pub v: u32,
    /// The run.
    pub run: String,
    /// Number of the line, from 0.
    pub seq: u64,
    /// When it was written, by this machine's clock.
    pub at: Timestamp,
    /// The run's epoch.
    pub epoch: u64,
    /// What kind of line it is.
    pub kind: LineKind,
    /// The step, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What there is to say; never a secret.
    pub data: serde_json::Value,
    /// Hash over this line without this field and the line before's.
    #[serde(default)]
    pub chain: String,
}

/// Where a journal's lines become durable on this machine.
pub trait Log: Send {
    /// Writes one line, with its newline, and waits until it is durable.
    ///
    /// # Errors
    /// When it could not be written: nothing may be sent then.
    fn append(&mut self, line: &str) -> io::Result<()>;
}

/// A run's journal.
pub struct Journal {
    log: Box<dyn Log>,
    now: fn() -> Timestamp,
    run: String,
    epoch: u64,
    seq: u64,
    chain: String,
}

impl Journal {
    /// Begins the journal of a run.
    pub fn new(log: Box<dyn Log>, run: &str, epoch: u64) -> Journal {
        Journal {
            log,
            now: Timestamp::now,
            run: run.to_owned(),
            epoch,
            seq: 0,
            chain: String::new(),
        }
    }

    /// With another clock: a simulated run's journal must come out the same each time.
    #[must_use]
    pub fn with_clock(mut self, now: fn() -> Timestamp) -> Journal {
        self.now = now;
        self
    }

    /// Writes one line and waits until it is durable; the line is returned, with its newline, to be
    /// copied elsewhere.
    ///
    /// # Errors
    /// When it could not be written: nothing may be sent then. The line is returned in the error all
    /// the same, so that it can be kept elsewhere.
    pub fn append(
        &mut self,
        kind: LineKind,
        step: Option<&str>,
        data: serde_json::Value,
    ) -> Result<String, (io::Error, String)> {
        let mut line = Line {
            v: FORMAT,
            run: self.run.clone(),
            seq: self.seq,
            at: (self.now)(),
            epoch: self.epoch,
            kind,
            step: step.map(str::to_owned),
            data,
            chain: String::new(),
        };
        line.chain = chain(&self.chain, &line).map_err(|error| (error, String::new()))?;
        let text = match serde_json::to_string(&line) {
            Ok(text) => text + "\n",
            Err(error) => return Err((error.into(), String::new())),
        };
        self.seq += 1;
        self.chain = line.chain;
        match self.log.append(&text) {
            Ok(()) => Ok(text),
            Err(error) => Err((error, text)),
        }
    }
}

fn chain(before: &str, line: &Line) -> io::Result<String> {
    let bare = Line {
        chain: String::new(),
        ..line.clone()
    };
    let hash = Sha256::new()
        .chain_update(before)
        .chain_update(serde_json::to_string(&bare)?)
        .finalize();
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(hex[..CHAIN_DIGITS].to_owned())
}

/// Reads a journal: every line that is whole, in order, and chained. What a cut write left is
/// dropped: it is no line, and the chain shows that nothing is missing. A line that came twice,
/// because an answer was lost, counts once.
///
/// # Errors
/// In words, when a line is not what pointsman wrote, one is missing, or the format is newer.
pub fn read(text: &str) -> Result<Vec<Line>, String> {
    let mut lines: Vec<Line> = Vec::new();
    let mut torn = None;
    for (number, row) in text.lines().enumerate() {
        let line: Line = match serde_json::from_str(row) {
            Ok(line) => line,
            Err(error) => {
                torn.get_or_insert(format!("line {}: {error}", number + 1));
                continue;
            }
        };
        if line.v > FORMAT {
            return Err(format!(
                "line {}: format {} is newer than {FORMAT}, which this pointsman reads",
                number + 1,
                line.v
            ));
        }
        let at = usize::try_from(line.seq).unwrap_or(usize::MAX);
        if lines.get(at) == Some(&line) {
            continue;
        }
        let before = lines.last().map_or("", |line| line.chain.as_str());
        let expected = chain(before, &line).map_err(|error| error.to_string())?;
        if at != lines.len() || line.chain != expected {
            return Err(torn.unwrap_or_else(|| {
                format!(
                    "line {}: its hash does not follow from the line before",
                    number + 1
                )
            }));
        }
        torn = None;
        lines.push(line);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::journal::FileLog;

    fn sample() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(dir.path().join("a/b")).unwrap();
        let log = FileLog::create(&folder, "r1").unwrap();
        let mut journal = Journal::new(Box::new(log), "r1", 7);
        let mut text = journal
            .append(LineKind::Run, None, serde_json::json!({"plan": 1}))
            .unwrap();
        text += &journal
            .append(LineKind::Intent, Some("fence"), serde_json::Value::Null)
            .unwrap();
        text += &journal
            .append(LineKind::End, None, serde_json::json!({"end": "done"}))
            .unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("r1.jsonl")).unwrap(), text);
        (dir, text)
    }

    #[test]
    fn reads_what_it_wrote() {
        let (_dir, text) = sample();
        let lines = read(&text).unwrap();
        assert_eq!(lines.iter().map(|l| l.seq).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(lines.iter().all(|l| l.epoch == 7 && l.run == "r1"));
    }

    #[test]
    fn drops_a_torn_tail_and_refuses_an_edited_line() {
        let (_dir, text) = sample();
        assert_eq!(read(&text[..text.len() - 9]).unwrap().len(), 2);
        let edited = text.replace("\"fence\"", "\"flip\"");
        assert!(read(&edited).unwrap_err().starts_with("line 2"));
        let removed: String = text
            .lines()
            .enumerate()
            .filter(|(n, _)| *n != 1)
            .map(|(_, l)| format!("{l}\n"))
            .collect();
        assert!(read(&removed).unwrap_err().starts_with("line 2"));
        assert!(
            read(&text.replacen("\"v\":2", "\"v\":3", 1))
                .unwrap_err()
                .contains("newer")
        );
    }

    #[test]
    fn a_line_that_came_twice_or_was_cut_in_between_counts_once() {
        let (_dir, text) = sample();
        let rows: Vec<&str> = text.lines().collect();
        let cut = format!("{}\n{}\n{}", rows[0], &rows[1][..20], text);
        assert_eq!(read(&cut).unwrap().len(), 3);
        // What is missing is missing, whatever was cut there.
        let missing = format!("{}\n{}\n{}\n", rows[0], &rows[1][..20], rows[2]);
        assert!(read(&missing).unwrap_err().starts_with("line 2"));
    }
}
