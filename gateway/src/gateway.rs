//! What a request meets, in this order, and what is done to its answer on the way back.
//!
//! One stage a module; each is a function of the settings in force. A request is a file URL unless it has a route.

use std::future::{Future, ready};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, Entry as HeaderEntry};
use http::{Method, StatusCode};
use http_body::Body as _;
use protocol::FileId;

use crate::at_hand::{AtHand, Plain};
use crate::body::Body;
use crate::client::Client;
use crate::contract;
use crate::cors::{Cors, Grant};
use crate::error_pages::Wants;
use crate::file_path::file_id;
use crate::files::Files;
use crate::read;
use crate::ready::{Entry, Ready};
use crate::refusal::Refusal;
use crate::rest::{method_not_allowed, no_such_path};
use crate::rest_cors::RestCors;
use crate::routes::Routes;
use crate::server::{App, Connection};
use crate::settings::Settings;
use crate::site::Site;
use crate::visit;

/// The gateway over a node's files, with all its routes.
#[derive(Debug)]
pub struct Gateway<F> {
    files: Arc<F>,
    site: Site,
    routes: Router,
    list: Arc<[(Method, &'static str)]>,
    ready: Ready,
}

impl<F> Clone for Gateway<F> {
    fn clone(&self) -> Self {
        Self {
            files: Arc::clone(&self.files),
            site: self.site.clone(),
            routes: self.routes.clone(),
            list: Arc::clone(&self.list),
            ready: self.ready.clone(),
        }
    }
}

impl<F: Files> Gateway<F> {
    /// The gateway; `more` are routes of the daemon's own.
    pub fn new(files: Arc<F>, site: Site, more: Routes) -> Self {
        let routes = crate::rest::routes(Arc::clone(&files), site.clone()).merge(more);
        let routes = routes
            .merge(contract::routes(contract::Server::Node))
            .with(|router| router.fallback(no_such_path).method_not_allowed_fallback(method_not_allowed));
        let list = routes.list().into();
        let ready = Ready::new(site.now().file_cache);
        Self { files, site, routes: routes.into_router(), list, ready }
    }

    /// Its routes, file URLs left out.
    pub fn routes(&self) -> &[(Method, &'static str)] {
        &self.list
    }
}

impl<F: Files> App for Gateway<F> {
    fn call(
        &self,
        connection: &Connection,
        mut request: Request,
    ) -> impl Future<Output = Response<Body>> + Send {
        let settings = self.site.now();
        visit::name(&settings, &mut request);
        let client = Client::on(&settings.policy.access.real_ip, connection, request.headers());
        let log = settings.access_log.as_ref().map(|log| log.begin(connection, client.address, &request));
        async move {
            let response = self.respond(&settings, client, connection.secure, request).await;
            match log {
                Some(log) => log.answered(response),
                None => response,
            }
        }
    }

    fn at_hand(&self, connection: &Connection, plain: Plain<'_>) -> Option<AtHand> {
        let settings = self.site.now();
        if !settings.is_plain() || connection.proxied.is_some() {
            return None;
        }
        let entry = self.ready.get(&*self.files, &settings, plain.path)?;
        let answer = read::at_hand(&*self.files, &settings, &entry, plain, connection.secure)?;
        let Some(log) = &settings.access_log else { return Some(answer) };
        Some(answer.logged(log.begin_plain(connection, connection.peer, plain.head)?))
    }
}

impl<F: Files> Gateway<F> {
    /// The answer as the site wants it to be.
    fn respond(
        &self,
        settings: &Arc<Settings>,
        client: Client,
        secure: bool,
        request: Request,
    ) -> impl Future<Output = Response<Body>> + Send {
        let policy = &settings.policy;
        let is_route = is_route(request.uri().path());
        let rest_cors = if is_route { RestCors::of(&client, &request) } else { None };
        let site_cors = policy.cors.as_ref().filter(|_| rest_cors.is_none());
        let grant = site_cors.map(|cors| (cors, cors.grant(request.headers())));
        let is_head = request.method() == Method::HEAD;
        let wants = settings.error_pages.as_ref().map(|pages| (pages, Wants::of(request.headers())));
        let refused = match policy.access.check(client.address.ip()) {
            Err(refusal) => Some(refusal),
            Ok(()) => preflight(rest_cors, grant.as_ref(), &request),
        };
        let answered = match refused {
            Some(refusal) => ready(*refusal).left_future(),
            None => self.answer(settings, client, is_route, request).right_future(),
        };
        answered.map(move |mut response| {
            let holds_file =
                !is_route && matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT);
            if let Some((pages, wants)) = wants.filter(|_| !is_route) {
                response = pages.apply(wants, response);
            }
            if let Some((cors, grant)) = grant {
                cors.finish(grant, response.headers_mut());
            }
            if let Some(cors) = rest_cors {
                cors.finish(response.headers_mut());
            }
            policy.headers.finish(&mut response, holds_file, secure || client.behind_proxy);
            if is_head {
                return head_only(response);
            }
            match policy.pace {
                Some(pace) => pace.apply(response),
                None => response,
            }
        })
    }

    /// The answer of a route or a file, or a refusal.
    fn answer(
        &self,
        settings: &Arc<Settings>,
        client: Client,
        is_route: bool,
        request: Request,
    ) -> impl Future<Output = Response<Body>> + Send {
        if is_route {
            return visit::serve(settings, client, &self.routes, request).left_future();
        }
        let answered = match self.look(settings, &request) {
            Ok(Looked::Kept(entry)) => ready(read::again(&*self.files, settings, &entry)).left_future(),
            Ok(Looked::File(id, kept)) => {
                let (files, ready) = (Arc::clone(&self.files), &self.ready);
                let (head, body) = request.into_parts();
                let request = Request::from_parts(head, ());
                let read = async move {
                    let response = read::serve(files, settings, (ready, kept), id, &request).await;
                    // What may still come of it is of no interest once there is an answer.
                    drop(body);
                    response
                };
                read.right_future()
            }
            Err(refusal) => ready(*refusal).left_future(),
        };
        answered.right_future()
    }

    /// Which file is asked for, if the site allows that.
    fn look(&self, settings: &Arc<Settings>, request: &Request) -> Result<Looked, Refusal> {
        let Some(entry) = self.ready.get(&*self.files, settings, request.uri().path()) else {
            let found = file_id(request.uri(), self.files.group(), settings.urls.merge_slashes);
            let id = found.ok_or_else(|| Box::new(read::no_file(request)))?;
            permit::<F>(settings, &id, request)?;
            return Ok(Looked::File(id, None));
        };
        permit::<F>(settings, &entry.id, request)?;
        Ok(if read::is_ordinary(request) {
            Looked::Kept(entry)
        } else {
            Looked::File(entry.id.clone(), Some(entry))
        })
    }
}

/// Whether the site allows a request for a file.
fn permit<F: Files>(settings: &Settings, id: &FileId, request: &Request) -> Result<(), Refusal> {
    read::check_method::<F>(request.method())?;
    if let Some(referers) = &settings.policy.referers {
        referers.check(request)?;
    }
    match &settings.policy.proof {
        Some(proof) => proof.check(id, request),
        None => Ok(()),
    }
}

/// What a request for a file asks for.
enum Looked {
    /// All of what is kept ready.
    Kept(Arc<Entry>),
    /// The file, which may be kept ready.
    File(FileId, Option<Arc<Entry>>),
}

/// The answer to a preflight, by the rules of the routes or else by the site's.
pub(crate) fn preflight(
    rest: Option<RestCors>,
    site: Option<&(&Cors, Grant)>,
    request: &Request,
) -> Option<Refusal> {
    match rest {
        Some(rest) => rest.preflight().map(Box::new),
        None => site.and_then(|(cors, grant)| cors.preflight(request, grant)),
    }
}

/// What HEAD answers: all that GET would say, but the content. A 304 has no length: it would be that of the 200 (RFC 9110,
/// 8.6).
fn head_only(mut response: Response<Body>) -> Response<Body> {
    let has_content = !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let len = response.body().size_hint().exact().filter(|_| has_content);
    // The length of compressed content is not known before it is compressed.
    let len = len.filter(|_| !response.headers().contains_key(CONTENT_ENCODING));
    if let (Some(len), HeaderEntry::Vacant(place)) = (len, response.headers_mut().entry(CONTENT_LENGTH)) {
        place.insert(len.into());
    }
    response.map(|_| Body::empty())
}

/// Whether a path is one of the routes; no group has such a name with what follows it.
fn is_route(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/docs" | "/openapi.yaml" | "/openapi.json")
        || path == "/v1"
        || path.starts_with("/v1/")
}
