//! The switch contract and its connectors.
