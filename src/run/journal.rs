//! The journal: JSON Lines, one file per run, written ahead and fsynced, each line chained to the
//! one before by its hash. The dispatcher is its only writer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The format of a journal's lines; readers refuse a newer one.
pub const FORMAT: u32 = 1;
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
    /// A step is about to be taken back.
    Undo,
    /// The run has ended.
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

/// A run's journal on this machine, and the lines that are to be copied to the routers.
#[derive(Debug)]
pub struct Journal {
    file: File,
    run: String,
    epoch: u64,
    seq: u64,
    chain: String,
}

impl Journal {
    /// Begins `<state>/<app>/<env>/<run>.jsonl`, mode 0600, its folder 0700.
    ///
    /// # Errors
    /// When the folder or file cannot be made.
    pub fn create(folder: &Utf8Path, run: &str, epoch: u64) -> io::Result<Journal> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(folder.join(format!("{run}.jsonl")))?;
        File::open(folder)?.sync_all()?;
        Ok(Journal {
            file,
            run: run.to_owned(),
            epoch,
            seq: 0,
            chain: String::new(),
        })
    }

    /// Writes one line and waits until it is on disk; the line is returned, with its newline, to be
    /// copied elsewhere.
    ///
    /// # Errors
    /// When it could not be written: nothing may be sent then.
    pub fn append(
        &mut self,
        kind: LineKind,
        step: Option<&str>,
        data: serde_json::Value,
    ) -> io::Result<String> {
        let mut line = Line {
            v: FORMAT,
            run: self.run.clone(),
            seq: self.seq,
            at: Timestamp::now(),
            epoch: self.epoch,
            kind,
            step: step.map(str::to_owned),
            data,
            chain: String::new(),
        };
        line.chain = chain(&self.chain, &line)?;
        let text = format!("{}\n", serde_json::to_string(&line)?);
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.seq += 1;
        self.chain = line.chain;
        Ok(text)
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

/// Reads a journal: every line that is whole, in order, and chained. A torn last line is dropped.
///
/// # Errors
/// In words, when a line before the last is not what pointsman wrote, or the format is newer.
pub fn read(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    let mut before = String::new();
    let rows: Vec<&str> = text.lines().collect();
    for (number, row) in rows.iter().enumerate() {
        let line: Line = match serde_json::from_str(row) {
            Ok(line) => line,
            Err(_) if number + 1 == rows.len() => break,
            Err(error) => return Err(format!("line {}: {error}", number + 1)),
        };
        if line.v > FORMAT {
            return Err(format!(
                "line {}: format {} is newer than {FORMAT}, which this pointsman reads",
                number + 1,
                line.v
            ));
        }
        let expected = chain(&before, &line).map_err(|error| error.to_string())?;
        if line.chain != expected {
            return Err(format!(
                "line {}: its hash does not follow from the line before",
                number + 1
            ));
        }
        before.clone_from(&line.chain);
        lines.push(line);
    }
    Ok(lines)
}

/// Where this machine keeps its journals of an environment: `$POINTSMAN_STATE_DIR`, else `pointsman/`
/// under the XDG state folder. Losing it loses nothing.
pub fn local_folder(app: &str, env: &str) -> Utf8PathBuf {
    let set = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .map(Utf8PathBuf::from)
    };
    let base = set("POINTSMAN_STATE_DIR")
        .or_else(|| set("XDG_STATE_HOME").map(|dir| dir.join("pointsman")))
        .or_else(|| set("HOME").map(|dir| dir.join(".local/state/pointsman")))
        .unwrap_or_else(|| Utf8PathBuf::from(".pointsman"));
    base.join(app).join(env)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(dir.path().join("a/b")).unwrap();
        let mut journal = Journal::create(&folder, "r1", 7).unwrap();
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
            read(&text.replacen("\"v\":1", "\"v\":2", 1))
                .unwrap_err()
                .contains("newer")
        );
    }
}
