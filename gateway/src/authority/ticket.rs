//! Tickets: permission to upload once, or a few times, which a tracker gives and a node takes. A page that has one uploads
//! straight to the node, without a token.
//!
//! A ticket is base64 of a JSON object, a dot, and the HMAC-SHA256 of that base64 by the cluster's secret. It names the node:
//! who remembers that it was used is the one that takes it. A node that has restarted remembers nothing, and takes no ticket
//! from before.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use protocol::GroupName;
use serde::{Deserialize, Serialize};

use super::grant::{Grant, TypePattern, UploadLimits};
use super::once::{Once, Refused};
use super::refusals::{Bad, forbidden};
use super::scope::{Scope, Scopes};
use super::secret::{ClusterSecret, Purpose};
use super::text64;
use crate::problem::Problem;

/// Longest ticket.
const MAX_TICKET: usize = 4096;
/// Most types that one lists.
pub const MAX_TYPES: usize = 16;
/// Most uploads by one.
pub const MAX_USES: u32 = 1000;
/// Longest life, in seconds.
pub const MAX_LIFE: u32 = 7 * 86_400;

const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// What a ticket is to be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketSpec {
    /// Who asked for it.
    pub who: String,
    /// The node's group.
    pub group: GroupName,
    /// Id of the node that takes it.
    pub node: String,
    /// Bounds of each upload.
    pub limits: UploadLimits,
    /// Seconds that it lasts, up to [`MAX_LIFE`].
    pub expires_in: u32,
    /// Uploads that it is for, up to [`MAX_USES`].
    pub max_uses: u32,
}

/// What a ticket says. Short names: it travels in URLs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    id: String,
    who: String,
    group: String,
    node: String,
    /// Milliseconds at which it was made.
    made: i64,
    /// Unix seconds at which it ends.
    until: i64,
    uses: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    types: Vec<String>,
}

/// What a node knows when it looks at a ticket.
#[derive(Debug)]
pub(super) struct Taker<'a> {
    pub(super) secret: &'a ClusterSecret,
    /// Uses so far.
    pub(super) used: &'a Once,
    /// The node's id; unknown before a tracker told it.
    pub(super) node: Option<String>,
    /// Milliseconds at which this began to remember.
    pub(super) since: i64,
    /// Milliseconds.
    pub(super) now: i64,
}

/// Makes a ticket, and tells the unix seconds at which it ends. `now` is in milliseconds.
pub(super) fn make(secret: &ClusterSecret, spec: &TicketSpec, now: i64) -> (String, i64) {
    let until = now / 1000 + i64::from(spec.expires_in.min(MAX_LIFE));
    let said = Said {
        id: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
        who: spec.who.clone(),
        group: spec.group.to_string(),
        node: spec.node.clone(),
        made: now,
        until,
        uses: spec.max_uses.clamp(1, MAX_USES),
        size: spec.limits.max_size,
        types: spec.limits.types.iter().map(|kind| kind.as_str().to_owned()).collect(),
    };
    // Numbers and strings always have a form in JSON.
    let text = text64::encode(&serde_json::to_vec(&said).unwrap_or_default());
    let signature = secret.sign(Purpose::Ticket, text.as_bytes());
    (format!("{text}.{signature}"), until)
}

/// What a ticket allows this request, which may use it up.
pub(super) fn judge(taker: &Taker<'_>, ticket: &str, request: &Parts, scope: Scope) -> Result<Grant, Bad> {
    let said = signed(taker.secret, ticket).ok_or_else(|| {
        let detail = "this is no ticket of this cluster, or it was altered; ask the tracker for another: POST /v1/tickets";
        Bad::Unproven(forbidden("ticket_refused", detail))
    })?;
    let useless = |code, detail: &str| Bad::Useless(forbidden(code, detail));
    if taker.now / 1000 >= said.until {
        return Err(useless("ticket_expired", "this ticket has expired; ask the tracker for another"));
    }
    if taker.node.as_ref().is_some_and(|node| *node != said.node) {
        let detail = "this ticket is for another node; use the URL that the tracker answered with it";
        return Err(useless("ticket_elsewhere", detail));
    }
    let call = Call::of(request, scope).ok_or_else(|| {
        useless(
            "ticket_scope",
            "a ticket is for uploads to /v1/files, /v1/upload/ and /v1/uploads, and for nothing else",
        )
    })?;
    let grant = said.grant().ok_or_else(|| useless("ticket_refused", "this ticket is of another version"))?;
    fits(&grant.limits, call, request).map_err(Bad::Useless)?;
    if call != Call::GoesOn {
        spend(taker, &said).map_err(Bad::Useless)?;
    }
    Ok(grant)
}

/// Group and node that a ticket is for; `None` of what this cluster did not sign. Whether it is good still, the node knows.
pub(super) fn node_of(secret: &ClusterSecret, ticket: &str) -> Option<(GroupName, String)> {
    let said = signed(secret, ticket)?;
    Some((GroupName::parse(&said.group).ok()?, said.node))
}

fn signed(secret: &ClusterSecret, ticket: &str) -> Option<Said> {
    let (text, signature) = ticket.split_once('.').filter(|_| ticket.len() <= MAX_TICKET)?;
    if !secret.verifies(Purpose::Ticket, text.as_bytes(), signature) {
        return None;
    }
    serde_json::from_slice(&text64::decode(text)?).ok()
}

/// Counts a use.
fn spend(taker: &Taker<'_>, said: &Said) -> Result<(), Problem> {
    let used = || forbidden("ticket_used", "this ticket has been used; ask the tracker for another");
    if said.made < taker.since {
        return Err(used());
    }
    let until = said.until.saturating_mul(1000);
    taker.used.take(&said.id, said.uses, until, taker.now).map_err(|why| match why {
        Refused::Used => used(),
        Refused::Full => {
            let detail = "more tickets are in use than this node can remember; come again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_tickets", detail)
        }
    })
}

impl Said {
    fn grant(&self) -> Option<Grant> {
        let types: Option<Vec<TypePattern>> =
            self.types.iter().map(|kind| TypePattern::parse(kind)).collect();
        Some(Grant {
            who: format!("ticket {} of {}", self.id, self.who),
            scopes: Scopes::NONE.with(Scope::Write),
            group: Some(GroupName::parse(&self.group).ok()?),
            limits: UploadLimits { max_size: self.size, types: types? },
            expires: Some(self.until),
        })
    }
}

/// What tickets are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// A whole upload.
    Whole,
    /// The first request of an upload in pieces.
    Begins,
    /// A later one; its path names the upload, which only its maker knows.
    GoesOn,
}

impl Call {
    fn of(request: &Parts, scope: Scope) -> Option<Self> {
        if scope == Scope::Admin {
            return None;
        }
        match request.uri.path() {
            "/v1/files" if request.method == Method::POST => Some(Self::Whole),
            path if path.starts_with("/v1/upload/") && request.method == Method::PUT => Some(Self::Whole),
            "/v1/uploads" if request.method == Method::POST => Some(Self::Begins),
            path if path.starts_with("/v1/uploads/") => Some(Self::GoesOn),
            _ => None,
        }
    }
}

/// Refuses by its headers what is too long or of another type.
fn fits(limits: &UploadLimits, call: Call, request: &Parts) -> Result<(), Problem> {
    let headers = &request.headers;
    let number = |name| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let announced = number(CONTENT_LENGTH);
    match call {
        Call::Whole => {
            limits.check_size(announced.unwrap_or(0))?;
            // The parts of a form have types of their own.
            if is_form(headers) { Ok(()) } else { limits.check_headers(headers) }
        }
        Call::Begins => {
            limits.check_size(number(UPLOAD_LENGTH).unwrap_or(0))?;
            limits.check_size(announced.unwrap_or(0))?;
            limits.check_type(told_type(headers).as_deref())
        }
        Call::GoesOn => {
            if request.method != Method::PATCH && request.method != Method::POST {
                return Ok(());
            }
            limits.check_size(number(UPLOAD_LENGTH).unwrap_or(0))?;
            if limits.max_size.is_some() && announced.is_none() {
                let detail = "with this ticket, a piece of an upload has to announce its length";
                return Err(Problem::new(StatusCode::LENGTH_REQUIRED, "length_required", detail));
            }
            let before = number(UPLOAD_OFFSET).unwrap_or(0);
            limits.check_size(before.saturating_add(announced.unwrap_or(0)))
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

/// The type that the beginning of an upload in pieces tells: `filetype` or `type` of tus's metadata, else `Content-Type`.
fn told_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("upload-metadata").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut pairs = text.split(',').filter_map(|pair| pair.trim().split_once(' '));
    let told = pairs.find(|(name, _)| matches!(*name, "filetype" | "type")).map(|(_, value)| value);
    if let Some(value) = told {
        let digits = value.trim_end_matches('=').replace('+', "-").replace('/', "_");
        return String::from_utf8(text64::decode(&digits)?).ok();
    }
    headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn secret() -> ClusterSecret {
        ClusterSecret::parse("0123456789abcdef0123456789abcdef").unwrap()
    }

    fn spec() -> TicketSpec {
        TicketSpec {
            who: "ci".to_owned(),
            group: GroupName::parse("group1").unwrap(),
            node: "10.0.0.1".to_owned(),
            limits: UploadLimits { max_size: Some(100), types: vec![TypePattern::parse("image/*").unwrap()] },
            expires_in: 60,
            max_uses: 2,
        }
    }

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn upload() -> Parts {
        request("POST", "/v1/files", &[("content-type", "image/png"), ("content-length", "100")])
    }

    struct Node {
        secret: ClusterSecret,
        used: Once,
    }

    impl Node {
        fn new() -> Self {
            Self { secret: secret(), used: Once::default() }
        }

        fn code_at(&self, ticket: &str, request: &Parts, scope: Scope, now: i64) -> String {
            let taker = Taker {
                secret: &self.secret,
                used: &self.used,
                node: Some("10.0.0.1".to_owned()),
                since: NOW - 1000,
                now,
            };
            match judge(&taker, ticket, request, scope) {
                Ok(_) => String::new(),
                Err(bad) => {
                    serde_json::to_value(bad.into_problem()).unwrap()["code"].as_str().unwrap().to_owned()
                }
            }
        }

        fn code(&self, ticket: &str, request: &Parts) -> String {
            self.code_at(ticket, request, Scope::Write, NOW)
        }
    }

    #[test]
    fn a_ticket_is_good_as_often_as_it_says_and_until_its_end() {
        let node = Node::new();
        let (ticket, until) = make(&secret(), &spec(), NOW);
        assert_eq!(until, NOW / 1000 + 60);
        assert_eq!(node.code_at(&ticket, &upload(), Scope::Write, NOW + 60_000), "ticket_expired");
        assert_eq!(node.code_at(&ticket, &upload(), Scope::Write, NOW + 59_999), "");
        assert_eq!(node.code(&ticket, &upload()), "");
        assert_eq!(node.code(&ticket, &upload()), "ticket_used");
        let (early, _) = make(&secret(), &spec(), NOW - 1001);
        assert_eq!(node.code(&early, &upload()), "ticket_used", "from before the node's start");
        let (elsewhere, _) = make(&secret(), &TicketSpec { node: "10.0.0.2".to_owned(), ..spec() }, NOW);
        assert_eq!(node.code(&elsewhere, &upload()), "ticket_elsewhere");
    }

    #[test]
    fn an_altered_ticket_is_none() {
        let node = Node::new();
        let (ticket, _) = make(&secret(), &spec(), NOW);
        for at in 0..ticket.len() {
            let mut altered = ticket.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(node.code(&altered, &upload()), "ticket_refused", "{at}");
        }
        let (text, signature) = ticket.split_once('.').unwrap();
        let long = format!("{ticket}{}", "A".repeat(5000));
        for altered in
            ["", ".", text, signature, &ticket[1..], &format!("{ticket}."), &format!("{text}."), &long]
        {
            assert_eq!(node.code(altered, &upload()), "ticket_refused", "{altered}");
        }
        let other = ClusterSecret::parse("another secret of this length....").unwrap();
        assert_eq!(node.code(&make(&other, &spec(), NOW).0, &upload()), "ticket_refused");
        assert_eq!(node.code(&ticket, &upload()), "", "refusals use nothing up");
    }

    #[test]
    fn a_ticket_is_for_uploads_only() {
        let node = Node::new();
        let (ticket, _) = make(&secret(), &spec(), NOW);
        for (method, path) in [
            ("DELETE", "/v1/files/group1%2FM00%2F00%2F00%2Fa"),
            ("POST", "/v1/files/group1%2FM00%2F00%2F00%2Fa/append"),
            ("GET", "/v1/replication"),
            ("POST", "/v1/tickets"),
            ("PUT", "/v1/files"),
            ("POST", "/v1/filesx"),
        ] {
            assert_eq!(node.code(&ticket, &request(method, path, &[])), "ticket_scope", "{method} {path}");
        }
        assert_eq!(node.code_at(&ticket, &upload(), Scope::Admin, NOW), "ticket_scope");
    }

    #[test]
    fn sizes_and_types_that_are_announced_are_bounded() {
        let node = Node::new();
        let (ticket, _) = make(&secret(), &TicketSpec { max_uses: 100, ..spec() }, NOW);
        // printf image/png | base64, printf text/html | base64
        let (png, html) = ("filename eA==, filetype aW1hZ2UvcG5n", "filetype dGV4dC9odG1s");
        for (method, path, headers, code) in [
            (
                "POST",
                "/v1/files",
                &[("content-type", "image/png"), ("content-length", "101")][..],
                "ticket_size",
            ),
            ("POST", "/v1/files", &[("content-type", "text/html")], "type_not_allowed"),
            ("POST", "/v1/files", &[], "type_not_allowed"),
            ("POST", "/v1/files", &[("content-type", "multipart/form-data; boundary=x")], ""),
            ("POST", "/v1/uploads", &[("upload-length", "100"), ("upload-metadata", png)], ""),
            ("POST", "/v1/uploads", &[("upload-defer-length", "1"), ("upload-metadata", png)], ""),
            ("POST", "/v1/uploads", &[("upload-length", "101"), ("upload-metadata", png)], "ticket_size"),
            ("POST", "/v1/uploads", &[("upload-length", "1"), ("upload-metadata", html)], "type_not_allowed"),
            ("POST", "/v1/uploads", &[("upload-length", "1")], "type_not_allowed"),
            ("PATCH", "/v1/uploads/u", &[("upload-offset", "40"), ("content-length", "60")], ""),
            ("PATCH", "/v1/uploads/u", &[("upload-offset", "40"), ("content-length", "61")], "ticket_size"),
            ("PATCH", "/v1/uploads/u", &[("upload-offset", "40")], "length_required"),
            ("HEAD", "/v1/uploads/u", &[], ""),
            ("DELETE", "/v1/uploads/u", &[], ""),
        ] {
            assert_eq!(
                node.code(&ticket, &request(method, path, headers)),
                code,
                "{method} {path} {headers:?}"
            );
        }
    }
}
