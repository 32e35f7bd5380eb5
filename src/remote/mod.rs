//! Servers over SSH: sessions, typed scripts, the guard, tunnels.

mod error;
mod fence;
mod guard;
mod hostkey;
mod link;
pub mod output;
pub mod script;
mod server;
mod session;
mod sessions;

pub use error::RemoteError;
pub use fence::{Claim, Fence, Guarded};
pub use guard::Armed;
pub use output::Output;
pub use script::{Script, ScriptError};
pub use server::Server;
pub use session::{Session, Tunnel};
pub use sessions::Sessions;
