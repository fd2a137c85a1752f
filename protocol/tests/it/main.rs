//! The codec against what FastDFS 6.16.1 sent, and against what nobody should send.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may say so")]

mod frames;
mod inverse;
mod messages;
mod names;
mod recorded;
