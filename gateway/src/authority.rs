//! Who may do what over HTTP. Without tokens, only programs on this machine write: a port that is open for reading is not
//! meant to be open for writing.
//!
//! Behind a proxy nothing proves that the client is on this machine: a header that says so may be the client's own, and a
//! proxy on this machine makes everybody come from it. So who came by one does not count as local, whatever it tells. A
//! browser on this machine is no such program either when a page of another site makes it write.
//!
//! What a request shows is judged first, wherever it comes from: a ticket, a call of the cluster, or a bearer token, one of
//! them. Only one that shows nothing is judged by where it comes from.

mod failures;
mod grant;
mod jwk;
mod jwt;
mod memory;
mod once;
mod refusals;
mod scope;
mod secret;
mod shown;
mod text64;
pub mod ticket;
pub mod tokens;
mod vouch;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{FORWARDED, HeaderName, ORIGIN, VIA};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use protocol::GroupName;
use protocol::config::web_conf::WebConf;

use crate::client::Client;
use crate::cors::Cors;
use crate::policy::BadFile;
use crate::problem::Problem;
use crate::visit::Visit;
use failures::Failures;
pub(crate) use grant::too_large;
pub use grant::{ANONYMOUS, Grant, TypePattern, UploadLimits};
use jwt::Jwt;
pub(crate) use memory::Memory;
use refusals::{Bad, forbidden};
pub use scope::{Scope, Scopes};
pub use secret::{ClusterSecret, random_secret};
use shown::Shown;
pub use shown::shows_ticket;
pub(crate) use shown::{FDFS_TICKET, counts_once, shows_something};
use ticket::{Taker, TicketSpec};
use tokens::{Tokens, hash_of};
pub use vouch::{Call, FDFS_CLUSTER};

/// Headers of proxies: behind one, the peer's address says nothing about the client.
const PROXY_HEADERS: [HeaderName; 4] =
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// Who may write over HTTP without showing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Clients on this machine.
    Loopback,
    /// Everybody who reaches the port.
    Everybody,
    /// Nobody.
    Nobody,
}

/// Who may read what is not public without showing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Clients on this machine.
    Loopback,
    /// Everybody who reaches the port.
    Everybody,
}

/// A site's rules about it.
#[derive(Debug, Clone)]
pub struct Authority {
    writers: Writers,
    readers: Readers,
    /// Origins that the site names.
    cors: Option<Cors>,
    tokens: Option<Arc<Tokens>>,
    jwt: Option<Arc<Jwt>>,
    secret: Option<Arc<ClusterSecret>>,
    failures: Option<Arc<Failures>>,
    memory: Arc<Memory>,
}

impl Authority {
    /// Without tokens.
    pub(crate) fn new(writers: Writers, cors: Option<Cors>) -> Self {
        Self {
            writers,
            readers: Readers::Everybody,
            cors,
            tokens: None,
            jwt: None,
            secret: None,
            failures: None,
            memory: Arc::default(),
        }
    }

    /// That of a configuration; reads the files that it names. Blocking.
    pub(crate) fn load(conf: &WebConf, cors: Option<Cors>) -> Result<Self, BadFile> {
        let own = &conf.authority;
        let writers = match (conf.remote_writes, own.loopback_writes) {
            (true, _) => Writers::Everybody,
            (false, true) => Writers::Loopback,
            (false, false) => Writers::Nobody,
        };
        let tokens = own
            .tokens_file
            .as_ref()
            .map(|path| Tokens::read(path).map_err(|error| ("http.tokens_file", path.clone(), error)));
        let jwt = own.jwt.as_ref().map(|conf| {
            Jwt::load(conf).map_err(|error| ("http.jwt_keys_file", conf.keys_file.clone(), error))
        });
        let secret = own.cluster_secret_file.as_ref().map(|path| {
            let read = ClusterSecret::read(path);
            read.map_err(|error| ("http.cluster_secret_file", path.clone(), error))
        });
        Ok(Self {
            readers: if own.private_reads { Readers::Loopback } else { Readers::Everybody },
            tokens: tokens.transpose()?.map(Arc::new),
            jwt: jwt.transpose()?.map(Arc::new),
            secret: secret.transpose()?.map(Arc::new),
            failures: Failures::new(own.failures_per_minute).map(Arc::new),
            ..Self::new(writers, cors)
        })
    }

    /// Everybody may do everything.
    pub fn open() -> Self {
        Self::new(Writers::Everybody, None)
    }

    /// Goes on with what is remembered: a reload makes no used ticket a new one.
    pub(crate) fn keep(&mut self, before: &Self) {
        self.memory = Arc::clone(&before.memory);
        if let (Some(now), Some(before)) = (&mut self.failures, &before.failures)
            && now.is_like(before)
        {
            *now = Arc::clone(before);
        }
    }

    /// What is remembered of tickets and calls.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Whether bearer tokens are judged.
    fn takes_tokens(&self) -> bool {
        self.tokens.is_some() || self.jwt.is_some()
    }

    /// Who may write and how, in a line for the log at start.
    pub fn summary(&self) -> String {
        let tokens = match (&self.tokens, &self.jwt) {
            (None, None) => "without tokens",
            (Some(_), None) => "with a token of http.tokens_file",
            (None, Some(_)) => "with a JWT",
            (Some(_), Some(_)) => "with a token of http.tokens_file or a JWT",
        };
        let tickets = if self.secret.is_some() { "; tickets of the cluster are taken" } else { "" };
        let reads = match self.readers {
            Readers::Everybody => "metadata and lists are public",
            Readers::Loopback => "metadata and lists need a token from elsewhere",
        };
        let writes = match (self.writers, self.takes_tokens()) {
            (Writers::Everybody, _) => "everybody may write (http.allow_remote_writes)".to_owned(),
            (Writers::Loopback, false) => {
                "writes are taken from this machine only; name http.tokens_file to take them from elsewhere"
                    .to_owned()
            }
            (Writers::Loopback, true) => {
                format!("writes are taken from this machine, and from elsewhere {tokens}")
            }
            (Writers::Nobody, false) => "no writes are taken (http.loopback_writes = false)".to_owned(),
            (Writers::Nobody, true) => format!("writes are taken {tokens} only"),
        };
        format!("{writes}{tickets}; {reads}; file URLs are public unless they have to be signed")
    }

    /// Whether a request may do that, in that group if it is about one; the refusal says what to do.
    ///
    /// The request's extensions hold its [`Client`]. A ticket is used up by the first question of a request, not by others
    /// for the same scope.
    pub fn check(&self, request: &Parts, scope: Scope, group: Option<GroupName>) -> Result<Grant, Problem> {
        let outcome = self.judge(request, scope, group, now_ms());
        if let Some(visit) = request.extensions.get::<Arc<Visit>>() {
            visit.judged(request, scope, group, &outcome);
        }
        outcome
    }

    /// A ticket, with the unix seconds of its end; `None` without a cluster's secret.
    pub fn ticket(&self, spec: &TicketSpec) -> Option<(String, i64)> {
        Some(ticket::make(self.secret.as_ref()?, spec, now_ms()))
    }

    /// Group and id of the node that a request's ticket is for, if it shows one of this cluster. It is not judged, nor used.
    pub fn node_of_ticket(&self, request: &Parts) -> Option<(GroupName, String)> {
        match Shown::of(request, false) {
            Ok(Shown::Ticket(ticket)) => ticket::node_of(self.secret.as_ref()?, &ticket),
            _ => None,
        }
    }

    /// The value of [`FDFS_CLUSTER`] by which a request that was found to be allowed is passed on to another member; `None`
    /// without a cluster's secret. `call` is what is sent.
    pub fn vouch(&self, grant: &Grant, call: &Call<'_>) -> Option<HeaderValue> {
        vouch::make(self.secret.as_ref()?, grant, call, now_ms())
    }

    fn judge(
        &self,
        request: &Parts,
        scope: Scope,
        group: Option<GroupName>,
        now: i64,
    ) -> Result<Grant, Problem> {
        let shown = Shown::of(request, self.takes_tokens())?;
        let grant = match &shown {
            Shown::Nothing => return self.without_token(request, scope),
            something => self.prove(request, something, scope, now)?,
        };
        // A ticket's scope is tested with it: it goes by the path, too.
        if !matches!(shown, Shown::Ticket(_)) && !grant.scopes.has(scope) {
            return Err(refusals::insufficient_scope(scope));
        }
        match grant.group {
            Some(own) if group.is_some_and(|group| group != own) => Err(refusals::token_of_group(own)),
            // What is about no group is about all.
            Some(own) if group.is_none() && scope == Scope::Admin => Err(refusals::token_of_group(own)),
            _ => Ok(grant),
        }
    }

    /// Judges what a request shows, unless its address has shown too much that did not count.
    fn prove(&self, request: &Parts, shown: &Shown<'_>, scope: Scope, now: i64) -> Result<Grant, Problem> {
        let visit = request.extensions.get::<Arc<Visit>>();
        if let Some(grant) = visit.and_then(|visit| visit.proven(scope)) {
            return Ok(grant);
        }
        let hash = hash_of(shown.text());
        let address = request.extensions.get::<Client>().map(|client| client.address.ip());
        let limit = self.failures.as_ref().zip(address);
        if let Some((failures, address)) = limit
            && let Some(wait) = failures.wait(address, &hash)
        {
            return Err(refusals::too_many_failures(wait));
        }
        let judged = match shown {
            Shown::Nothing => return self.without_token(request, scope),
            Shown::Ticket(ticket) => self.judge_ticket(ticket, request, scope, now),
            Shown::Call(value) => self.judge_call(value, request, now),
            Shown::Bearer(token) => self.judge_bearer(token, &hash, now / 1000),
        };
        if let Some((failures, address)) = limit {
            match &judged {
                Ok(_) => failures.know(address, &hash),
                Err(Bad::Unproven(_)) => failures.count(address),
                Err(Bad::Useless(_)) => {}
            }
        }
        if let (Some(visit), Ok(grant)) = (visit, &judged) {
            visit.prove(scope, grant);
        }
        judged.map_err(Bad::into_problem)
    }

    fn judge_bearer(&self, token: &str, hash: &[u8; 32], now: i64) -> Result<Grant, Bad> {
        match (&self.jwt, &self.tokens) {
            (Some(jwt), _) if jwt::is_like(token) => jwt.judge(token, now),
            (_, Some(tokens)) => tokens.judge(hash, now),
            (Some(jwt), None) => jwt.judge(token, now),
            (None, None) => Err(Bad::Unproven(refusals::invalid_token("this site takes no tokens"))),
        }
    }

    fn judge_ticket(&self, ticket: &str, request: &Parts, scope: Scope, now: i64) -> Result<Grant, Bad> {
        let Some(secret) = &self.secret else {
            let detail = "no tickets are taken here; http.cluster_secret_file names the secret that trackers and nodes share";
            return Err(Bad::Useless(forbidden("ticket_refused", detail)));
        };
        let memory = &self.memory;
        let (node, since) = (memory.own_id(), memory.since);
        ticket::judge(&Taker { secret, used: &memory.tickets, node, since, now }, ticket, request, scope)
    }

    fn judge_call(&self, value: &str, request: &Parts, now: i64) -> Result<Grant, Bad> {
        let Some(secret) = &self.secret else {
            let detail = "no calls of the cluster are taken here; http.cluster_secret_file names the secret that all share";
            return Err(Bad::Useless(forbidden("cluster_refused", detail)));
        };
        let Some(own) = self.memory.own_id() else {
            let detail = "no tracker has told this node yet which member it is, so that a call may be for another one; try again";
            return Err(Bad::Useless(forbidden("cluster_refused", detail)));
        };
        let (method, uri, headers) = (&request.method, &request.uri, &request.headers);
        vouch::judge(secret, &self.memory.calls, value, &Call { to: &own, method, uri, headers }, now)
    }

    /// Judges a request that shows nothing by where it comes from.
    fn without_token(&self, request: &Parts, scope: Scope) -> Result<Grant, Problem> {
        let is_read = scope == Scope::Read;
        let is_open = match scope {
            Scope::Read => self.readers == Readers::Everybody,
            Scope::Write | Scope::Delete | Scope::Admin => self.writers == Writers::Everybody,
        };
        if is_open {
            return Ok(Grant::anonymous());
        }
        let takes_local = is_read || self.writers != Writers::Nobody;
        if !takes_local || !is_local(request.extensions.get(), &request.headers) {
            return Err(match (self.takes_tokens(), self.writers) {
                (true, _) => refusals::token_needed(scope),
                (false, _) if is_read => refusals::token_needed(scope),
                (false, Writers::Nobody) => {
                    let detail = "no writes are taken over HTTP: http.loopback_writes = false, and no http.tokens_file";
                    forbidden("remote_write", detail)
                }
                (false, _) => {
                    let detail = "uploads, deletes and changes over HTTP are taken from this machine only, and not by way of a \
                                  proxy; name http.tokens_file to take them from those who have a token (or, on a node, set \
                                  http.allow_remote_writes = true to take them from all who reach this port)";
                    forbidden("remote_write", detail)
                }
            });
        }
        let is_ours = |origin: &HeaderValue| {
            is_of_this_machine(origin) || self.cors.as_ref().is_some_and(|cors| cors.names(origin))
        };
        if !is_read && !request.headers.get_all(ORIGIN).iter().all(is_ours) {
            let detail = "a page of another site made this browser write here; name its origin by http.cors_allow_origin \
                          if it may, or give the page a token or a ticket";
            return Err(forbidden("foreign_origin", detail));
        }
        Ok(Grant::anonymous())
    }
}

/// Whether a request comes from this machine, and surely not by way of a proxy.
pub(crate) fn is_local(client: Option<&Client>, headers: &HeaderMap) -> bool {
    let local = client.is_some_and(|client| client.address.ip().is_loopback() && !client.behind_proxy);
    local && !PROXY_HEADERS.iter().any(|name| headers.contains_key(name))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Whether a page comes from this machine. That its host is the one of the request proves nothing: a site can let its name
/// point here.
pub(crate) fn is_of_this_machine(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| {
        let (_, rest) = origin.split_once("://")?;
        let end =
            if rest.starts_with('[') { rest.find(']')? + 1 } else { rest.find(':').unwrap_or(rest.len()) };
        Some(&rest[..end])
    });
    let Some(host) = host else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine() {
        for (origin, expected) in [
            ("http://localhost:8080", true),
            ("http://127.0.0.1", true),
            ("https://[::1]:8443", true),
            ("http://localhost.evil.com", false),
            ("http://127.0.0.1.evil.com", false),
            ("http://evil.com", false),
            ("null", false),
            ("", false),
            ("http://[::1", false),
        ] {
            assert_eq!(is_of_this_machine(&HeaderValue::from_static(origin)), expected, "{origin}");
        }
    }
}
