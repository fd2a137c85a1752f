//! What a request shows to prove that it may: one thing, once.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Uri};

use super::refusals::invalid_request;
use super::vouch::FDFS_CLUSTER;
use crate::problem::Problem;
use crate::query::QueryString;

/// The parameter of URLs that holds a ticket.
const TICKET: &str = "ticket";
/// The header that may hold it instead.
pub(crate) const FDFS_TICKET: HeaderName = HeaderName::from_static("fdfs-ticket");

/// What is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown<'a> {
    Nothing,
    /// By a client that got it from a tracker.
    Ticket(Cow<'a, str>),
    /// By a member that passes something on.
    Call(&'a str),
    /// A token of the site's file, or a JWT.
    Bearer(&'a str),
}

/// Whether a request shows something, whatever it is worth.
pub(crate) fn shows_something(uri: &Uri, headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || shows_ticket(uri, headers)
}

/// Whether it shows a ticket, whatever that is worth.
pub fn shows_ticket(uri: &Uri, headers: &HeaderMap) -> bool {
    headers.contains_key(FDFS_TICKET) || QueryString::of(uri).has(TICKET)
}

/// Whether it shows what counts once only.
pub(crate) fn counts_once(uri: &Uri, headers: &HeaderMap) -> bool {
    headers.contains_key(FDFS_CLUSTER) || shows_ticket(uri, headers)
}

impl<'a> Shown<'a> {
    /// Finds it. Where no bearer tokens are taken nobody looks at them.
    pub(super) fn of(request: &'a Parts, takes_bearer: bool) -> Result<Self, Problem> {
        if shows_ticket(&request.uri, &request.headers) {
            return ticket(request).map(Self::Ticket);
        }
        if let Some(value) = one(request, &FDFS_CLUSTER)? {
            return Ok(Self::Call(value));
        }
        if !takes_bearer {
            return Ok(Self::Nothing);
        }
        let Some(value) = one(request, &AUTHORIZATION)? else { return Ok(Self::Nothing) };
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Nothing);
        }
        let token = token.trim_matches(' ');
        if token.is_empty() || token.contains(' ') {
            return Err(invalid_request("write Authorization: Bearer TOKEN, with one token"));
        }
        Ok(Self::Bearer(token))
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Ticket(ticket) => ticket,
            Self::Call(value) => value,
            Self::Bearer(token) => token,
        }
    }
}

/// The one value of a header. Two would let two programs see different ones.
fn one<'a>(request: &'a Parts, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = request.headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(invalid_request(&format!("the header {name} is there more than once; send one")));
    }
    let text = first.map(|value| value.to_str());
    text.transpose().map_err(|_| invalid_request(&format!("the header {name} has characters that none has")))
}

fn ticket(request: &Parts) -> Result<Cow<'_, str>, Problem> {
    let query = QueryString::of(&request.uri);
    let told = one(request, &FDFS_TICKET)?;
    match (told, query.has(TICKET)) {
        (Some(_), true) => {
            Err(invalid_request("a ticket is in the URL or in the header Fdfs-Ticket, not in both"))
        }
        (Some(ticket), false) => Ok(Cow::Borrowed(ticket)),
        // One that cannot be read is none.
        (None, _) => Ok(query.get(TICKET).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn one_thing_is_shown() {
        let check = |target: &str, headers: &[(&str, &str)], expected: Option<Shown<'_>>| {
            assert_eq!(Shown::of(&parts(target, headers), true).ok(), expected, "{target} {headers:?}");
        };
        check("/", &[], Some(Shown::Nothing));
        check("/", &[("authorization", "Bearer abc")], Some(Shown::Bearer("abc")));
        check("/", &[("authorization", "bearer  abc ")], Some(Shown::Bearer("abc")));
        check("/", &[("authorization", "Basic abc")], Some(Shown::Nothing));
        check("/", &[("authorization", "Bearer")], None);
        check("/", &[("authorization", "Bearer a b")], None);
        check("/", &[("authorization", "Bearer a"), ("authorization", "Bearer b")], None);
        check("/?ticket=a.b", &[("authorization", "Bearer abc")], Some(Shown::Ticket("a.b".into())));
        check("/?x=1&ticket=a%2Eb", &[], Some(Shown::Ticket("a.b".into())));
        check("/?ticket", &[], Some(Shown::Ticket("".into())));
        check("/", &[("fdfs-ticket", "a.b")], Some(Shown::Ticket("a.b".into())));
        check("/?ticket=a", &[("fdfs-ticket", "a")], None);
        check("/", &[("fdfs-cluster", "t=1")], Some(Shown::Call("t=1")));
        check("/", &[("fdfs-cluster", "t=1"), ("fdfs-cluster", "t=2")], None);
        let shown = parts("/", &[("authorization", "Bearer abc")]);
        assert_eq!(Shown::of(&shown, false).unwrap(), Shown::Nothing);
    }
}
