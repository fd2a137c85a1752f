//! Uploads that are continued: tus 1.0.0, and the IETF draft.

mod draft;
mod replicas;
mod turns;
mod tus;

use std::time::Duration;

use axum::body::Body;
use gateway::{Gateway, Settings};

use crate::ask::{Answer, ask, over, request};
use crate::fake::Fake;

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const OFFSETS: (&str, &str) = ("content-type", "application/offset+octet-stream");

/// A gateway and its store.
struct Place {
    store: Fake,
    gateway: Gateway<Fake>,
}

impl Place {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let store = Fake::new();
        let mut settings = Settings::plain();
        settings.resumable.expiration = Duration::from_secs(3600);
        change(&mut settings);
        let gateway = over(&store, settings);
        Self { store, gateway }
    }

    async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        ask(&self.gateway, request(method, target, headers, body.into())).await
    }

    /// Asks by tus.
    async fn tus(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        self.ask(method, target, &[&[TUS], headers].concat(), body).await
    }

    /// A new upload's URL.
    async fn create(&self, headers: &[(&str, &str)]) -> String {
        let answer = self.tus("POST", "/v1/uploads", headers, "").await;
        assert_eq!(answer.status, 201, "{headers:?}: {:?}", answer.body);
        answer.header("location").to_owned()
    }

    async fn patch(&self, url: &str, offset: u64, body: &'static str) -> Answer {
        let offset = offset.to_string();
        self.tus("PATCH", url, &[OFFSETS, ("upload-offset", &offset)], body).await
    }

    fn content(&self, answer: &Answer) -> Vec<u8> {
        self.store.content(answer.header("fdfs-file-id")).expect("the file is there").to_vec()
    }
}
