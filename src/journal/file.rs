//! The copy of a journal on the operator's machine: one file per run, each line fsynced.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::line::Log;

/// `<state>/<app>/<env>/<run>.jsonl`.
#[derive(Debug)]
pub struct FileLog(File);

impl FileLog {
    /// Begins the file, mode 0600, its folder 0700.
    ///
    /// # Errors
    /// When the folder or file cannot be made, or the file is there.
    pub fn create(folder: &Utf8Path, run: &str) -> io::Result<FileLog> {
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
        Ok(FileLog(file))
    }
}

impl Log for FileLog {
    fn append(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(line.as_bytes())?;
        self.0.sync_data()
    }
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
