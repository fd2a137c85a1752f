//! Whole-system tests: the built binary as real processes, public clients, nothing from inside.
//!
//! Compiled as the `system` test of package `cli`, so that Cargo builds the binary first. Every process has a loopback
//! address of its own with the standard ports ([`address`]), is killed and cleaned up by a guard ([`process`]), and is
//! waited for by asking it, never by sleeping. What a machine cannot do (no such client, no root, no FastDFS) is said in a
//! line that begins with `skipped:` and is seen although the test passes.

mod access;
mod address;
mod attack;
mod attack_tests;
mod browser;
mod client_crate;
mod cluster;
mod conformance;
mod console;
mod content;
mod crash;
mod crash_metadata;
mod curl_lines;
mod daemons;
mod dev;
mod docs_page;
mod gateway;
mod group;
mod hostile;
mod memory;
mod mixed;
mod one_store;
mod process;
mod redbot;
mod reference;
mod refusals;
mod reload;
mod replicated;
mod rest;
mod resumable;
mod say;
mod schedule_rest;
mod schemathesis;
mod signed_urls;
mod stalled;
mod theirs;
mod torture;
mod traversal;
mod trunk;
mod wait;
