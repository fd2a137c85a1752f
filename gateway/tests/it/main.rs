//! Tests of the gateway from outside: file URLs, uploads, and what goes over its sockets, over a store in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod access_log;
mod ask;
mod compression;
mod contract;
mod elsewhere;
mod fake;
mod files;
mod policy;
mod rest;
mod resumable;
mod sockets;
mod uploads;
