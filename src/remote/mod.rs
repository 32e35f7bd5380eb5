//! Servers over SSH: sessions, typed scripts, the guard, tunnels.

pub mod output;
pub mod script;
pub mod session;

pub use output::Output;
pub use script::{Script, ScriptError};
pub use session::{Armed, Fence, RemoteError, Server, Session, Sessions, Tunnel};
