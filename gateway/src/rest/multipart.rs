//! Uploads as `multipart/form-data`: every part with a file name is a file. All of them are received before the first is
//! made visible, so a request that breaks off leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use bytes::BytesMut;
use futures_util::StreamExt;
use http::StatusCode;
use protocol::file_id::FileExt;
use tokio::time::timeout;

use super::upload::{PIECE, bad, write_failed};
use crate::authority::UploadLimits;
use crate::files::{Committed, Files, Upload, UploadKind, UploadSpec};
use crate::problem::Problem;
use crate::settings::Settings;

/// Files of one request; each holds a descriptor until the end.
const MAX_FILES: usize = 128;
/// Bytes that may arrive between two pieces of content: boundaries and the heads of parts, which the parser buffers.
const MAX_BETWEEN: usize = 1 << 20;

/// Stores all files of a request.
pub(crate) async fn store<F: Files>(
    files: Arc<F>,
    settings: &Settings,
    limits: &UploadLimits,
    kind: UploadKind,
    request: Request,
) -> Result<Vec<(Committed, Option<String>)>, Problem> {
    let between = Arc::new(AtomicUsize::new(0));
    let metered = Arc::clone(&between);
    let request = request.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |piece| {
            let piece = piece.map_err(std::io::Error::other)?;
            if metered.fetch_add(piece.len(), Ordering::Relaxed) > MAX_BETWEEN {
                return Err(std::io::Error::other("the head of a part is too long"));
            }
            Ok(piece)
        }))
    });
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|error| bad("bad_multipart", &error.body_text()))?;
    let mut uploads = Vec::new();
    loop {
        let next = timeout(settings.body_timeout, parts.next_field()).await.map_err(|_| too_slow())?;
        between.store(0, Ordering::Relaxed);
        let Some(mut field) = next.map_err(broken)? else { break };
        let Some(filename) = field.file_name().map(str::to_owned) else {
            let name = field.name().unwrap_or_default().escape_default().to_string();
            let detail = format!(
                "the part '{name}' is no file; send parts with a file name, as curl -F file=@PATH does"
            );
            return Err(bad("unexpected_field", &detail));
        };
        if uploads.len() == MAX_FILES {
            return Err(bad(
                "too_many_files",
                "a request holds up to 128 files; send the rest in another one",
            ));
        }
        limits.check_type(field.content_type())?;
        let ext = FileExt::of_file_name(&filename);
        let spec = UploadSpec::new(kind.clone(), ext);
        let mut upload = files.begin(spec).await.map_err(write_failed)?;
        receive(&mut field, &mut upload, settings, &between).await?;
        uploads.push((upload, (!filename.is_empty()).then_some(filename)));
    }
    if uploads.is_empty() {
        return Err(bad(
            "no_file",
            "the request holds no file; send parts with a file name, as curl -F file=@PATH does",
        ));
    }
    commit(uploads).await
}

/// Moves the content of a part into an upload.
async fn receive(
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

/// Makes all files visible. If one fails, the error says which are stored by then.
async fn commit<U: Upload>(
    uploads: Vec<(U, Option<String>)>,
) -> Result<Vec<(Committed, Option<String>)>, Problem> {
    let mut made: Vec<(Committed, Option<String>)> = Vec::new();
    for (upload, filename) in uploads {
        match upload.commit().await {
            Ok(committed) => made.push((committed, filename)),
            Err(error) if made.is_empty() => return Err(write_failed(error)),
            Err(error) => {
                let stored: Vec<String> = made.iter().map(|(file, _)| file.id.to_string()).collect();
                let status = write_failed(error).status();
                let detail =
                    format!("only these files were stored: {}; send the others again", stored.join(", "));
                return Err(Problem::new(status, "partly_stored", detail));
            }
        }
    }
    Ok(made)
}

fn broken(error: MultipartError) -> Problem {
    bad("bad_multipart", &format!("the multipart body cannot be read: {}", error.body_text()))
}

fn too_slow() -> Problem {
    let detail = "nothing of the body arrived for too long; send it again";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
}
