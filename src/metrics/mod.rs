//! The metrics room.
