//! The train room.
