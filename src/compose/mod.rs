//! Pure builders of docker and compose scripts, and readers of their output.
