//! What the REST of a node offers beside uploads.

mod batch;
mod changes;
mod elsewhere;
mod info;
mod metadata;
mod names;
mod native;

use axum::body::Body;
use gateway::Settings;
use gateway::files::UploadKind;

use crate::ask::{Answer, ask, over, request};
use crate::fake::Fake;

/// Asks a gateway over a store as a client on this machine does.
async fn call(store: &Fake, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let gateway = over(store, Settings::plain());
    ask(&gateway, request(method, target, headers, Body::from(body.to_owned()))).await
}

/// An appender file.
pub(crate) fn appender(store: &Fake, content: &str) -> String {
    store.add(&UploadKind::Appender, "txt", content.as_bytes()).to_string()
}

fn normal(store: &Fake, content: &str) -> String {
    store.add(&UploadKind::Normal, "jpg", content.as_bytes()).to_string()
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{:?}", answer.body);
}
