//! What a client was found to be allowed, and the bounds of it.

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use protocol::GroupName;
use protocol::file_id::FileExt;

use super::scope::Scopes;
use crate::content_type::MimeTable;
use crate::problem::Problem;

/// What a client was found to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who it is, for the audit log: the name of a token, `jwt:` and a subject, `ticket ID of WHO`, or `anonymous`. Clients
    /// that show the same have the same name.
    pub who: String,
    /// All that it may do.
    pub scopes: Scopes,
    /// The only group that it is for.
    pub group: Option<GroupName>,
    /// Bounds of what it uploads.
    pub limits: UploadLimits,
    /// Unix seconds at which it ends.
    pub expires: Option<i64>,
}

/// Who showed nothing.
pub const ANONYMOUS: &str = "anonymous";

impl Grant {
    /// That of a client that showed nothing.
    pub(crate) fn anonymous() -> Self {
        Self {
            who: ANONYMOUS.to_owned(),
            scopes: Scopes::ALL,
            group: None,
            limits: UploadLimits::default(),
            expires: None,
        }
    }

    /// Whether it goes on with what `owner` began: clients that show the same, and for an upload that was begun by a ticket
    /// also who asked for that ticket. A name that everybody has proves nothing of the kind.
    pub(crate) fn owns(&self, owner: &str) -> bool {
        self.who == owner || (self.who != ANONYMOUS && of_ticket(owner) == Some(self.who.as_str()))
    }
}

/// Who asked for the ticket of a client that is named `ticket ID of WHO`. No token has a space in its name, and no JWT's
/// subject stands without `jwt:`.
fn of_ticket(who: &str) -> Option<&str> {
    who.strip_prefix("ticket ")?.split_once(" of ").map(|(_, who)| who)
}

/// Bounds of an upload, as a ticket may set them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadLimits {
    /// Bytes of the body, of a form all of it; `None` is no bound but the site's.
    pub max_size: Option<u64>,
    /// Types that may be uploaded, as their clients say and as files of their extension are served; none listed is all.
    pub types: Vec<TypePattern>,
}

impl UploadLimits {
    /// Refuses content that is too long.
    pub fn check_size(&self, size: u64) -> Result<(), Problem> {
        match self.max_size {
            Some(max) if size > max => Err(too_large(max)),
            _ => Ok(()),
        }
    }

    /// Refuses a type that is not listed, or none, if types are listed.
    pub fn check_type(&self, kind: Option<&str>) -> Result<(), Problem> {
        let fits = |pattern: &TypePattern| kind.is_some_and(|kind| pattern.fits(kind));
        if self.types.is_empty() || self.types.iter().any(fits) {
            return Ok(());
        }
        let list: Vec<&str> = self.types.iter().map(|pattern| pattern.0.as_str()).collect();
        let detail = format!("this ticket is for content of the type {}; say the type", list.join(", "));
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "type_not_allowed", detail))
    }

    /// Refuses a file that would be served as another type than those that are listed, whatever its client says it is.
    pub(crate) fn check_ext(&self, types: &MimeTable, ext: FileExt) -> Result<(), Problem> {
        let Some(kind) = types.known(ext.as_str().rsplit('.').next().unwrap_or_default()) else {
            return Ok(());
        };
        self.check_type(Some(kind.to_str().unwrap_or_default()))
    }

    /// Refuses a body whose `Content-Type` is not listed.
    pub fn check_headers(&self, headers: &HeaderMap) -> Result<(), Problem> {
        self.check_type(headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()))
    }
}

/// More than a ticket allows.
pub(crate) fn too_large(max: u64) -> Problem {
    let detail = format!("this ticket is for up to {max} bytes; ask for one of a larger max_size");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "ticket_size", detail)
}

/// A type, `image/png`, or a family of types, `image/*`; in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypePattern(String);

impl TypePattern {
    /// Reads one; `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (family, kind) = text.split_once('/')?;
        let is_name = |part: &str| {
            let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
            !part.is_empty() && part.bytes().all(is_char)
        };
        let is_known = is_name(family) && (kind == "*" || is_name(kind)) && text.len() <= 128;
        is_known.then(|| Self(text.to_ascii_lowercase()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a `Content-Type` is of it; parameters do not count.
    fn fits(&self, kind: &str) -> bool {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match self.0.strip_suffix('*') {
            Some(family) => kind.len() > family.len() && kind.starts_with(family),
            None => kind == self.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_by_a_ticket_is_also_of_who_asked_for_the_ticket() {
        let named = |who: &str| Grant { who: who.to_owned(), ..Grant::anonymous() };
        for (who, owner, expected) in [
            ("ci", "ci", true),
            ("ci", "ticket 0f of ci", true),
            ("ticket 0f of ci", "ticket 0f of ci", true),
            ("ticket 0e of ci", "ticket 0f of ci", false),
            ("ticket 0f of ci", "ci", false),
            ("of", "ticket 0f of ci", false),
            ("ci", "ticket 0f of cd of ci", false),
            ("jwt:a of b", "ticket 0f of jwt:a of b", true),
            ("b", "ticket 0f of jwt:a of b", false),
            (ANONYMOUS, ANONYMOUS, true),
            (ANONYMOUS, "ticket 0f of anonymous", false),
            (ANONYMOUS, "ci", false),
        ] {
            assert_eq!(named(who).owns(owner), expected, "{who} and {owner}");
        }
    }

    #[test]
    fn what_a_file_would_be_served_as_counts() {
        let types = MimeTable::built_in("application/octet-stream");
        let limits =
            UploadLimits { types: vec![TypePattern::parse("image/*").unwrap()], ..UploadLimits::default() };
        for (ext, expected) in
            [("png", true), ("PNG", true), ("", true), ("zzz", true), ("html", false), ("a.html", false)]
        {
            assert_eq!(limits.check_ext(&types, FileExt::parse(ext).unwrap()).is_ok(), expected, "{ext}");
            assert!(UploadLimits::default().check_ext(&types, FileExt::parse(ext).unwrap()).is_ok());
        }
    }

    #[test]
    fn types_are_names_and_families() {
        let limits = UploadLimits {
            types: ["image/*", "application/pdf"].map(|text| TypePattern::parse(text).unwrap()).to_vec(),
            max_size: Some(3),
        };
        for (kind, expected) in [
            (Some("image/png"), true),
            (Some("Image/PNG; charset=x"), true),
            (Some("application/pdf"), true),
            (Some("application/pdfx"), false),
            (Some("image/"), false),
            (Some("imagex/png"), false),
            (Some("text/html; image/png"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(limits.check_type(kind).is_ok(), expected, "{kind:?}");
        }
        assert!(limits.check_size(3).is_ok() && limits.check_size(4).is_err());
        for bad in ["image", "*/*", "*", "image/", "image/*x", "a b/c", "image/png;x"] {
            assert!(TypePattern::parse(bad).is_none(), "{bad}");
        }
    }
}
