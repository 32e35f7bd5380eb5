//! A run's right to change servers, as the guard there compares it.

/// The run's right to change a server: what the guard compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// `<app.path>/.pointsman/<app>/<env>` on the server.
    pub state_dir: String,
    /// This run's epoch.
    pub epoch: u64,
    /// This run's id.
    pub run: String,
}

/// One mutation under a run's fence.
#[derive(Debug, Clone, Copy)]
pub struct Guarded<'a> {
    /// The run's right.
    pub fence: &'a Fence,
    /// Name of the mutation's record, a file name: letters, digits, `-`, `_`, `.`.
    pub step: &'a str,
    /// Journal lines that are appended to the run's journal there before anything else is done.
    pub lines: &'a str,
    /// Whether nothing may be done where the lines cannot be kept.
    pub required: bool,
}

impl<'a> Guarded<'a> {
    /// Without journal lines.
    pub fn new(fence: &'a Fence, step: &'a str) -> Guarded<'a> {
        Guarded {
            fence,
            step,
            lines: "",
            required: true,
        }
    }
}

/// What a run writes on a server when it fences it.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// The epoch that was seen, on the server where runs compare and set; `None` on the others.
    pub expect: Option<u64>,
    /// Whether this server holds the environment's lock for the run (routers do, hosts do not).
    pub hold: bool,
    /// `owner.json`: who, from where, since when, for what; shown to those who find it locked.
    pub owner: String,
    /// Runs whose lock may be taken over.
    pub steal: Vec<String>,
}
