//! Metadata of a file, as JSON: `/v1/files/{file_id}/metadata`, and one value as text: `.../metadata/{name}`.
//!
//! Names that begin with `fdfs.` are kept by the features that own them: clients see them and cannot change them.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use protocol::metadata::{BadItem, Metadata};
use serde_json::Value;

use super::incoming::Incoming;
use super::info::look_failed;
use super::opening::{self, Opened};
use super::upload::{bad, write_failed};
use super::{Served, Shared};
use crate::authority::Scope;
use crate::files::{Errand, Files, Writes};
use crate::problem::Problem;

/// What clients leave alone.
const OWN: &str = "fdfs.";

/// Longest body: FastDFS's own bound of a request.
const MAX_BODY: usize = 256 * 1024;

/// All items.
pub(super) async fn get<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (id, _) = opening::to_read(&served, &file_id, request)?;
    let metadata = served.files.metadata(&id).await.map_err(look_failed)?;
    Ok(shown(&metadata))
}

/// Replaces all items.
pub(super) async fn put<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    change(&served, &file_id, request, |object| {
        let mut wanted = Metadata::default();
        for (name, value) in object {
            let Value::String(text) = value else { return Err(no_string(&name)) };
            wanted.insert(&name, &text).map_err(|error| bad_item(&name, error))?;
        }
        Ok(Edit::Replace(wanted))
    })
    .await
}

/// Merges items; `null` takes one away (RFC 7396).
pub(super) async fn patch<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    change(&served, &file_id, request, |object| {
        let mut items = BTreeMap::new();
        for (name, value) in object {
            let value = match value {
                Value::Null => None,
                Value::String(text) => {
                    Metadata::default().insert(&name, &text).map_err(|error| bad_item(&name, error))?;
                    Some(text)
                }
                _ => return Err(no_string(&name)),
            };
            items.insert(name, value);
        }
        Ok(Edit::Merge(items))
    })
    .await
}

/// One value, as text.
pub(super) async fn get_one<F: Files>(
    State(served): Shared<F>,
    Path((file_id, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let (id, _) = opening::to_read(&served, &file_id, request)?;
    let metadata = served.files.metadata(&id).await.map_err(look_failed)?;
    let value = metadata.get(&name).ok_or_else(|| no_item(&name))?.to_owned();
    let mut response = value.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

/// Sets one value; the body is the value.
pub(super) async fn put_one<F: Files>(
    State(served): Shared<F>,
    Path((file_id, name)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, Response> {
    let read = |body: Vec<u8>| {
        let detail = "the value of a metadata item is text in UTF-8";
        let value = String::from_utf8(body).map_err(|_| bad("bad_metadata", detail))?;
        Metadata::default().insert(&name, &value).map_err(|error| bad_item(&name, error))?;
        Ok(Edit::Merge(BTreeMap::from([(name.clone(), Some(value))])))
    };
    let edited = edit(&served, &file_id, request, read).await;
    edited.map(|_| StatusCode::NO_CONTENT)
}

/// Takes one item away.
pub(super) async fn delete_one<F: Files>(
    State(served): Shared<F>,
    Path((file_id, name)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, Response> {
    let edited = edit(&served, &file_id, request, |_| Ok(Edit::Remove(name.clone()))).await;
    edited.map(|_| StatusCode::NO_CONTENT)
}

/// Reads a JSON object, makes an edit of it, and carries it out.
async fn change<F: Files>(
    served: &Served<F>,
    file_id: &str,
    request: Request,
    read: impl FnOnce(serde_json::Map<String, Value>) -> Result<Edit, Problem>,
) -> Result<Response, Problem> {
    let edited = edit(served, file_id, request, |body| {
        let detail = "the body is a JSON object of strings, such as {\"width\": \"120\"}";
        let object = serde_json::from_slice(&body).map_err(|_| bad("bad_metadata", detail))?;
        read(object)
    });
    Ok(match edited.await {
        Ok(metadata) => shown(&metadata),
        Err(response) => response,
    })
}

/// Carries out an edit that `read` makes of the body. The error is the whole answer: a refusal, or another member's.
async fn edit<F: Files>(
    served: &Served<F>,
    file_id: &str,
    request: Request,
    read: impl FnOnce(Vec<u8>) -> Result<Edit, Problem>,
) -> Result<Metadata, Response> {
    let opened = opening::to_write(served, file_id, Scope::Write, |id| Errand::Change(id), request).await?;
    let Opened { id, hand, body, settings, .. } = opened;
    let body = Incoming { body, patience: settings.body_timeout }.at_most(MAX_BODY).await?;
    let edit = read(body)?;
    Ok(hand.edit_metadata(&id, move |old| edit.of(old)).await.map_err(write_failed)??)
}

/// What becomes of a file's metadata.
enum Edit {
    /// These items and no others.
    Replace(Metadata),
    /// These items, or none of the name.
    Merge(BTreeMap<String, Option<String>>),
    /// This one no more.
    Remove(String),
}

impl Edit {
    fn of(self, old: &Metadata) -> Result<Metadata, Problem> {
        match self {
            Self::Replace(mut new) => {
                for (name, value) in new.iter().filter(|(name, _)| name.starts_with(OWN)) {
                    check_own(old, name, Some(value))?;
                }
                for (name, value) in old.iter().filter(|(name, _)| name.starts_with(OWN)) {
                    new.insert(name, value).map_err(|error| bad_item(name, error))?;
                }
                Ok(new)
            }
            Self::Merge(items) => {
                let mut new = old.clone();
                for (name, value) in items {
                    check_own(old, &name, value.as_deref())?;
                    match value {
                        Some(value) => new.insert(&name, &value).map_err(|error| bad_item(&name, error))?,
                        // A name that cannot be is refused, unless some other client made it nevertheless.
                        None if new.remove(&name) => {}
                        None => {
                            Metadata::default().insert(&name, "").map_err(|error| bad_item(&name, error))?
                        }
                    }
                }
                Ok(new)
            }
            Self::Remove(name) => {
                let mut new = old.clone();
                if !new.remove(&name) {
                    return Err(no_item(&name));
                }
                check_own(old, &name, None)?;
                Ok(new)
            }
        }
    }
}

/// Refuses to change an item of ours.
fn check_own(old: &Metadata, name: &str, value: Option<&str>) -> Result<(), Problem> {
    if !name.starts_with(OWN) || old.get(name) == value {
        return Ok(());
    }
    let detail =
        format!("names that begin with fdfs. are kept by the server; leave {} as it is", shorten(name));
    Err(bad("reserved_name", &detail))
}

fn bad_item(name: &str, error: BadItem) -> Problem {
    bad("bad_metadata", &format!("{error}; see the item '{}'", shorten(name)))
}

fn no_string(name: &str) -> Problem {
    bad("bad_metadata", &format!("the values of metadata are strings; that of '{}' is none", shorten(name)))
}

fn no_item(name: &str) -> Problem {
    let detail = format!("the file's metadata has no item '{}'", shorten(name));
    Problem::new(StatusCode::NOT_FOUND, "no_such_item", detail)
}

/// A client's name in a sentence.
fn shorten(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_default).collect()
}

fn shown(metadata: &Metadata) -> Response {
    let items: BTreeMap<&str, &str> = metadata.iter().collect();
    axum::Json(items).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(pairs: &[(&str, &str)]) -> Metadata {
        let mut metadata = Metadata::default();
        for (name, value) in pairs {
            metadata.insert(name, value).unwrap();
        }
        metadata
    }

    fn merge(pairs: &[(&str, Option<&str>)]) -> Edit {
        let owned = |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
        Edit::Merge(pairs.iter().map(owned).collect())
    }

    #[test]
    fn edits_keep_what_is_ours() {
        let old = items(&[("a", "1"), ("b", "2"), ("fdfs.filename", "x.jpg")]);
        for (edit, expected) in [
            (Edit::Replace(items(&[("c", "3")])), Ok(&[("c", "3"), ("fdfs.filename", "x.jpg")][..])),
            (Edit::Replace(items(&[("fdfs.filename", "x.jpg")])), Ok(&[("fdfs.filename", "x.jpg")][..])),
            (Edit::Replace(items(&[("fdfs.filename", "y.jpg")])), Err("reserved_name")),
            (Edit::Replace(items(&[("fdfs.new", "1")])), Err("reserved_name")),
            (
                merge(&[("a", None), ("c", Some("3"))]),
                Ok(&[("b", "2"), ("c", "3"), ("fdfs.filename", "x.jpg")][..]),
            ),
            (merge(&[("fdfs.filename", None)]), Err("reserved_name")),
            (merge(&[("fdfs.other", None), ("a", None), ("b", None)]), Ok(&[("fdfs.filename", "x.jpg")][..])),
            (Edit::Remove("a".to_owned()), Ok(&[("b", "2"), ("fdfs.filename", "x.jpg")][..])),
            (Edit::Remove("z".to_owned()), Err("no_such_item")),
            (Edit::Remove("fdfs.filename".to_owned()), Err("reserved_name")),
        ] {
            let outcome = edit.of(&old);
            match expected {
                Ok(expected) => assert_eq!(outcome.unwrap(), items(expected)),
                Err(code) => assert_eq!(outcome.unwrap_err().code(), code),
            }
        }
    }
}
