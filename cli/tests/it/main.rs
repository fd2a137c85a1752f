//! The program as a process: the life of daemons under both their names, and the exit codes and streams of the tools
//! called as FastDFS's. What needs a whole cluster is in the `system` test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may say so")]

mod daemons;
mod program;
mod tools;
