//! Types of files by extension: the site's table, then the built-in one, then the default.

use std::collections::HashMap;

use http::HeaderValue;
use protocol::file_id::FileExt;

/// Types by extension.
#[derive(Debug, Clone)]
pub struct MimeTable {
    own: HashMap<String, HeaderValue>,
    default: HeaderValue,
    charset: Option<Charset>,
}

/// The character set that texts are said to have.
#[derive(Debug, Clone)]
struct Charset {
    name: String,
    /// Types that have it.
    types: Vec<String>,
    /// Those of the built-in table, complete.
    complete: HashMap<String, HeaderValue>,
}

impl MimeTable {
    /// The built-in table, and the type of all that it does not know.
    pub fn built_in(default: &str) -> Self {
        let fallback = HeaderValue::from_static("application/octet-stream");
        Self {
            own: HashMap::new(),
            default: HeaderValue::from_str(default).unwrap_or(fallback),
            charset: None,
        }
    }

    /// Adds the entries of a `mime.types` file, in Apache's form (`type ext ext`) or nginx's (`types { type ext ext; }`).
    pub fn add(&mut self, text: &str) {
        for (_, entry) in entries(text) {
            let mut words = entry.split_ascii_whitespace();
            let Some(kind) = words.next().filter(|kind| kind.contains('/')) else { continue };
            let Ok(kind) = HeaderValue::from_str(kind) else { continue };
            for ext in words {
                self.own.insert(ext.trim_start_matches('.').to_ascii_lowercase(), kind.clone());
            }
        }
    }

    /// Gives these types (`*` is all) a character set where they have none. Counts for entries that are there.
    pub(crate) fn set_charset(&mut self, name: &str, types: &[String]) {
        let mut charset = Charset { name: name.to_owned(), types: types.to_vec(), complete: HashMap::new() };
        for kind in self.own.values_mut().chain([&mut self.default]) {
            if let Some(complete) = kind.to_str().ok().and_then(|kind| charset.complete(kind)) {
                *kind = complete;
            }
        }
        for kind in types.iter().filter(|kind| *kind != "*") {
            if let Some(complete) = charset.complete(kind) {
                charset.complete.insert(kind.clone(), complete);
            }
        }
        self.charset = Some(charset);
    }

    /// What [`Self::add`] passes over, by line.
    pub fn doubts(text: &str) -> Vec<(u32, String)> {
        let doubt = |(line, entry): (u32, &str)| {
            let kind = entry.split_ascii_whitespace().next().filter(|kind| *kind != "types")?;
            if !kind.contains('/') {
                return Some((line, format!("{kind} is no type such as text/html; ignored")));
            }
            let unsent = HeaderValue::from_str(kind).is_err();
            unsent.then(|| (line, format!("{kind} cannot be sent as a type; ignored")))
        };
        entries(text).filter_map(doubt).collect()
    }

    /// The type of files with this extension.
    pub fn of(&self, ext: &str) -> HeaderValue {
        let own = (!self.own.is_empty()).then(|| self.own.get(&ext.to_ascii_lowercase())).flatten();
        match own {
            Some(kind) => kind.clone(),
            None => match mime_guess::from_ext(ext).first_raw() {
                Some(kind) => self.built_in_kind(kind),
                None => self.default.clone(),
            },
        }
    }

    /// The type of files with this extension, if the site or the built-in table knows it.
    pub(crate) fn known(&self, ext: &str) -> Option<HeaderValue> {
        let is_known = self.own.contains_key(&ext.to_ascii_lowercase())
            || mime_guess::from_ext(ext).first_raw().is_some();
        is_known.then(|| self.of(ext))
    }

    fn built_in_kind(&self, kind: &'static str) -> HeaderValue {
        let complete = self.charset.as_ref().and_then(|charset| match charset.complete.get(kind) {
            Some(complete) => Some(complete.clone()),
            None if charset.types.iter().any(|one| one == "*") => charset.complete(kind),
            None => None,
        });
        complete.unwrap_or(HeaderValue::from_static(kind))
    }
}

impl Charset {
    /// The type with its character set; `None` if it gets none or has one.
    fn complete(&self, kind: &str) -> Option<HeaderValue> {
        let is_one = self.types.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(kind));
        if !is_one || kind.contains(';') {
            return None;
        }
        HeaderValue::try_from(format!("{kind}; charset={}", self.name)).ok()
    }
}

/// Entries of a table, with their lines.
fn entries(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(text.lines()).flat_map(|(number, line)| {
        let line = line.split('#').next().unwrap_or_default();
        line.split([';', '{', '}']).map(move |entry| (number, entry))
    })
}

/// An extension for content of this type, where there is a usual one of at most six characters.
pub(crate) fn ext_of_type(content_type: &str) -> FileExt {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let usual = match kind.as_str() {
        "image/jpeg" => "jpg",
        "image/tiff" => "tif",
        "image/svg+xml" => "svg",
        "text/plain" => "txt",
        "text/html" => "html",
        "audio/mpeg" => "mp3",
        "video/mp4" => "mp4",
        "video/quicktime" => "mov",
        "video/mpeg" => "mpg",
        "application/gzip" => "gz",
        "application/json" => "json",
        "application/pdf" => "pdf",
        "application/xml" | "text/xml" => "xml",
        "application/zip" => "zip",
        // What clients send when they do not know.
        "" | "application/octet-stream" | "application/x-www-form-urlencoded" => return FileExt::NONE,
        // The name of the type is often the extension, such as that of image/png.
        kind => {
            let name = kind.rsplit('/').next().unwrap_or_default();
            if mime_guess::from_ext(name).iter_raw().any(|known| known == kind) { name } else { "" }
        }
    };
    FileExt::parse(usual).unwrap_or(FileExt::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_table_are_read() {
        let mut table = MimeTable::built_in("x/default");
        table.add("# comment\r\ntext/x-one one uno\r\nimage/webp\r\n");
        table.add("types {\n    text/x-two  two .DOS;\n    text/x-three three;\n}\n");
        for (ext, kind) in [
            ("one", "text/x-one"),
            ("UNO", "text/x-one"),
            ("two", "text/x-two"),
            ("dos", "text/x-two"),
            ("three", "text/x-three"),
            ("jpg", "image/jpeg"),
            ("nobody", "x/default"),
            ("", "x/default"),
        ] {
            assert_eq!(table.of(ext), kind, "{ext}");
            let known = (kind != "x/default").then(|| kind.parse().unwrap());
            assert_eq!(table.known(ext), known, "{ext}");
        }
    }

    #[test]
    fn texts_get_the_character_set() {
        let mut table = MimeTable::built_in("text/plain");
        table.add("text/csv csv\ntext/x-own; charset=gbk own\ntext/xml myxml\n");
        let texts = ["text/plain", "text/html", "text/csv", "text/xml"].map(str::to_owned);
        table.set_charset("utf-8", &texts);
        for (ext, kind) in [
            ("txt", "text/plain; charset=utf-8"),
            ("html", "text/html; charset=utf-8"),
            ("csv", "text/csv; charset=utf-8"),
            ("myxml", "text/xml; charset=utf-8"),
            ("css", "text/css"),
            ("png", "image/png"),
            ("nobody", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(table.of(ext), kind, "{ext}");
        }
        let mut table = MimeTable::built_in("x/default");
        table.set_charset("gbk", &["*".to_owned()]);
        assert_eq!(
            (table.of("css"), table.of("png")),
            ("text/css; charset=gbk".parse().unwrap(), "image/png; charset=gbk".parse().unwrap())
        );
    }

    #[test]
    fn what_is_passed_over_is_told() {
        let text = "# types\ntypes { text/html html;\n image png\n}\ntext/x\u{7f} x\n";
        let lines: Vec<u32> = MimeTable::doubts(text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 5]);
    }

    #[test]
    fn types_give_usual_extensions() {
        for (kind, ext) in [
            ("image/jpeg", "jpg"),
            ("text/plain; charset=utf-8", "txt"),
            ("image/png", "png"),
            ("application/octet-stream", ""),
            ("application/x-www-form-urlencoded", ""),
            ("nonsense", ""),
        ] {
            assert_eq!(ext_of_type(kind).as_str(), ext, "{kind}");
        }
    }
}
