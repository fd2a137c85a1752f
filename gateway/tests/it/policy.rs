//! Who may read, how fast, and what answers say: settings as `storage.conf` has them, asked straight and over sockets.

mod access;
mod cors;
mod headers;
mod pace;
mod referers;
mod signed_urls;
mod tokens;
mod writes;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use gateway::files::UploadKind;
use gateway::{Gateway, Settings};
use protocol::config::local_facts::LocalFacts;
use protocol::config::storage_conf::StorageConf;

use crate::ask::{Answer, ask_from, over, request};
use crate::fake::Fake;

/// What every storage.conf has to say.
const MINIMAL_CONF: &str = "base_path = /s\ngroup_name = group1\ntracker_server = 127.0.17.2\n";
/// A visitor from far away.
const VISITOR: &str = "192.0.2.7:4000";
/// What the files hold.
const CONTENT: &[u8] = b"0123456789abcdef0123456789abcdef";

/// The settings of a storage.conf with these lines.
pub(crate) fn settings(lines: &str) -> Settings {
    let text = format!("{MINIMAL_CONF}{lines}\n");
    let (conf, _) = StorageConf::parse(&text, Path::new("storage.conf"), &LocalFacts::none()).unwrap();
    Settings::load(&conf.web, Duration::from_secs(5)).unwrap()
}

/// A gateway with one file of each kind that matters here.
struct Place {
    store: Fake,
    gateway: Gateway<Fake>,
    /// ID of a `.txt`.
    text: String,
}

impl Place {
    fn new(lines: &str) -> Self {
        let store = Fake::new();
        let text = store.add(&UploadKind::Normal, "txt", CONTENT).to_string();
        let gateway = over(&store, settings(lines));
        Self { store, gateway, text }
    }

    /// Puts another file there.
    fn add(&self, ext: &str) -> String {
        self.store.add(&UploadKind::Normal, ext, CONTENT).to_string()
    }

    /// A visitor's request for the text.
    async fn get(&self, headers: &[(&str, &str)]) -> Answer {
        self.ask(VISITOR, "GET", &format!("/{}", self.text), headers).await
    }

    async fn ask(&self, peer: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        ask_from(&self.gateway, peer, request(method, target, headers, Body::empty())).await
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
