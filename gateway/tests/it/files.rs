//! File URLs: the table of requests in `files/cases.txt`, which names for every case the rule that it holds the gateway
//! to, and tests of what is no single request.

mod case;
mod defects;
mod http2;
mod run;
mod sample;
mod settings;
mod waiting;

/// What every storage.conf has to say.
const MINIMAL_CONF: &str = "base_path = /s\ngroup_name = group1\ntracker_server = 127.0.17.2\n";
/// Pages and tables of a site.
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/files/site");
