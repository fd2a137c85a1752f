//! Uploads as `multipart/form-data`: every part with a file name is a file, every other one an item of metadata of all
//! files. All of them are received before the first is made visible, so a request that breaks off leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use bytes::BytesMut;
use futures_util::StreamExt;
use http::StatusCode;
use protocol::file_id::FileExt;
use protocol::metadata::MAX_VALUE;
use tokio::time::timeout;

use super::filename;
use super::gather::PIECE;
use super::terms::Terms;
use super::upload::{Arrived, bad, write_failed};
use crate::authority::UploadLimits;
use crate::files::{Upload, Writes};
use crate::problem::Problem;
use crate::settings::Settings;

/// Files of one request; each holds a descriptor until the end.
const MAX_FILES: usize = 128;
/// Bytes that may arrive between two pieces of content: boundaries and the heads of parts, which the parser buffers.
const MAX_BETWEEN: usize = 1 << 20;

/// Receives all files of a request; its fields go into the terms.
pub(crate) async fn receive<W: Writes>(
    files: &W,
    settings: &Settings,
    limits: &UploadLimits,
    terms: &mut Terms,
    request: Request,
) -> Result<Arrived<W::Upload>, Problem> {
    let between = Arc::new(AtomicUsize::new(0));
    let mut parts = Multipart::from_request(metered(request, &between), &())
        .await
        .map_err(|error| bad("bad_multipart", &error.body_text()))?;
    let mut uploads = Vec::new();
    loop {
        let next = timeout(settings.body_timeout, parts.next_field()).await.map_err(|_| too_slow())?;
        between.store(0, Ordering::Relaxed);
        let Some(mut field) = next.map_err(broken)? else { break };
        let Some(filename) = field.file_name().map(str::to_owned) else {
            add_field(terms, field, settings).await?;
            continue;
        };
        if uploads.len() == MAX_FILES {
            return Err(bad(
                "too_many_files",
                "a request holds up to 128 files; send the rest in another one",
            ));
        }
        limits.check_type(field.content_type())?;
        let ext = FileExt::of_file_name(&filename);
        limits.check_ext(&settings.mime, ext)?;
        let filename = filename::kept(&filename)?;
        // Fields that follow count as well: the commit says what the metadata is.
        let mut upload =
            files.begin(terms.spec(ext, filename.as_deref(), None)).await.map_err(write_failed)?;
        pour(&mut field, &mut upload, settings, &between).await?;
        uploads.push((upload, filename));
    }
    if uploads.is_empty() {
        return Err(bad(
            "no_file",
            "the request holds no file; send parts with a file name, as curl -F file=@PATH does",
        ));
    }
    Ok(Arrived::Begun(uploads))
}

/// A request whose body ends when too much comes between two pieces of content.
fn metered(request: Request, between: &Arc<AtomicUsize>) -> Request {
    let metered = Arc::clone(between);
    request.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |piece| {
            let piece = piece.map_err(std::io::Error::other)?;
            if metered.fetch_add(piece.len(), Ordering::Relaxed) > MAX_BETWEEN {
                return Err(std::io::Error::other("the head of a part is too long"));
            }
            Ok(piece)
        }))
    })
}

/// Adds a part without a file name to the metadata of all files.
async fn add_field(terms: &mut Terms, mut field: Field<'_>, settings: &Settings) -> Result<(), Problem> {
    let Some(name) = field.name().map(str::to_owned) else {
        let detail = "a part has no name; name it, and give it a file name if it is a file";
        return Err(bad("unexpected_field", detail));
    };
    let mut value = Vec::new();
    while let Some(piece) =
        timeout(settings.body_timeout, field.chunk()).await.map_err(|_| too_slow())?.map_err(broken)?
    {
        value.extend_from_slice(&piece);
        if value.len() > MAX_VALUE {
            let detail = "a plain field is metadata and has up to 256 bytes; give a part that is a file a file name, \
                          as curl -F file=@PATH does";
            return Err(bad("bad_metadata", detail));
        }
    }
    let value =
        String::from_utf8(value).map_err(|_| bad("bad_metadata", "the value of a field is text in UTF-8"))?;
    terms.add(&name, &value)
}

/// Moves the content of a part into an upload.
async fn pour(
    field: &mut Field<'_>,
    upload: &mut impl Upload,
    settings: &Settings,
    between: &AtomicUsize,
) -> Result<(), Problem> {
    let mut buffer = BytesMut::new();
    loop {
        let piece = timeout(settings.body_timeout, field.chunk()).await.map_err(|_| too_slow())?;
        between.store(0, Ordering::Relaxed);
        match piece.map_err(broken)? {
            Some(bytes) => buffer.extend_from_slice(&bytes),
            None => break,
        }
        if buffer.len() >= PIECE {
            upload.write(buffer.split().freeze()).await.map_err(write_failed)?;
        }
    }
    if buffer.is_empty() {
        return Ok(());
    }
    upload.write(buffer.freeze()).await.map_err(write_failed)
}

fn broken(error: MultipartError) -> Problem {
    bad("bad_multipart", &format!("the multipart body cannot be read: {}", error.body_text()))
}

fn too_slow() -> Problem {
    let detail = "nothing of the body arrived for too long; send it again";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
}
