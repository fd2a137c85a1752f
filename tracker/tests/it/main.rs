//! A tracker in this process, with storages that only speak: what it answers on the wire and what it keeps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may say so")]

mod golden;
mod hostile;
mod life;
mod network;
mod peers;
mod reference;
mod several;
mod their_start;
mod trunk;
