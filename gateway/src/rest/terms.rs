//! What an upload asks for besides its content, the same for all files of a request.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::request::Parts;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use protocol::config::storage_conf::{Durability, Promise};
use protocol::file_id::FileExt;
use protocol::metadata::{EXPIRES, FILE_NAME, IDEMPOTENCY, Metadata, RESERVED};

use super::upload::{bad, is_multipart};
use super::{filename, prefer};
use crate::content_type::ext_of_type;
use crate::files::{UploadKind, UploadSpec};
use crate::problem::Problem;
use crate::query::QueryString;

const EXPIRES_IN: HeaderName = HeaderName::from_static("expires-in");
/// Plain fields of a form.
const MAX_FIELDS: usize = 128;

/// The terms of a request.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) kind: UploadKind,
    /// What the request prefers to be certain when it is answered.
    pub(crate) promise: Option<Promise>,
    /// Whether the body is a form.
    pub(crate) is_form: bool,
    /// Of the request's idempotency key.
    pub(crate) token: Option<String>,
    /// Of all files.
    metadata: Metadata,
    fields: usize,
}

/// Longest time until a file expires: a hundred years, in seconds.
const MAX_EXPIRY: u64 = 3_155_760_000;

impl Terms {
    /// What is not of the kind that its parameters say is of `kind`.
    pub(crate) fn of(parts: &Parts, kind: Option<UploadKind>) -> Result<Self, Problem> {
        let kind = match (kind, QueryString::of(&parts.uri).get("kind").as_deref()) {
            (Some(kind), _) => kind,
            (None, None | Some("normal")) => UploadKind::Normal,
            (None, Some("appender")) => UploadKind::Appender,
            (None, Some(_)) => return Err(bad("bad_kind", "the parameter kind is normal or appender")),
        };
        let promise = prefer::durability(&parts.headers)?;
        let mut metadata = Metadata::default();
        if let Some(expires) = expires(parts, SystemTime::now())? {
            keep(&mut metadata, EXPIRES, &expires.to_string());
        }
        let is_form = is_multipart(&parts.headers);
        Ok(Self { kind, promise, is_form, token: None, metadata, fields: 0 })
    }

    /// The terms of an upload that a member of FastDFS carries out: it promises what it promises, and deletes nothing by
    /// itself. In the own group this node deletes what has expired.
    pub(crate) fn by_member(&mut self, is_own_group: bool) -> Result<(), Problem> {
        self.promise = None;
        if self.metadata.get(EXPIRES).is_some() && !is_own_group {
            let detail = "this upload goes to a member of FastDFS, which deletes nothing by itself; upload without Expires-In \
                          and delete the file later, or choose a group of fdfs";
            return Err(bad("no_expiry", detail));
        }
        Ok(())
    }

    /// Adds a field of a form to the metadata of all files.
    pub(crate) fn add(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        self.count_field()?;
        if name.starts_with(RESERVED) {
            let detail =
                format!("metadata names that begin with {RESERVED} are the store's own; choose another one");
            return Err(bad("reserved_name", &detail));
        }
        self.metadata.insert(name, value).map_err(|error| {
            let name = name.chars().take(64).collect::<String>();
            bad("bad_metadata", &format!("the field '{}' cannot be kept: {error}", name.escape_default()))
        })
    }

    fn count_field(&mut self) -> Result<(), Problem> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            let detail = format!("a form holds up to {MAX_FIELDS} plain fields");
            return Err(bad("too_many_fields", &detail));
        }
        Ok(())
    }

    /// What is to be on the disk.
    pub(crate) fn durability(&self) -> Option<Durability> {
        self.promise.map(|promise| promise.durability)
    }

    /// Metadata of the file that was called so.
    pub(crate) fn metadata(&self, filename: Option<&str>) -> Metadata {
        let mut metadata = self.metadata.clone();
        if let Some(filename) = filename {
            keep(&mut metadata, FILE_NAME, filename);
        }
        if let Some(token) = &self.token {
            keep(&mut metadata, IDEMPOTENCY, token);
        }
        metadata
    }

    /// What the store is told.
    pub(crate) fn spec(&self, ext: FileExt, filename: Option<&str>, len: Option<u64>) -> UploadSpec {
        let metadata = self.metadata(filename);
        let durability = self.durability();
        UploadSpec { len, metadata, durability, ..UploadSpec::new(self.kind.clone(), ext) }
    }
}

/// Adds an item of the store's own. What is kept of names is short and has no control characters, as have numbers.
fn keep(metadata: &mut Metadata, name: &str, value: &str) {
    let kept = metadata.insert(name, value);
    debug_assert!(kept.is_ok(), "{name}: {value:?}");
}

/// When the files expire, unix seconds: by `Expires-In`, else by `expires_in`, in seconds from now.
fn expires(parts: &Parts, now: SystemTime) -> Result<Option<u64>, Problem> {
    let query = QueryString::of(&parts.uri);
    let in_query = match query.has("expires_in") {
        true => Some(lifetime(query.get("expires_in").as_deref())?),
        false => None,
    };
    let in_header = match parts.headers.contains_key(EXPIRES_IN) {
        true => Some(lifetime(crate::conditions::single(&parts.headers, &EXPIRES_IN))?),
        false => None,
    };
    let begin = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(in_header.or(in_query).map(|seconds| begin + seconds))
}

/// Seconds that a client gives a file.
fn lifetime(text: Option<&str>) -> Result<u64, Problem> {
    let digits = text.map(str::trim).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds =
        digits.and_then(|text| text.parse().ok()).filter(|seconds| (1..=MAX_EXPIRY).contains(seconds));
    seconds.ok_or_else(|| {
        bad("bad_expiry", "a file expires in 1 to 3155760000 seconds; send such as Expires-In: 86400")
    })
}

/// Extension and name of a raw body.
pub(crate) fn name_of(parts: &Parts) -> Result<(FileExt, Option<String>), Problem> {
    let query = QueryString::of(&parts.uri);
    let named = query.get("filename").map(std::borrow::Cow::into_owned);
    let named = named.or_else(|| filename::of_header(&parts.headers));
    let ext = extension(query.get("ext").as_deref(), named.as_deref(), &parts.headers)?;
    let kept = named.map_or(Ok(None), |name| filename::kept(&name))?;
    Ok((ext, kept))
}

fn extension(ext: Option<&str>, filename: Option<&str>, headers: &HeaderMap) -> Result<FileExt, Problem> {
    if let Some(ext) = ext {
        let bare = ext.strip_prefix('.').unwrap_or(ext);
        return FileExt::parse(bare)
            .map_err(|_| bad("bad_extension", "an extension has up to 6 letters, digits, '.', '_' or '-'"));
    }
    if let Some(filename) = filename {
        return Ok(FileExt::of_file_name(filename));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(ext_of_type(kind))
}
