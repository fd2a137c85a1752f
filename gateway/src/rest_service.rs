//! A port that has routes and no files: a tracker's. Requests meet the same rules as at a node before they come to a route.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;

use crate::body::Body;
use crate::client::Client;
use crate::gateway::preflight;
use crate::rest_cors::RestCors;
use crate::routes::Routes;
use crate::server::{App, ClientAddress, Connection};
use crate::site::Site;
use crate::visit;

/// Routes under the settings of a site.
#[derive(Debug, Clone)]
pub struct RestService {
    site: Site,
    routes: Router,
}

impl RestService {
    /// These routes. Requests that come to them have a [`Client`] and a [`ClientAddress`] in their extensions.
    pub fn new(site: Site, routes: Routes) -> Self {
        Self { site, routes: routes.into_router() }
    }
}

impl App for RestService {
    async fn call(&self, connection: &Connection, mut request: Request) -> Response<Body> {
        let settings = self.site.now();
        visit::name(&settings, &mut request);
        let policy = &settings.policy;
        let client = Client::on(&policy.access.real_ip, connection, request.headers());
        let log = settings.access_log.as_ref().map(|log| log.begin(connection, client.address, &request));
        let rest_cors = RestCors::of(&client, &request);
        let site_cors = policy.cors.as_ref().filter(|_| rest_cors.is_none());
        let grant = site_cors.map(|cors| (cors, cors.grant(request.headers())));
        let refused = match policy.access.check(client.address.ip()) {
            Err(refusal) => Some(refusal),
            Ok(()) => preflight(rest_cors, grant.as_ref(), &request),
        };
        let mut response = match refused {
            Some(refusal) => *refusal,
            None => {
                request.extensions_mut().insert(ClientAddress(client.address));
                visit::serve(&settings, client, &self.routes, request).await
            }
        };
        if let Some((cors, grant)) = grant {
            cors.finish(grant, response.headers_mut());
        }
        if let Some(cors) = rest_cors {
            cors.finish(response.headers_mut());
        }
        policy.headers.finish(&mut response, false, connection.secure || client.behind_proxy);
        match log {
            Some(log) => log.answered(response),
            None => response,
        }
    }
}
