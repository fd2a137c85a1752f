//! Who may do what: the attacks on it, a test each, and what is to work in spite of them.

mod attacks;
mod audit;
mod calls;
mod jwt;
mod pages;
mod tickets;
mod tokens;

use std::sync::Arc;

use axum::body::Body;
use gateway::authority::Authority;
use gateway::{Gateway, Site};
use tempfile::TempDir;

use crate::ask::{Answer, ask_from, request};
use crate::fake::Fake;
use crate::policy::settings;

/// A visitor from far away, and another one.
const VISITOR: &str = "192.0.2.7:4000";
const OTHER: &str = "192.0.2.8:4000";
/// A program on this machine.
const HERE: &str = "127.0.17.1:4000";
/// An open file for appending, say; nothing has this name.
const ID: &str = "group1/M00/00/00/wKjugmTdbm6AO3ssAAAAFAK2GLE468.txt";

/// printf all-of-it | sha256sum, and so on.
const TOKENS: &str = "\
all sha256:ALL scopes=read,write,delete,admin
reader sha256:READER scopes=read
late sha256:LATE scopes=read,write,delete expires=2020-01-01T00:00:00Z
other sha256:OTHER scopes=read,write,delete group=group2
own sha256:OWN scopes=write group=group1
";
const SECRET: &str = "a secret that trackers and nodes share\n";

/// Who it is among the members.
const ID_OF_PLACE: &str = "192.168.0.1";

/// A gateway with everything on.
struct Place {
    store: Fake,
    gateway: Gateway<Fake>,
    site: Site,
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self::with("")
    }

    /// With more lines of storage.conf.
    fn with(lines: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let mut tokens = TOKENS.to_owned();
        for name in ["ALL", "READER", "LATE", "OTHER", "OWN"] {
            tokens = tokens
                .replace(&format!("sha256:{name} "), &format!("sha256:{} ", sha256(&name.to_lowercase())));
        }
        std::fs::write(path("tokens"), tokens).unwrap();
        std::fs::write(path("jwks.json"), jwt::keys()).unwrap();
        std::fs::write(path("secret"), SECRET).unwrap();
        let text = format!(
            "http.tokens_file = {}\nhttp.jwt_keys_file = {}\nhttp.cluster_secret_file = {}\nhttp.audit_log = {}\n{lines}",
            path("tokens"),
            path("jwks.json"),
            path("secret"),
            path("audit.log")
        );
        let site = Site::new(settings(&text));
        site.identify(|| Some(ID_OF_PLACE.to_owned()));
        let store = Fake::new();
        let gateway = Gateway::new(Arc::new(store.clone()), site.clone(), gateway::routes::Routes::new());
        Self { store, gateway, site, directory }
    }

    /// Files in the store.
    fn stored(&self) -> usize {
        self.store.0.stored.lock().unwrap().len()
    }

    fn authority(&self) -> Authority {
        self.site.now().authority.clone()
    }

    async fn ask(&self, peer: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        ask_from(&self.gateway, peer, request(method, target, headers, Body::empty())).await
    }

    /// Uploads five bytes.
    async fn upload(&self, peer: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        ask_from(&self.gateway, peer, request("POST", target, headers, Body::from("hello"))).await
    }

    /// Deletes a file that is not there; those who may hear so.
    async fn delete(&self, peer: &str, headers: &[(&str, &str)]) -> String {
        self.ask(peer, "DELETE", &format!("/v1/files/{ID}"), headers).await.code()
    }

    /// Lines of the audit log so far.
    fn audit(&self) -> Vec<serde_json::Value> {
        self.site.flush_logs();
        let text = std::fs::read_to_string(self.directory.path().join("audit.log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What those hear who may.
const MAY: &str = "no_such_file";

fn sha256(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
