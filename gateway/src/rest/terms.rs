//! What an upload asks for besides its content, the same for all files of a request.

use axum::http::request::Parts;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use protocol::config::storage_conf::Durability;
use protocol::file_id::FileExt;
use protocol::metadata::{FILE_NAME, Metadata, RESERVED};

use super::upload::bad;
use super::{filename, prefer};
use crate::content_type::ext_of_type;
use crate::files::{UploadKind, UploadSpec};
use crate::problem::Problem;
use crate::query::QueryString;

/// Plain fields of a form.
const MAX_FIELDS: usize = 128;

/// The terms of a request.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) kind: UploadKind,
    pub(crate) durability: Option<Durability>,
    /// Of all files.
    metadata: Metadata,
    fields: usize,
}

impl Terms {
    /// What is not of the kind that its parameters say is of `kind`.
    pub(crate) fn of(parts: &Parts, kind: Option<UploadKind>) -> Result<Self, Problem> {
        let kind = match (kind, QueryString::of(&parts.uri).get("kind").as_deref()) {
            (Some(kind), _) => kind,
            (None, None | Some("normal")) => UploadKind::Normal,
            (None, Some("appender")) => UploadKind::Appender,
            (None, Some(_)) => return Err(bad("bad_kind", "the parameter kind is normal or appender")),
        };
        let durability = prefer::durability(&parts.headers)?;
        Ok(Self { kind, durability, metadata: Metadata::default(), fields: 0 })
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

    /// Metadata of the file that was called so.
    pub(crate) fn metadata(&self, filename: Option<&str>) -> Metadata {
        let mut metadata = self.metadata.clone();
        if let Some(filename) = filename {
            // What is kept of a name is short and has no control characters.
            let kept = metadata.insert(FILE_NAME, filename);
            debug_assert!(kept.is_ok(), "{filename:?}");
        }
        metadata
    }

    /// What the store is told.
    pub(crate) fn spec(&self, ext: FileExt, filename: Option<&str>, len: Option<u64>) -> UploadSpec {
        let metadata = self.metadata(filename);
        let durability = self.durability;
        UploadSpec { len, metadata, durability, ..UploadSpec::new(self.kind.clone(), ext) }
    }
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
