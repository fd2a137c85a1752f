//! One address is enough: what a node would answer is sent on to the right one, with its path and query.
//!
//! The answer comes before a body is read, so that a client that waits for `100 Continue` sends it once. Tokens do not
//! follow: clients drop them on the way to another host unless they are told to trust it (`curl --location-trusted`). So an
//! upload with a token is sent on with a ticket, where the cluster has a secret.

use std::time::Duration;

use axum::extract::{Extension, OriginalUri, Path, Request, State};
use axum::response::{IntoResponse, Response};
use gateway::authority::{ANONYMOUS, Scope, shows_ticket};
use gateway::problem::Problem;
use gateway::server::ClientAddress;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use protocol::{GroupName, Status, StorageId};

use super::places::base_url;
use super::problems::{no_active_storage, no_http_storage, nobody_for_file, not_placed};
use super::query::Params;
use super::schedule::{MAX_SIZE, member, parse_file};
use super::{App, Client, not_found, tickets};
use crate::app::Shared;
use crate::state::{Cluster, Door, Group, Wanted};

/// Where resumable uploads begin.
const UPLOADS: &str = "/v1/uploads";
/// Whole size of a resumable upload (tus 1.0, creation).
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// A storage tells where it serves HTTP right after it has become active; so long it is awaited.
const TELLS: Duration = Duration::from_millis(500);
const LOOKS_AGAIN: Duration = Duration::from_millis(20);

/// A file's URL leads to a member that has it.
pub(super) async fn to_file(
    State(shared): App,
    Extension(ClientAddress(client)): Client,
    Path((group, path, high, low, name)): Path<(String, String, String, String, String)>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    let (id, name) = parse_file(&format!("{group}/{path}/{high}/{low}/{name}"))?;
    shared.await_return().await;
    let mut state = shared.state();
    let storage = state.rank_readers(id.group, &name, shared.now());
    let storage = storage.map_err(|status| nobody_for_file(&state, id.group, status, "reads"))?;
    let first = storage.first().ok_or_else(|| nobody_for_file(&state, id.group, Status::ENOENT, "reads"))?;
    let base = base_url(&shared, member(&state, id.group, first)?, client.ip());
    redirect(&base, &format!("/{id}"), &uri)
}

/// A new file, or the beginning of a resumable upload, goes where the next upload would. A file for a group of FastDFS's
/// storages goes to any node of fdfs, which has it stored there natively.
///
/// Who shows a token gets a ticket to take along, if the cluster has a secret. A ticket goes on as it is: only its node
/// knows how often it was used, so one that were judged here would be good once more than it says. It goes to that node.
pub(super) async fn to_upload(State(shared): App, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let uri = &parts.uri;
    let shows = parts.headers.contains_key(AUTHORIZATION) && !shows_ticket(uri, &parts.headers);
    let grant = shows.then(|| shared.site.now().authority.check(&parts, Scope::Write, None)).transpose()?;
    let told = Params::of(uri.query())?.group()?;
    let group = grant.as_ref().map_or(Ok(told), |grant| tickets::of_group(grant, told))?;
    let wanted = Wanted { group, size: told_size(&parts.headers), door: Door::Http };
    let is_file = uri.path() != UPLOADS;
    let own = shared.site.now().authority.node_of_ticket(&parts);
    let place = found(&shared, |shared| match &own {
        Some((group, node)) => place_of_ticket(&shared.state(), *group, node),
        None => place(shared, &wanted).or_else(|problem| match wanted.group {
            Some(group) if is_file && problem.code() == "no_http_storage" => {
                by_any_node(&shared.state(), group).ok_or(problem)
            }
            _ => Err(problem),
        }),
    })
    .await?;
    let proven = grant.filter(|grant| grant.who != ANONYMOUS);
    let query = proven.and_then(|grant| tickets::for_redirect(&shared, &grant, &place, uri));
    let query = query.or_else(|| uri.query().map(str::to_owned));
    let query = match group.filter(|_| told.is_none() && is_file) {
        // What the token says is not known to a node of another group.
        Some(group) => Some(with(query, &format!("group={group}"))),
        None => query,
    };
    // Sent on, so the node answers a URL with its own address in it: many clients of tus take a path to be one of this tracker.
    let query = if is_file { query } else { Some(with(query, "redirect=1")) };
    redirect_with(&place.base, uri.path(), query.as_deref())
}

/// A query with one more parameter.
fn with(query: Option<String>, parameter: &str) -> String {
    query.map(|query| format!("{query}&")).unwrap_or_default() + parameter
}

/// A storage for an upload over HTTP.
pub(super) struct Found {
    pub(super) group: GroupName,
    pub(super) storage: StorageId,
    /// Where it serves.
    pub(super) base: String,
}

/// Where an upload goes, with a look again if no storage has told its URL yet.
pub(super) async fn place_for_upload(shared: &Shared, wanted: &Wanted) -> Result<Found, Problem> {
    found(shared, |shared| place(shared, wanted)).await
}

fn place(shared: &Shared, wanted: &Wanted) -> Result<Found, Problem> {
    let mut state = shared.state();
    let placed = state.place(wanted).map_err(|status| not_placed(&state, wanted, status))?;
    let base = member(&state, placed.group, &placed.storage)?.http_url().map(str::to_owned);
    Ok(Found { group: placed.group, storage: placed.storage, base: base.ok_or_else(no_http_storage)? })
}

/// The node that a ticket names: no other one takes it.
fn place_of_ticket(state: &Cluster, group: GroupName, node: &str) -> Result<Found, Problem> {
    let member = StorageId::parse(node).ok().and_then(|id| state.group(group)?.member(&id));
    let member = member.filter(|member| member.is_writable());
    let member = member.ok_or_else(|| no_active_storage("uploads by this ticket, which is for one node"))?;
    let base = member.http_url().ok_or_else(no_http_storage)?;
    Ok(Found { group, storage: member.id, base: base.to_owned() })
}

/// A node, of whatever group, for what is for storages of this one that take nothing over HTTP.
fn by_any_node(state: &Cluster, group: GroupName) -> Option<Found> {
    let asked = state.group(group)?;
    asked.readable().chain(asked.writable()).next()?;
    let mut nodes = state.groups().iter().flat_map(Group::readable);
    nodes.find_map(|node| Some(Found { group, storage: node.id, base: node.http_url()?.to_owned() }))
}

/// The size that a client tells before the body; 0 if it tells none.
fn told_size(headers: &HeaderMap) -> u64 {
    let number = |name| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    number(UPLOAD_LENGTH).or_else(|| number(CONTENT_LENGTH)).unwrap_or(0).min(MAX_SIZE)
}

/// What a node answers about several files goes to any node: it knows whom of the others to ask.
pub(super) async fn to_any(State(shared): App, request: Request) -> Result<Response, Problem> {
    let base = found(&shared, |shared| {
        let state = shared.state();
        let mut groups = state.groups().iter();
        let url = groups.find_map(|group| any_url(&state, group.name));
        url.ok_or_else(|| match state.has_active_storage() {
            true => no_http_storage(),
            false => no_active_storage("requests"),
        })
    });
    redirect(&base.await?, request.uri().path(), request.uri())
}

/// Everything about a file that is below `/v1/files/`.
pub(super) async fn to_file_rest(State(shared): App, request: Request) -> Result<Response, Problem> {
    let Some((id, part)) = split(request.uri().path()) else { return Err(not_found().await) };
    let (id, name) = parse_file(&id)?;
    let reads = request.method().is_safe();
    let base = found(&shared, |shared| {
        let mut state = shared.state();
        let found = if reads {
            let ranked = state.rank_readers(id.group, &name, shared.now());
            ranked.map(|ranked| ranked.into_iter().find_map(|storage| url_of(&state, id.group, &storage)))
        } else {
            let chosen = state.choose_changer(id.group, &name, Door::Http);
            chosen.map(|storage| url_of(&state, id.group, &storage))
        };
        let (found, status) = match found {
            Ok(found) => (found, Status::ENOENT),
            Err(status) => (None, status),
        };
        // Every node knows whom of the others to ask, of FastDFS's natively.
        let found = found.or_else(|| any_url(&state, id.group));
        found.or_else(|| by_any_node(&state, id.group).map(|node| node.base)).ok_or_else(|| {
            let serves = |group: &Group| group.readable().chain(group.writable()).next().is_some();
            if state.group(id.group).is_some_and(serves) {
                return no_http_storage();
            }
            nobody_for_file(&state, id.group, status, if reads { "reads" } else { "changes" })
        })
    });
    redirect(&base.await?, &format!("/v1/files/{id}{part}"), request.uri())
}

fn url_of(state: &Cluster, group: GroupName, storage: &StorageId) -> Option<String> {
    state.group(group)?.member(storage)?.http_url().map(str::to_owned)
}

fn any_url(state: &Cluster, group: GroupName) -> Option<String> {
    let mut members = state.group(group)?.readable();
    members.find_map(|member| member.http_url().map(str::to_owned))
}

/// The file ID in the path of such a request, decoded, and what follows it as it came, with its slash.
fn split(path: &str) -> Option<(String, &str)> {
    const SLASHES: usize = 4;
    let rest = path.strip_prefix("/v1/files/")?;
    // One segment by now, if it has as many parts as an ID.
    let (id, part) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let id = percent_encoding::percent_decode_str(id).decode_utf8().ok()?;
    (id.matches('/').count() == SLASHES).then(|| (id.into_owned(), part))
}

/// Looks again for a moment while no storage with HTTP is known.
async fn found<T>(shared: &Shared, look: impl Fn(&Shared) -> Result<T, Problem>) -> Result<T, Problem> {
    shared.await_return().await;
    let end = tokio::time::Instant::now() + TELLS;
    loop {
        match look(shared) {
            Err(problem) if problem.code() == "no_http_storage" && tokio::time::Instant::now() < end => {
                tokio::time::sleep(LOOKS_AGAIN).await;
            }
            answer => return answer,
        }
    }
}

fn redirect(base: &str, path: &str, uri: &Uri) -> Result<Response, Problem> {
    redirect_with(base, path, uri.query())
}

fn redirect_with(base: &str, path: &str, query: Option<&str>) -> Result<Response, Problem> {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::try_from(format!("{base}{path}{query}")).map_err(|_| {
        let detail = "the path has characters that a header cannot carry; encode them";
        Problem::new(StatusCode::BAD_REQUEST, "bad_path", detail)
    })?;
    let headers = [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_id_is_told_from_what_follows() {
        for (path, expected) in [
            ("/v1/files/g%2FM00%2F00%2F00%2Fa", Some(("g/M00/00/00/a", ""))),
            ("/v1/files/g%2fM00%2f00%2f00%2fa/metadata/k%20x", Some(("g/M00/00/00/a", "/metadata/k%20x"))),
            ("/v1/files/g%2FM00%2F00%2F00%2Fa/", Some(("g/M00/00/00/a", "/"))),
            ("/v1/files/photo.jpg", None),
            ("/v1/files/a/b/c", None),
        ] {
            let found = split(path);
            assert_eq!(found.as_ref().map(|(id, part)| (id.as_str(), *part)), expected, "{path}");
        }
    }
}
