//! Reads servers and switch into an Observation.
