//! `Upload-Concat: final`: one file of several complete parts, in their order.

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;

use super::create::{created, spec_of};
use super::metadata::Told;
use super::{PATIENCE, check_length, check_owner, failed, finish, locked, now, take_back};
use crate::authority::Grant;
use crate::files::Files;
use crate::partials::{Partial, PartialId, Partials, Role};
use crate::problem::Problem;
use crate::rest::Served;
use crate::rest::upload::bad;
use crate::settings::Settings;

/// Seconds that parts stay once they are joined: a client that did not hear of it joins them again.
const KEPT: i64 = 3600;

/// Answers it.
pub(super) async fn serve<F: Files>(
    served: &Served<F>,
    (settings, parts): (&Settings, &Parts),
    grant: Grant,
    told: Told,
    text: String,
    ids: &[PartialId],
) -> Result<Response, Problem> {
    let partials = served.files.partials();
    let mut len: u64 = 0;
    for id in ids {
        let state = partials.look(*id).await.map_err(failed)?;
        check_owner(&state, &grant)?;
        if state.spec.role != Role::Part {
            return Err(bad(
                "no_part",
                &format!("the upload {id} was not created with Upload-Concat: partial"),
            ));
        }
        if state.left() != Some(0) {
            let detail = format!("the part {id} is not complete; send the rest of it first");
            return Err(Problem::new(StatusCode::CONFLICT, "part_incomplete", detail));
        }
        len = len.saturating_add(state.offset);
    }
    check_length(settings, Some(len))?;
    grant.limits.check_size(len)?;
    let spec = spec_of(served, (settings, parts), grant, told, Some(len), Role::Joined(text))?;
    // Nobody knows of it before it is a file.
    let mut whole = partials.create(spec, now().saturating_add(KEPT)).await.map_err(failed)?;
    if let Err(problem) = fill(served, settings, &mut whole, ids).await {
        take_back(whole).await?;
        return Err(problem);
    }
    Ok(created(settings, parts, &whole))
}

/// Copies the parts, and makes the file of them.
async fn fill<F: Files>(
    served: &Served<F>,
    settings: &Settings,
    whole: &mut <F::Partials as Partials>::Partial,
    ids: &[PartialId],
) -> Result<(), Problem> {
    for id in ids {
        let opened = tokio::time::timeout(PATIENCE, served.files.partials().open(*id)).await;
        let mut part = opened.map_err(|_| locked())?.map_err(failed)?;
        whole.append(&mut part).await.map_err(failed)?;
    }
    finish(served, settings, whole).await?;
    let soon = now().saturating_add(KEPT);
    for id in ids {
        // A part that cannot be had now goes at its own time.
        let Ok(Ok(mut part)) = tokio::time::timeout(PATIENCE, served.files.partials().open(*id)).await else {
            continue;
        };
        let until = soon.min(part.state().expires);
        if let Err(error) = part.save(None, until).await {
            tracing::debug!(%id, %error, "a joined part stays until its time is over");
        }
    }
    Ok(())
}
