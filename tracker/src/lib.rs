//! The tracker: schedules uploads and downloads over the storages that join it.
//!
//! [`state`] is pure: every change is a function of an event and the time. `native` and `http` turn requests into
//! calls of it, `files` keeps it on disk, `app` starts and stops all of them.

mod app;
mod control;
mod files;
mod http;
mod native;
mod peers;
mod saver;
pub mod state;
mod trunk;

pub use app::{App, StartError};
pub use control::{Control, ReloadError};
