//! The storage node: keeps the files of one group.

pub mod store;
