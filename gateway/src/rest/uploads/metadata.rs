//! `Upload-Metadata`: pairs of a key and a value in base64, which say what file an upload becomes.
//!
//! `filename` (or `name`) is the original name and gives the extension, `filetype` (or `type`) gives it where there is no
//! name, `kind` may be `appender`. All others are the file's metadata.

use std::collections::HashSet;

use http::HeaderMap;
use protocol::file_id::FileExt;
use protocol::metadata::{BadItem, Metadata};

use super::headers::METADATA;
use crate::base64;
use crate::content_type::ext_of_type;
use crate::files::{UploadKind, UploadSpec};
use crate::problem::Problem;
use crate::rest::upload::bad;

/// Most pairs.
const MAX_PAIRS: usize = 128;
/// Original name of a file.
const FILENAME: &str = "fdfs.filename";

/// What a client told of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The header as it was.
    pub(super) text: Option<String>,
    pairs: Vec<(String, String)>,
}

impl Told {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut lines = Vec::new();
        for value in headers.get_all(METADATA) {
            lines.push(value.to_str().map_err(|_| wrong("holds other characters than visible ASCII"))?);
        }
        // Lines of one header are one list (RFC 9110, 5.3).
        let text = lines.join(",");
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let pairs: Vec<(String, String)> = text.split(',').map(pair).collect::<Result<_, Problem>>()?;
        if pairs.len() > MAX_PAIRS {
            return Err(wrong("holds more than 128 pairs"));
        }
        let mut keys = HashSet::new();
        if !pairs.iter().all(|(key, _)| keys.insert(key)) {
            return Err(wrong("holds a key twice"));
        }
        Ok(Self { text: Some(text), pairs })
    }

    fn get(&self, names: [&str; 2]) -> Option<&str> {
        let find = |name: &str| self.pairs.iter().find(|(key, value)| key == name && !value.is_empty());
        names.into_iter().find_map(find).map(|(_, value)| value.as_str())
    }

    /// The file that the upload becomes.
    pub(super) fn spec(&self, len: Option<u64>) -> Result<UploadSpec, Problem> {
        let kind = match self.get(["kind", "kind"]) {
            None | Some("normal") => UploadKind::Normal,
            Some("appender") => UploadKind::Appender,
            Some(_) => return Err(bad("bad_kind", "the kind of an upload is normal or appender")),
        };
        let filename = self.get(["filename", "name"]).map(base_name);
        let ext = match (filename, self.get(["filetype", "type"])) {
            (Some(filename), _) => FileExt::of_file_name(filename),
            (None, Some(kind)) => ext_of_type(kind),
            (None, None) => ext_of_type(""),
        };
        let mut metadata = Metadata::default();
        for (key, value) in &self.pairs {
            match key.as_str() {
                "kind" | "filename" => {}
                key if key.starts_with("fdfs.") => {
                    return Err(wrong("holds a key that begins with fdfs., which are set by other means"));
                }
                key => metadata.insert(key, value).map_err(|why| bad_item(key, why))?,
            }
        }
        if let Some(filename) = filename {
            if filename.chars().any(char::is_control) {
                return Err(bad("bad_filename", "a file name has no control characters"));
            }
            metadata.insert(FILENAME, filename).map_err(|why| bad_item("filename", why))?;
        }
        Ok(UploadSpec { len, metadata, ..UploadSpec::new(kind, ext) })
    }
}

/// The name without the directories that some clients send with it.
fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

fn pair(text: &str) -> Result<(String, String), Problem> {
    let text = text.trim();
    let (key, value) = text.split_once(' ').unwrap_or((text, ""));
    if key.is_empty() {
        return Err(wrong("holds a pair without a key"));
    }
    let value = base64::decode(value).ok_or_else(|| wrong("holds a value that is no base64"))?;
    let value = String::from_utf8(value).map_err(|_| wrong("holds a value that is no UTF-8"))?;
    Ok((key.to_owned(), value))
}

fn bad_item(key: &str, why: BadItem) -> Problem {
    bad("bad_metadata", &format!("{why}: {}", key.escape_default()))
}

fn wrong(what: &str) -> Problem {
    let detail = format!(
        "Upload-Metadata {what}; send keys and values in base64, such as filename YS5qcGc=,author Ym9i"
    );
    bad("bad_metadata", &detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn told(lines: &[&str]) -> Result<Told, Problem> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(METADATA, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        Told::of(&headers)
    }

    #[test]
    fn pairs_say_what_file_it_becomes() {
        // a.tar.gz, image/png, appender, C:\x\p.jpg, ü.txt
        for (line, kind, ext, items) in [
            ("", UploadKind::Normal, "", &[][..]),
            ("filename YS50YXIuZ3o=", UploadKind::Normal, "tar.gz", &[("fdfs.filename", "a.tar.gz")]),
            (
                "filetype aW1hZ2UvcG5n, width MTIw,flag",
                UploadKind::Normal,
                "png",
                &[("filetype", "image/png"), ("flag", ""), ("width", "120")],
            ),
            ("kind YXBwZW5kZXI=", UploadKind::Appender, "", &[]),
            ("filename QzpceFxwLmpwZw==", UploadKind::Normal, "jpg", &[("fdfs.filename", "p.jpg")]),
            (
                "name w7wudHh0,filetype aW1hZ2UvcG5n",
                UploadKind::Normal,
                "txt",
                &[("fdfs.filename", "\u{fc}.txt"), ("filetype", "image/png"), ("name", "\u{fc}.txt")],
            ),
        ] {
            let spec = told(&[line]).unwrap().spec(Some(7)).unwrap();
            assert_eq!((spec.kind, spec.ext.as_str(), spec.len), (kind, ext, Some(7)), "{line}");
            assert_eq!(spec.metadata.iter().collect::<Vec<_>>(), items, "{line}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let told = told(&["a YQ==", "b"]).unwrap();
        assert_eq!(told.text.as_deref(), Some("a YQ==,b"));
        assert_eq!(told.pairs, [("a".to_owned(), "a".to_owned()), ("b".to_owned(), String::new())]);
    }

    #[test]
    fn hostile_values_are_refused() {
        let long_key = format!("{} YQ==", "k".repeat(65));
        let long_value = format!("k {}", "YWFh".repeat(86));
        let many = vec!["k"; 129].join(",");
        for line in [
            "a YQ==,",
            ",",
            "a YQ==,,b",
            "a YQ",
            "a Y Q==",
            "a  YQ==",
            "a YQ==,a Yg==",
            "a ////",
            "filename YQpi",
            "kind c2xhdmU=",
            "fdfs.expires MQ==",
            "a AQ==",
            "a \u{fc}",
            &long_key,
            &long_value,
            &many,
        ] {
            let read = told(&[line]).and_then(|told| told.spec(None));
            assert_eq!(read.map_err(|problem| problem.status().as_u16()), Err(400), "{line}");
        }
    }
}
