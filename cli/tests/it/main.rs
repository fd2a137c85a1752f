//! The program as a process: the life of daemons under both their names, and the exit codes and streams of the tools
//! called as FastDFS's, alone and on `fdfs dev`. What needs separate daemons is in the `system` test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may say so")]

mod check_config;
mod cluster;
mod daemons;
mod program;
mod tools;
