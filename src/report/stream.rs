//! The stream itself: anyone may emit, readers get every event in order.

use anstream::ColorChoice;
use camino::Utf8PathBuf;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::event::{Event, Kind};
use super::ndjson::Ndjson;
use super::record::Recorder;
use super::terminal::Terminal;

/// How much the terminal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures, the receipt and the last line.
    Quiet,
    /// Each phase.
    Normal,
    /// Each progress of each host.
    Verbose,
}

/// What reads the stream.
#[derive(Debug, Clone)]
pub struct Output {
    /// NDJSON on standard output instead of words on standard error.
    pub json: bool,
    /// Colours.
    pub color: ColorChoice,
    /// How much the terminal says.
    pub verbosity: Verbosity,
    /// File that gets the run's receipt as JSON.
    pub receipt: Option<Utf8PathBuf>,
}

/// Where events go in; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sink {
    run: String,
    to: mpsc::UnboundedSender<Event>,
}

impl Sink {
    /// One that nobody reads.
    pub fn silent() -> Sink {
        Sink {
            run: String::new(),
            to: mpsc::unbounded_channel().0,
        }
    }

    /// Emits an event, stamped now.
    pub fn emit(&self, kind: Kind) {
        // The readers end only after every sink is gone.
        let _ = self.to.send(Event {
            at: Timestamp::now(),
            run: self.run.clone(),
            kind,
        });
    }

    /// Plain information.
    pub fn note(&self, message: impl Into<String>) {
        self.emit(Kind::Note {
            message: message.into(),
        });
    }

    /// Something that the user should know and that stops nothing.
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(Kind::Warning {
            message: message.into(),
        });
    }
}

/// Where events come out; ends when every [`Sink`] is gone.
#[derive(Debug)]
pub struct Stream(JoinHandle<()>);

impl Stream {
    /// Waits until everything emitted has been shown. All sinks must be dropped before.
    pub async fn finish(self) {
        let _ = self.0.await;
    }
}

/// A stream and its readers.
pub fn channel(run: &str, output: Output) -> (Sink, Stream) {
    let (to, mut from) = mpsc::unbounded_channel::<Event>();
    let task = tokio::spawn(async move {
        let mut ndjson = output.json.then(Ndjson::new);
        let mut terminal = (!output.json).then(|| Terminal::new(output.color, output.verbosity));
        let mut recorder = output.receipt.map(Recorder::new);
        while let Some(event) = from.recv().await {
            if let Some(ndjson) = &mut ndjson {
                ndjson.show(&event);
            }
            if let Some(terminal) = &mut terminal {
                terminal.show(&event);
            }
            if let Some(problem) = recorder.as_mut().and_then(|recorder| recorder.see(&event).err())
                && let Some(terminal) = &mut terminal
            {
                terminal.line(&format!("warning: {problem}"));
            }
        }
    });
    (
        Sink {
            run: run.to_owned(),
            to,
        },
        Stream(task),
    )
}
