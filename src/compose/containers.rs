//! What containers a project has on a host, and in which state.

/// One container of one project, as `docker inspect` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Compose service (`com.docker.compose.service`).
    pub service: String,
    /// `running`, `exited`, `restarting`, `created`, `paused`, `dead`.
    pub state: String,
    /// Exit code of the last end.
    pub exit_code: i64,
    /// How often the engine restarted it.
    pub restarts: u64,
    /// Whether the kernel killed it for memory.
    pub oom_killed: bool,
    /// Addresses in the networks that it is attached to, first one first.
    pub addresses: Vec<String>,
    /// Image id that it runs (`sha256:...`).
    pub image_id: String,
    /// Image reference that it was started from.
    pub image: String,
    /// Release id label (`pointsman.release`), if any.
    pub release: Option<String>,
    /// What the engine says of its last failure to start, if anything.
    pub error: Option<String>,
}
