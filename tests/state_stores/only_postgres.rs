//! What only postgres can do wrong.
