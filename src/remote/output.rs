//! What a remote script printed, and how it ended.

/// The end of a remote script: it ran, and this is what it said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code.
    pub code: i32,
    /// Standard output, lossily decoded.
    pub stdout: String,
    /// Standard error, lossily decoded.
    pub stderr: String,
}

/// Begins the line that separates two parts of a script's output (`section` in prelude.sh).
const MARK: &str = "@@pm:";

impl Output {
    /// Whether the script ended with 0.
    pub fn ok(&self) -> bool {
        self.code == 0
    }

    /// The part of standard output that follows `section NAME`, up to the next section.
    /// `None` when the script never came that far.
    pub fn section(&self, name: &str) -> Option<&str> {
        self.sections().find(|(n, _)| *n == name).map(|(_, text)| text)
    }

    /// All parts in order. Text before the first section is left out.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.stdout.as_str();
        let mut starts = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if let Some(name) = line.strip_prefix(MARK) {
                starts.push((at, at + line.len(), name.trim_end()));
            }
            at += line.len();
        }
        let ends: Vec<usize> = starts
            .iter()
            .skip(1)
            .map(|(s, _, _)| *s)
            .chain([text.len()])
            .collect();
        starts
            .into_iter()
            .zip(ends)
            // `section` prints a newline of its own before the mark.
            .map(move |((_, body, name), end)| {
                let part = &text[body..end];
                (name, part.strip_suffix('\n').unwrap_or(part))
            })
    }

    /// What the script said on standard error, or else on standard output, for a message.
    pub fn complaint(&self) -> &str {
        let err = self.stderr.trim();
        if err.is_empty() { self.stdout.trim() } else { err }
    }
}
