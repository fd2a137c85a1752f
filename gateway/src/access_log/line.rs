//! What a line says. Values of the request are kept escaped from its begin on, those of the answer from its head on; the
//! line itself is put together when the answer has ended.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderName};
use http::{HeaderMap, Request, Response, Uri, Version};
use percent_encoding::percent_decode_str;
use protocol::config::web_conf::log_format::{LogEscape, LogFormat, LogPart, LogVariable};

use super::clock::{self, Form};
use super::{Upstream, escape};
use crate::server::Connection;
use crate::visit::RequestId;

/// A format, ready to be filled.
#[derive(Debug)]
pub(super) struct Line {
    escape: LogEscape,
    steps: Vec<Step>,
}

/// A piece of a line.
#[derive(Debug)]
enum Step {
    Text(String),
    Asked(Asked),
    Answered(Answered),
    Ended(Ended),
}

/// What the request says.
#[derive(Debug)]
enum Asked {
    Plain(LogVariable),
    Header(HeaderName),
    Arg(String),
}

/// What the head of the answer says.
#[derive(Debug)]
enum Answered {
    Header(HeaderName),
    Upstream,
}

/// What the end of the answer says.
#[derive(Debug)]
enum Ended {
    Time(Form),
    Status,
    BodyBytes,
    AllBytes,
    Duration,
    Completion,
}

/// Values that were escaped when they were known, each behind its length.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<u8>);

/// How an answer ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) status: u16,
    pub(super) head_bytes: u64,
    pub(super) body_bytes: u64,
    pub(super) took: Duration,
    pub(super) is_complete: bool,
}

impl Line {
    pub(super) fn new(format: &LogFormat) -> Self {
        let mut steps: Vec<Step> = format.parts.iter().map(step).collect();
        steps.push(Step::Text("\n".to_owned()));
        Self { escape: format.escape, steps }
    }

    /// Keeps what the request says.
    pub(super) fn keep_request<B>(
        &self,
        kept: &mut Kept,
        from: &Connection,
        client: SocketAddr,
        request: &Request<B>,
    ) {
        for step in &self.steps {
            if let Step::Asked(asked) = step {
                kept.value(|line| asked.push(line, self.escape, from, client, request));
            }
        }
    }

    /// Keeps what the answer's head says; `None` if there was none.
    pub(super) fn keep_answer<B>(&self, kept: &mut Kept, answer: Option<&Response<B>>) {
        for step in &self.steps {
            if let Step::Answered(answered) = step {
                kept.value(|line| answered.push(line, self.escape, answer));
            }
        }
    }

    /// Whether the length of the answer's head is asked for.
    pub(super) fn has_head_bytes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Ended(Ended::AllBytes)))
    }

    /// Whether a header of the answer is asked for.
    pub(super) fn has_answer_headers(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Answered(Answered::Header(_))))
    }

    /// Appends the line.
    pub(super) fn write(
        &self,
        line: &mut Vec<u8>,
        request: &Kept,
        answer: &Kept,
        end: &End,
        now: SystemTime,
    ) {
        let (mut request, mut answer) = (request.0.as_slice(), answer.0.as_slice());
        for step in &self.steps {
            match step {
                Step::Text(text) => line.extend_from_slice(text.as_bytes()),
                Step::Asked(_) => line.extend_from_slice(take(&mut request)),
                Step::Answered(_) => line.extend_from_slice(take(&mut answer)),
                Step::Ended(ended) => ended.push(line, self.escape, end, now),
            }
        }
    }
}

impl Kept {
    /// An empty one that uses the memory of another.
    pub(super) fn in_memory_of(mut memory: Vec<u8>) -> Self {
        memory.clear();
        Self(memory)
    }

    pub(super) fn into_memory(self) -> Vec<u8> {
        self.0
    }

    fn value(&mut self, push: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend([0; 4]);
        push(&mut self.0);
        let len = u32::try_from(self.0.len() - start - 4).unwrap_or(0);
        if let Some(place) = self.0.get_mut(start..start + 4) {
            place.copy_from_slice(&len.to_ne_bytes());
        }
    }
}

/// The next value of those that were kept.
fn take<'a>(kept: &mut &'a [u8]) -> &'a [u8] {
    let Some((len, rest)) = kept.split_first_chunk::<4>() else { return &[] };
    let len = usize::try_from(u32::from_ne_bytes(*len)).unwrap_or(usize::MAX);
    let (value, rest) = rest.split_at_checked(len).unwrap_or((rest, &[]));
    *kept = rest;
    value
}

fn step(part: &LogPart) -> Step {
    use LogVariable as V;
    let variable = match part {
        LogPart::Text(text) => return Step::Text(text.clone()),
        LogPart::Variable(variable) => variable,
    };
    // A name that no header can have is one that never comes.
    let header = |name: &String| HeaderName::try_from(name.as_str()).ok();
    match variable {
        V::TimeLocal => Step::Ended(Ended::Time(Form::Local)),
        V::TimeIso8601 => Step::Ended(Ended::Time(Form::Iso8601)),
        V::Msec => Step::Ended(Ended::Time(Form::Unix)),
        V::Status => Step::Ended(Ended::Status),
        V::BodyBytesSent => Step::Ended(Ended::BodyBytes),
        V::BytesSent => Step::Ended(Ended::AllBytes),
        V::RequestTime => Step::Ended(Ended::Duration),
        V::RequestCompletion => Step::Ended(Ended::Completion),
        V::UpstreamAddr => Step::Answered(Answered::Upstream),
        V::SentHeader(name) => match header(name) {
            Some(name) => Step::Answered(Answered::Header(name)),
            None => Step::Asked(Asked::Plain(V::Never)),
        },
        // Secrets do not belong in a log.
        V::Header(name) => match header(name).filter(|name| name != AUTHORIZATION) {
            Some(name) => Step::Asked(Asked::Header(name)),
            None => Step::Asked(Asked::Plain(V::Never)),
        },
        V::Arg(name) => Step::Asked(Asked::Arg(name.clone())),
        V::Hostname => Step::Text(protocol::config::LocalFacts::detect().hostname),
        V::Pid => Step::Text(std::process::id().to_string()),
        plain => Step::Asked(Asked::Plain(plain.clone())),
    }
}

impl Asked {
    fn push<B>(
        &self,
        line: &mut Vec<u8>,
        how: LogEscape,
        from: &Connection,
        client: SocketAddr,
        request: &Request<B>,
    ) {
        match self {
            Self::Header(name) => {
                escape::push(line, how, request.headers().get(name).map(|value| value.as_bytes()));
            }
            Self::Arg(name) => {
                let pairs = request.uri().query().unwrap_or_default().split('&');
                let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| key == name);
                escape::push(line, how, value.map(|(_, value)| value.as_bytes()));
            }
            Self::Plain(variable) => push_plain(line, how, variable, from, client, request),
        }
    }
}

fn push_plain<B>(
    line: &mut Vec<u8>,
    how: LogEscape,
    variable: &LogVariable,
    from: &Connection,
    client: SocketAddr,
    request: &Request<B>,
) {
    use LogVariable as V;
    let uri = request.uri();
    let mut text = |text: &str| escape::push(line, how, Some(text.as_bytes()));
    match variable {
        V::RequestUri => text(target(uri)),
        V::Method => text(request.method().as_str()),
        V::Protocol => text(protocol_name(request.version())),
        V::IsArgs => line.extend_from_slice(if uri.query().is_some() { b"?" } else { b"" }),
        V::Args => text(uri.query().unwrap_or_default()),
        V::Uri => {
            let decoded: std::borrow::Cow<'_, [u8]> = percent_decode_str(uri.path()).into();
            escape::push(line, how, Some(&decoded));
        }
        V::Host => text(&host(request).to_ascii_lowercase()),
        V::Scheme => text(if from.secure { "https" } else { "http" }),
        V::Request => {
            text(request.method().as_str());
            line.push(b' ');
            if let (Some(scheme), Some(authority), true) =
                (uri.scheme_str(), uri.authority(), request.version() < Version::HTTP_2)
            {
                escape::push(line, how, Some(format!("{scheme}://{authority}").as_bytes()));
            }
            escape::push(line, how, Some(target(uri).as_bytes()));
            line.push(b' ');
            line.extend_from_slice(protocol_name(request.version()).as_bytes());
        }
        // A vector takes everything.
        V::RemoteAddr => drop(write!(line, "{}", client.ip())),
        V::RemotePort => drop(write!(line, "{}", client.port())),
        V::ServerAddr => drop(write!(line, "{}", from.local.ip())),
        V::ServerPort => drop(write!(line, "{}", from.local.port())),
        V::RequestLength => drop(write!(line, "{}", request_len(request))),
        V::RequestId if request.extensions().get::<RequestId>().is_some() => {
            let id = request.extensions().get::<RequestId>();
            escape::push(line, how, id.map(|id| id.0.as_bytes()));
        }
        V::RequestId => drop(write!(line, "{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))),
        _ => escape::push(line, how, None),
    }
}

impl Answered {
    fn push<B>(&self, line: &mut Vec<u8>, how: LogEscape, answer: Option<&Response<B>>) {
        let value = answer.and_then(|answer| match self {
            Self::Header(name) => answer.headers().get(name).map(|value| value.as_bytes()),
            Self::Upstream => answer.extensions().get::<Upstream>().map(|member| member.0.as_bytes()),
        });
        escape::push(line, how, value);
    }
}

impl Ended {
    fn push(&self, line: &mut Vec<u8>, how: LogEscape, end: &End, now: SystemTime) {
        let mut number = |number: u64| drop(write!(line, "{number}"));
        match self {
            Self::Time(form) => clock::push(line, *form, now),
            Self::Status => number(end.status.into()),
            Self::BodyBytes => number(end.body_bytes),
            Self::AllBytes => number(end.head_bytes + end.body_bytes),
            Self::Duration => drop(write!(line, "{}.{:03}", end.took.as_secs(), end.took.subsec_millis())),
            Self::Completion => escape::push(line, how, end.is_complete.then_some(b"OK")),
        }
    }
}

/// The target in its usual form.
fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("", |target| target.as_str())
}

fn protocol_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// The host that the request is for, without a port.
fn host<B>(request: &Request<B>) -> &str {
    if let Some(host) = request.uri().host() {
        return host;
    }
    let header = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match header.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => header,
    }
}

/// Bytes of a head's lines: each name and value with its colon, blank and end.
pub(super) fn lines_len(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum()
}

/// Bytes of a request, as HTTP/1.1 has them: its head and the body that it announces.
fn request_len<B>(request: &Request<B>) -> u64 {
    let first =
        request.method().as_str().len() + target(request.uri()).len() + " ".len() * 2 + "HTTP/1.1\r\n".len();
    let body = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    first as u64 + lines_len(request.headers()) + "\r\n".len() as u64 + body.unwrap_or(0u64)
}
