//! The routes of a port, as a router and as a list: a test compares the list with openapi.yaml.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use http::uri::{PathAndQuery, Uri};
use http::{Method, uri};

/// Segments of a file ID.
const ID_SEGMENTS: usize = 5;
/// What comes before a file ID in paths of routes; what follows it names a part of the file.
const BEFORE_ID: [&str; 4] =
    ["/v1/files/", "/v1/schedule/download/", "/v1/schedule/update/", "/v1/schedule/holders/"];

/// Routes under construction: what axum routes, and the list of it.
#[derive(Debug, Clone)]
pub struct Routes<S = ()> {
    router: Router<S>,
    list: Vec<(Method, &'static str)>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    pub fn new() -> Self {
        Self { router: Router::new(), list: Vec::new() }
    }

    /// Answers a method of a path, as openapi.yaml writes it: `/v1/files/{file_id}`. GET answers HEAD, too.
    ///
    /// # Panics
    ///
    /// If the method is none of HTTP's own, or the path has it already.
    #[must_use]
    pub fn on<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a method of HTTP");
        self.router = self.router.route(path, on(filter, handler));
        self.list.push((method, path));
        self
    }

    /// The same methods and paths, all with one answer; layers and fallbacks are not taken along.
    #[must_use]
    pub fn each<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let all = self.list.into_iter();
        all.fold(Self::new(), |routes, (method, path)| routes.on(method, path, handler.clone()))
    }

    /// Changes the router, not the list: layers, fallbacks.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        self.router = change(self.router);
        self
    }

    /// All routes of two.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.list.extend(other.list);
        self
    }

    /// The same routes with what their handlers share.
    #[must_use]
    pub fn with_state<T: Clone + Send + Sync + 'static>(self, state: S) -> Routes<T> {
        Routes { router: self.router.with_state(state), list: self.list }
    }

    /// Methods and paths.
    pub fn list(&self) -> &[(Method, &'static str)] {
        &self.list
    }

    /// What axum routes.
    pub fn into_router(self) -> Router<S> {
        self.router
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes one segment of a file ID in the path of a route: `/v1/files/group1/M00/00/00/NAME/metadata` becomes
/// `/v1/files/group1%2FM00%2F00%2F00%2FNAME/metadata`, which clients that were generated from openapi.yaml send.
pub fn fold_file_id(uri: &mut Uri) {
    let Some(folded) = folded(uri) else { return };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(folded);
    // The same parts with another path are whole as they were before.
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

fn folded(uri: &Uri) -> Option<PathAndQuery> {
    let (start, rest) =
        BEFORE_ID.iter().find_map(|start| uri.path().strip_prefix(start).map(|rest| (*start, rest)))?;
    let segments: Vec<&str> = rest.splitn(ID_SEGMENTS + 1, '/').collect();
    let (id, part) = segments.split_at_checked(ID_SEGMENTS)?;
    let mut path = format!("{start}{}", id.join("%2F"));
    for segment in part {
        path.push('/');
        path.push_str(segment);
    }
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    uri::PathAndQuery::try_from(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_ids_become_one_segment() {
        for (path, expected) in [
            ("/v1/files", "/v1/files"),
            ("/v1/files/group1/M00/00/00/a.jpg", "/v1/files/group1%2FM00%2F00%2F00%2Fa.jpg"),
            (
                "/v1/files/group1/M00/00/00/a/metadata?x=/",
                "/v1/files/group1%2FM00%2F00%2F00%2Fa/metadata?x=/",
            ),
            ("/v1/files/g/M00/00/00/a/metadata/k", "/v1/files/g%2FM00%2F00%2F00%2Fa/metadata/k"),
            ("/v1/files/g%2FM00%2F00%2F00%2Fa/metadata", "/v1/files/g%2FM00%2F00%2F00%2Fa/metadata"),
            ("/v1/schedule/download/g/M00/00/00/a", "/v1/schedule/download/g%2FM00%2F00%2F00%2Fa"),
            ("/group1/M00/00/00/a.jpg", "/group1/M00/00/00/a.jpg"),
        ] {
            let mut uri: Uri = path.parse().unwrap();
            fold_file_id(&mut uri);
            assert_eq!(uri.to_string(), expected);
        }
    }
}
