//! The console: a page and its parts, built into the binary. What it shows it asks of the REST calls as any client does.
//!
//! Its policy lets it load its own parts only, and talk to this tracker and to the storages that the tracker knows. That
//! list changes with the members, so it is made anew for each answer, and the page asks to be loaded again when it meets a
//! member that its policy does not name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use gateway::problem::Problem;
use gateway::routes::Routes;
use gateway::server::ClientAddress;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LOCATION,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::places::base_url;
use super::{App, Arc, Client, Shared, not_found};

const SCRIPT: &str = "text/javascript; charset=utf-8";
/// More members than this are named by their schemes: some proxies refuse heads of more than 8 KiB.
const MOST_NAMED: usize = 60;
/// The page opens nothing of other windows, and they nothing of it.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// A part of the page.
struct Part {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const PAGE: Part = Part {
    name: "console.html",
    kind: "text/html; charset=utf-8",
    content: include_str!("../../console/console.html"),
};

macro_rules! scripts {
    ($($name:literal)*) => {
        [$(Part { name: $name, kind: SCRIPT, content: include_str!(concat!("../../console/", $name)) }),*]
    };
}

const SCRIPTS: &[Part] = &scripts![
    "access.js" "admin.js" "api.js" "app.js" "change.js" "cluster.js" "dialog.js" "dom.js" "fileid.js" "format.js" "groups.js"
    "history.js" "i18n.js" "lookup.js" "plot.js" "poll.js" "tus.js" "upload.js" "uploads.js" "warnings.js"
];

const OTHERS: &[Part] = &[
    Part {
        name: "console.css",
        kind: "text/css; charset=utf-8",
        content: include_str!("../../console/console.css"),
    },
    Part { name: "icon.svg", kind: "image/svg+xml", content: include_str!("../../console/icon.svg") },
];

/// The console's routes.
pub(super) fn routes() -> Routes<Arc<Shared>> {
    Routes::new().on(Method::GET, "/", home).on(Method::GET, "/console", page).on(
        Method::GET,
        "/console/{part}",
        part,
    )
}

/// A browser is led to the console; other programs find nothing here, as ever.
async fn home(headers: HeaderMap) -> Response {
    let wants_page = headers
        .get_all(ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/html")));
    let mut response = if wants_page {
        // Relative, so that it also works below a path of a proxy.
        (StatusCode::FOUND, [(LOCATION, HeaderValue::from_static("console"))]).into_response()
    } else {
        not_found().await.into_response()
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

async fn page(State(shared): App, Extension(ClientAddress(client)): Client, headers: HeaderMap) -> Response {
    answer(&PAGE, &policy(&origins(&shared, client.ip())), &headers)
}

async fn part(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let part = SCRIPTS.iter().chain(OTHERS).find(|part| part.name == name);
    match part {
        Some(part) => Ok(answer(part, "default-src 'none'; frame-ancestors 'none'", &headers)),
        None => Err(not_found().await),
    }
}

/// A part, or that the browser's copy of it is the current one.
fn answer(part: &Part, policy: &str, asked: &HeaderMap) -> Response {
    let tag = etag(&[part.content, policy]);
    let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut response = if known.flat_map(|list| list.split(',')).any(|known| names(known.trim(), &tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, HeaderValue::from_static(part.kind))], part.content).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        // Asked for again each time, so that after an update no browser mixes old parts with new ones.
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in [(ETAG, tag.as_str()), (CONTENT_SECURITY_POLICY, policy)] {
        // Both are made of visible ASCII.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Whether one entry of `If-None-Match` is the tag, compared weakly (RFC 9110, 13.1.2).
fn names(entry: &str, tag: &str) -> bool {
    entry == "*" || entry.strip_prefix("W/").unwrap_or(entry) == tag
}

/// A strong tag of texts: FNV-1a, 64 bits. It tells versions of the console apart, and nobody gains by a collision.
fn etag(texts: &[&str]) -> String {
    let bytes = texts.iter().flat_map(|text| text.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("\"{hash:016x}\"")
}

/// The content security policy of the page (W3C CSP, level 3), which may talk to `origins`.
fn policy(origins: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{origins}; connect-src 'self'{origins}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'"
    )
}

/// The origins of all storages as a client is told them, each after a space.
fn origins(shared: &Shared, client: IpAddr) -> String {
    let state = shared.state();
    let members = state.groups().iter().flat_map(|group| &group.members);
    let members = members.map(|member| base_url(shared, member, client));
    let mut sources: BTreeSet<String> = members.filter_map(|url| source(&url)).collect();
    if sources.len() > MOST_NAMED {
        sources = sources.iter().map(|origin| scheme(origin).to_owned()).collect();
    }
    sources.into_iter().fold(String::new(), |list, source| list + " " + &source)
}

/// What stands for a URL in a policy: its origin. Policies have no form for IPv6 addresses; of these it is the scheme. What
/// a storage says of itself may be anything, and none of it may end up as another directive.
fn source(url: &str) -> Option<String> {
    let (scheme, rest) =
        ["http://", "https://"].iter().find_map(|start| Some((*start, url.strip_prefix(start)?)))?;
    let host = rest.split('/').next().unwrap_or_default();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.starts_with('[') {
        Some(scheme.trim_end_matches('/').to_owned())
    } else if !host.is_empty() && host.bytes().all(is_host) {
        Some(format!("{scheme}{host}"))
    } else {
        None
    }
}

/// `https:` of `https://...`.
fn scheme(origin: &str) -> &str {
    origin.find(':').map_or(origin, |colon| &origin[..=colon])
}

#[cfg(test)]
mod tests;
