//! The codec against what FastDFS 6.16.1 sent, and against what nobody should send.

mod frames;
mod messages;
mod names;
mod recorded;
