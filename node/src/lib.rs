//! The storage node: keeps the files of one group and serves them, over the native protocol and over HTTP.
//!
//! `store` owns the disk; `native` is the service on 23000; `http` shows the store to the gateway; `link` talks to the
//! trackers; `courier` brings writes to members of FastDFS; `recovery` brings back what a replaced disk held; `app` assembles them and owns start and stop. `front` is a
//! gateway over another program's files.

mod app;
mod confirm;
mod control;
mod courier;
mod expiry;
mod front;
mod http;
mod link;
mod native;
mod peers;
mod reading;
mod received;
mod recovery;
mod remote;
mod replication;
pub mod store;
mod trackers;
mod trunk;
mod view;

pub use app::{App, StartError};
pub use control::{Control, ReloadError};
pub use front::Front;
