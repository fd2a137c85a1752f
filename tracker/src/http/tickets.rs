//! `POST /v1/tickets`: permission for somebody without a token, such as a page in a browser, to upload straight to a node.

use axum::body::to_bytes;
use axum::extract::{Request, State};
use gateway::authority::ticket::{MAX_LIFE, MAX_TYPES, MAX_USES, TicketSpec};
use gateway::authority::{Grant, Scope, TypePattern, UploadLimits};
use gateway::problem::Problem;
use http::{StatusCode, Uri};
use protocol::GroupName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::query::parse_group;
use super::redirect::{Found, place_for_upload};
use super::schedule::MAX_SIZE;
use crate::app::Shared;
use crate::state::{Door, Wanted};

/// Longest body.
const MAX_BODY: usize = 16 * 1024;
/// Seconds that a ticket lasts unless it is said.
const LIFE: u32 = 600;
/// Seconds of the ticket that a redirect carries: the client uses it at once.
const REDIRECT_LIFE: u32 = 60;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    group: Option<String>,
    max_size: Option<u64>,
    types: Vec<String>,
    expires_in: Option<u32>,
    max_uses: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(super) struct Ticket {
    ticket: String,
    /// Unix seconds.
    expires: i64,
    group: String,
    storage: String,
    upload_url: String,
    resumable_url: String,
    max_size: Option<u64>,
    types: Vec<String>,
    max_uses: u32,
}

pub(super) async fn make(
    State(shared): App,
    request: Request,
) -> Result<(StatusCode, axum::Json<Ticket>), Problem> {
    let (parts, body) = request.into_parts();
    let authority = &shared.site.now().authority;
    // Who may not make tickets is told so before the body is looked at; what it is for is tested below.
    let grant = authority.check(&parts, Scope::Write, None)?;
    let body =
        to_bytes(body, MAX_BODY).await.map_err(|_| bad("the body is longer than 16 KiB, or broke off"))?;
    let asked: Asked = if body.is_empty() {
        Asked::default()
    } else {
        // By way of an object: a list of the values in their order is none.
        let object = serde_json::from_slice::<Map<String, Value>>(&body);
        let asked = object.and_then(|object| Asked::deserialize(Value::Object(object)));
        asked.map_err(|error| bad(&format!("the body is no such JSON object: {error}")))?
    };
    let group = of_group(&grant, asked.group.as_deref().map(parse_group).transpose()?)?;
    let types = asked.types.iter().map(|kind| TypePattern::parse(kind)).collect::<Option<Vec<_>>>();
    let types = types.filter(|types| types.len() <= MAX_TYPES);
    let types = types.ok_or_else(|| bad("types are up to 16 names such as image/png or image/*"))?;
    let expires_in = within("expires_in", asked.expires_in.unwrap_or(LIFE), MAX_LIFE)?;
    let max_uses = within("max_uses", asked.max_uses.unwrap_or(1), MAX_USES)?;
    let wanted = Wanted { group, size: asked.max_size.unwrap_or(0).min(MAX_SIZE), door: Door::Http };
    let place = place_for_upload(&shared, &wanted).await?;
    let spec = TicketSpec {
        who: grant.who.clone(),
        group: place.group,
        node: place.storage.to_string(),
        limits: UploadLimits { max_size: asked.max_size, types },
        expires_in: expires_in.min(left(&shared, &grant)),
        max_uses,
    };
    let (ticket, expires) = authority.ticket(&spec).ok_or_else(no_secret)?;
    let answer = Ticket {
        upload_url: format!("{}/v1/files?ticket={ticket}", place.base),
        resumable_url: format!("{}/v1/uploads?ticket={ticket}", place.base),
        ticket,
        expires,
        group: place.group.to_string(),
        storage: place.storage.to_string(),
        max_size: asked.max_size,
        types: spec.limits.types.iter().map(|kind| kind.as_str().to_owned()).collect(),
        max_uses,
    };
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// A ticket for one upload in the URL of a redirect, since clients do not take a token along to another host. None for who
/// showed nothing: the node judges by itself where that comes from.
pub(super) fn for_redirect(shared: &Shared, grant: &Grant, place: &Found, uri: &Uri) -> Option<String> {
    let spec = TicketSpec {
        who: grant.who.clone(),
        group: place.group,
        node: place.storage.to_string(),
        limits: grant.limits.clone(),
        expires_in: REDIRECT_LIFE.min(left(shared, grant)),
        max_uses: 1,
    };
    let (ticket, _) = shared.site.now().authority.ticket(&spec)?;
    let before = uri.query().map(|query| format!("{query}&")).unwrap_or_default();
    Some(format!("{before}ticket={ticket}"))
}

/// The group that a grant is for, if it is for one only.
pub(super) fn of_group(grant: &Grant, asked: Option<GroupName>) -> Result<Option<GroupName>, Problem> {
    match (grant.group, asked) {
        (Some(own), Some(asked)) if own != asked => {
            let detail = format!("this token is for {own} only");
            Err(Problem::new(StatusCode::FORBIDDEN, "token_of_other_group", detail))
        }
        (own, asked) => Ok(own.or(asked)),
    }
}

/// Seconds until a grant ends: nothing that is made by it lasts longer.
fn left(shared: &Shared, grant: &Grant) -> u32 {
    let left = grant.expires.map_or(i64::MAX, |end| end.saturating_sub(shared.now()).max(1));
    u32::try_from(left).unwrap_or(u32::MAX)
}

fn within(name: &str, value: u32, max: u32) -> Result<u32, Problem> {
    let fits = (1..=max).contains(&value);
    if fits { Ok(value) } else { Err(bad(&format!("{name} is a number from 1 to {max}"))) }
}

fn bad(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_ticket", detail)
}

fn no_secret() -> Problem {
    let detail = "this tracker can sign no tickets; name a file by http.cluster_secret_file in tracker.conf, and the same \
                  secret in the storage.conf of every node";
    Problem::new(StatusCode::CONFLICT, "no_cluster_secret", detail)
}
