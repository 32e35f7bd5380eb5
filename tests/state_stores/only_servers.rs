//! What only servers can do wrong.
