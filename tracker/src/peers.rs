//! Other trackers: who they are, who leads, and copies of each other's files.

pub(crate) mod election;
