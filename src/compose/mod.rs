//! Pure builders of docker and compose scripts, and readers of their output.

pub mod containers;

pub use containers::Container;
