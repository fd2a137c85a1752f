//! Writes that belong to another member: its bytes pass through this node, or with `response_mode = redirect` the client is
//! sent there. Who that is, a tracker says; nothing in the request does. A member that takes no writes by HTTP, as those of
//! FastDFS, is asked natively ([`Hand`]).
//!
//! What is passed on carries `Fdfs-Hop`, so it stays where it arrives, and headers of a proxy, so that a member on the same
//! machine does not take the client for a local one. Where the cluster has a secret, it also carries `Fdfs-Cluster` instead
//! of what the client showed: this node has judged that, and a member need not know the client's tokens.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderName, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::uri::Authority as HostPort;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use protocol::{FileId, GroupName};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};
use tokio::time::{sleep, timeout};

use super::Served;
use super::hand::Hand;
use super::incoming::Incoming;
use super::upload;
use crate::ResponseMode;
use crate::authority::{Authority, Call, FDFS_CLUSTER, Grant, Scope};
use crate::client::Client;
use crate::elsewhere::{self, HOP, is_hop};
use crate::files::{Carrier, Errand, Files, HttpMember, NoCarrier};
use crate::problem::Problem;
use crate::query::QueryString;
use crate::settings::Settings;

/// Longest wait for a connection to a member: they are near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for an answer once the request was sent: the member may have to read a large file for its checksum.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer: a description of a file, or of several.
const MAX_ANSWER: usize = 1 << 20;

/// What concerns one connection only (RFC 9110, 7.6.1), or is made anew for the next.
const OF_ONE_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    HOST,
];
/// What a client may have made up about those who passed its request on.
const TOLD: [HeaderName; 3] =
    [FORWARDED, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// Where a write is carried out.
pub(super) enum Placed<F: Files> {
    /// Here, with this hand.
    By(Hand<F>, Request),
    /// Elsewhere: this is the answer.
    Answered(Response),
}

/// Sends a write to where it belongs. The caller has checked by `grant` that the client may ask for it.
pub(super) async fn place<F: Files>(
    served: &Served<F>,
    grant: &Grant,
    errand: Errand<'_>,
    request: Request,
) -> Result<Placed<F>, Problem> {
    let (parts, body) = request.into_parts();
    let carried = carried(served, &parts, errand).await?;
    let request = Request::from_parts(parts, body);
    match carried {
        Carried::By(hand) => Ok(Placed::By(hand, request)),
        Carried::At(member) => {
            Ok(Placed::Answered(Box::pin(send_on(&served.site.now(), grant, &member, request)).await?))
        }
    }
}

/// Answers an upload, here or at a member of the group that its parameter `group` names. Here it is made ready first.
pub(super) fn upload<F: Files>(
    served: Arc<Served<F>>,
    request: Request,
    make_ready: impl FnOnce(&Served<F>, &Hand<F>, Request) -> Result<Request, Problem> + Send,
) -> impl Future<Output = Result<Response, Problem>> + Send {
    let own = served.files.group();
    let wanted = QueryString::of(request.uri()).get("group").and_then(|name| GroupName::parse(&name).ok());
    let serve = |served: &Served<F>, hand, request| {
        let request = make_ready(served, &hand, request)?;
        Ok(upload::serve(Arc::clone(&served.files), hand, served.site.now(), None, request))
    };
    match wanted.filter(|group| *group != own) {
        None => match serve(&served, Hand::Own(Arc::clone(&served.files)), request) {
            Ok(answered) => answered.map(Ok).left_future(),
            Err(problem) => ready(Err(problem)).right_future(),
        }
        .left_future(),
        // Boxed, because it is rare: uploads here need no room for it.
        Some(group) => Box::pin(async move {
            match place_upload(&served, group, request).await? {
                Placed::By(hand, request) => Ok(serve(&served, hand, request)?.await),
                Placed::Answered(response) => Ok(response),
            }
        })
        .right_future(),
    }
}

/// The same as [`place`] for an upload into another group.
async fn place_upload<F: Files>(
    served: &Served<F>,
    group: GroupName,
    request: Request,
) -> Result<Placed<F>, Problem> {
    let (parts, body) = request.into_parts();
    let grant = served.site.now().authority.check(&parts, Scope::Write, Some(group))?;
    place(served, &grant, Errand::Upload(group), Request::from_parts(parts, body)).await
}

/// Who carries out a write.
pub(super) enum Carried<F: Files> {
    /// This node, with this hand.
    By(Hand<F>),
    /// This member.
    At(HttpMember),
}

/// Who carries out a write. What a member sent on stays here.
pub(super) async fn carried<F: Files>(
    served: &Served<F>,
    parts: &Parts,
    errand: Errand<'_>,
) -> Result<Carried<F>, Problem> {
    let own = || Carried::By(Hand::Own(Arc::clone(&served.files)));
    if is_hop(&parts.headers, QueryString::of(&parts.uri)) {
        return Ok(own());
    }
    let group = errand.group();
    match served.files.carrier(errand).await.map_err(nobody)? {
        Carrier::Here => Ok(own()),
        Carrier::Member { http: Some(member), .. } => Ok(Carried::At(member)),
        Carrier::Member { native, http: None } => {
            let member = served.files.member(native, group).ok_or_else(|| no_http(native))?;
            Ok(Carried::By(Hand::Member(group, member)))
        }
    }
}

fn nobody(why: NoCarrier) -> Problem {
    let (code, detail) = match why {
        NoCarrier::Nobody => (
            "no_member",
            "the trackers name no member for this write: the group is unknown, or none of its members is in service or has \
             room",
        ),
        NoCarrier::NoTracker => (
            "no_tracker",
            "this write belongs to another member, and no tracker answers who that is; try again later",
        ),
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
}

/// Deletes a file of another member for a request that names several.
pub(super) async fn delete_at<F: Files>(
    served: &Served<F>,
    asked: (&Parts, &Grant),
    member: &HttpMember,
    id: &FileId,
) -> Result<StatusCode, Problem> {
    let ((parts, grant), url) = (asked, &member.url);
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::DELETE;
    *request.uri_mut() = Uri::try_from(format!("/v1/files/{id}")).map_err(|_| bad_url(url))?;
    if let Some(authorization) = parts.headers.get(AUTHORIZATION) {
        request.headers_mut().insert(AUTHORIZATION, authorization.clone());
    }
    if let Some(client) = parts.extensions.get::<Client>() {
        request.extensions_mut().insert(*client);
    }
    let response = Box::pin(pass_on(&served.site.now(), grant, member, request)).await?;
    let status = response.status();
    if status.is_success() {
        return Ok(status);
    }
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said: Said = serde_json::from_slice(&body).unwrap_or_default();
    let code = if status == StatusCode::NOT_FOUND { "no_such_file" } else { "member_refused" };
    Err(Problem::new(status, code, format!("{url} answered: {}", said.detail)))
}

/// A problem as another member describes it.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    detail: String,
}

async fn send_on(
    settings: &Settings,
    grant: &Grant,
    member: &HttpMember,
    request: Request,
) -> Result<Response, Problem> {
    let is_clear = member.url.starts_with("http://");
    if settings.response_mode == ResponseMode::Proxy && is_clear {
        return pass_on(settings, grant, member, request).await;
    }
    let response = elsewhere::redirect(&member.url, request.uri());
    let (parts, body) = request.into_parts();
    // A client that waits for "100 Continue" sends nothing before it hears of the redirect.
    if !parts.headers.contains_key(EXPECT) {
        Incoming { body, patience: settings.body_timeout }.discard().await;
    }
    Ok(response)
}

/// A body that is passed on, and what became of it.
struct Passing {
    body: Mutex<Incoming>,
    problem: std::sync::Mutex<Option<Problem>>,
    /// The body has ended.
    over: Notify,
}

/// Passes a request on to a member, and its answer back.
async fn pass_on(
    settings: &Settings,
    grant: &Grant,
    member: &HttpMember,
    request: Request,
) -> Result<Response, Problem> {
    let url = &member.url;
    let authority: HostPort = url
        .strip_prefix("http://")
        .and_then(|rest| rest.trim_end_matches('/').parse().ok())
        .ok_or_else(|| bad_url(url))?;
    let (parts, body) = request.into_parts();
    let waits = parts.headers.contains_key(EXPECT);
    let is_empty = http_body::Body::is_end_stream(&body);
    let passing = Arc::new(Passing {
        body: Mutex::new(Incoming { body, patience: settings.body_timeout }),
        problem: std::sync::Mutex::default(),
        over: Notify::new(),
    });
    if is_empty {
        passing.over.notify_one();
    }
    let body = if is_empty { Body::empty() } else { flow(Arc::clone(&passing)) };
    let mut onward = onward(&parts, &authority, body)?;
    if !is_empty && !onward.headers().contains_key(CONTENT_LENGTH) {
        onward.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    vouch(&settings.authority, grant, &member.id, &mut onward);
    let outcome = exchange(&authority, onward, &passing).await;
    let of_body = passing.problem.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(problem) = of_body {
        return Err(problem);
    }
    let refused = outcome.as_ref().map_or(true, |response| !response.status().is_success());
    if refused && !waits {
        passing.body.lock().await.discard().await;
    }
    outcome.map_err(|why| {
        tracing::warn!(member = %url, why, "a write cannot be passed on to the member that it belongs to");
        let detail =
            format!("the member that this write belongs to, {url}, does not answer ({why}); try again later");
        Problem::new(StatusCode::BAD_GATEWAY, "member_unreachable", detail)
    })
}

/// The body as it comes.
fn flow(passing: Arc<Passing>) -> Body {
    Body::from_stream(stream::try_unfold(passing, |passing| async move {
        let next = passing.body.lock().await.next().await;
        match next {
            Ok(Some(bytes)) => Ok(Some((bytes, passing))),
            Ok(None) => {
                passing.over.notify_one();
                Ok(None)
            }
            Err(problem) => {
                let broken = std::io::Error::other(problem.code());
                *passing.problem.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(problem);
                Err(broken)
            }
        }
    }))
}

/// The request as the member gets it.
fn onward(parts: &Parts, authority: &HostPort, body: Body) -> Result<Request, Problem> {
    let bad = || bad_url(authority.as_str());
    let mut headers = parts.headers.clone();
    for name in OF_ONE_HOP.iter().chain(&TOLD) {
        headers.remove(name);
    }
    headers.insert(HOST, HeaderValue::try_from(authority.as_str()).map_err(|_| bad())?);
    headers.insert(HOP, HeaderValue::from_static("1"));
    headers.append(VIA, HeaderValue::from_static("1.1 fdfs"));
    let client = parts.extensions.get::<Client>().map(|client| client.address.ip());
    let client = client.map_or_else(
        || "unknown".to_owned(),
        |ip| if ip.is_ipv4() { ip.to_string() } else { format!("\"[{ip}]\"") },
    );
    headers.insert(FORWARDED, HeaderValue::try_from(format!("for={client}")).map_err(|_| bad())?);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = Uri::try_from(target).map_err(|_| bad())?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Says to the member that this node has judged the request, in place of what the client showed.
fn vouch(of_site: &Authority, grant: &Grant, to: &str, request: &mut Request) {
    let call = Call { to, method: request.method(), uri: request.uri(), headers: request.headers() };
    let Some(value) = of_site.vouch(grant, &call) else { return };
    let headers = request.headers_mut();
    headers.remove(AUTHORIZATION);
    headers.insert(FDFS_CLUSTER, value);
}

/// One request and its answer on a connection of its own.
async fn exchange(authority: &HostPort, request: Request, passing: &Passing) -> Result<Response, String> {
    let address = (host(authority), authority.port_u16().unwrap_or(80));
    let stream = match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(|error| error.to_string())?,
        Err(_) => return Err("no connection in time".to_owned()),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut answered = pin!(async move {
        let (head, body) =
            sender.send_request(request).await.map_err(|error| error.to_string())?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok(answer(head, body.to_bytes()))
    });
    let silence = async {
        passing.over.notified().await;
        sleep(ANSWER_TIMEOUT).await;
    };
    tokio::select! {
        biased;
        outcome = &mut answered => outcome,
        // What the connection has received before its end is still there to be read.
        _ = connection => answered.await,
        () = silence => Err("no answer in time".to_owned()),
    }
}

fn answer(head: http::response::Parts, body: Bytes) -> Response {
    let mut headers: HeaderMap = head.headers;
    for name in &OF_ONE_HOP {
        headers.remove(name);
    }
    // This node speaks to browsers for itself.
    let of_cors = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let names: Vec<HeaderName> = headers.keys().filter(of_cors).cloned().collect();
    names.iter().for_each(|name| drop(headers.remove(name)));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = headers;
    response
}

/// The host to connect to, without the brackets of an address of IPv6.
fn host(authority: &HostPort) -> &str {
    authority.host().trim_start_matches('[').trim_end_matches(']')
}

fn no_http(native: SocketAddr) -> Problem {
    let detail = format!(
        "this write belongs to the member {native}, which takes none by HTTP; use a client of FastDFS"
    );
    Problem::new(StatusCode::BAD_GATEWAY, "no_http", detail)
}

fn bad_url(url: &str) -> Problem {
    tracing::error!(url, "the URL of a member cannot be used");
    let detail =
        "the member that this write belongs to says that its URL is something else; the node's log has it";
    Problem::new(StatusCode::BAD_GATEWAY, "bad_member_url", detail)
}
