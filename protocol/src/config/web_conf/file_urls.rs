//! How files are answered: ranges, what caches are told, character sets, FLV. Names are nginx's where it has them.

use std::time::Duration;

use super::super::reader::KeyReader;

/// Types that get `http.charset`, as in nginx.
const CHARSET_TYPES: [&str; 6] = [
    "text/html",
    "text/xml",
    "text/plain",
    "text/vnd.wap.wml",
    "application/javascript",
    "application/rss+xml",
];
/// What caches are told of files that never change.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// 25,000 files of 4 KB.
const FILE_CACHE: u64 = 128 << 20;
/// Seconds.
const FILE_CACHE_VALID: u32 = 1;

/// How files are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUrlConf {
    /// `http.max_ranges`: ranges of one request that are served; a request with more gets the whole file. 0 serves none.
    pub max_ranges: usize,
    /// `http.cache_control`: `Cache-Control` of files that never change; `None` (written `off`) sends none.
    pub cache_control: Option<String>,
    /// `http.cache_control_changing`: `Cache-Control` of appenders and slaves.
    pub cache_control_changing: Option<String>,
    /// `http.charset`: character set that texts are said to have.
    pub charset: Option<String>,
    /// `http.charset_types`: types that are texts in that sense; one `*` is all.
    pub charset_types: Vec<String>,
    /// `flv_extension`, if `flv_support` is on: files that `?start=` cuts.
    pub flv_extension: Option<String>,
    /// `http.file_cache`: bytes of memory for small files that were sent, to be sent again; 0 keeps none.
    pub file_cache: u64,
    /// `http.open_file_cache_valid`: how long a file that was removed by another program may be sent from memory; 0 looks
    /// at its name each time.
    pub file_cache_valid: Duration,
    /// `http.merge_slashes`: `//` in a path is read as `/`.
    pub merge_slashes: bool,
}

impl Default for FileUrlConf {
    fn default() -> Self {
        Self {
            max_ranges: 64,
            cache_control: Some(FOR_EVER.to_owned()),
            cache_control_changing: Some("no-cache".to_owned()),
            charset: None,
            charset_types: CHARSET_TYPES.map(str::to_owned).to_vec(),
            flv_extension: None,
            file_cache: FILE_CACHE,
            file_cache_valid: Duration::from_secs(FILE_CACHE_VALID.into()),
            merge_slashes: true,
        }
    }
}

impl FileUrlConf {
    pub(in super::super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let default = Self::default();
        let several = keys.flag("http.multi_range.enabled", true);
        let disabled = keys.flag("http.disabled", false);
        let max_ranges = usize::try_from(keys.count("http.max_ranges", 64)).unwrap_or(usize::MAX);
        Self {
            max_ranges: if several || disabled { max_ranges } else { max_ranges.min(1) },
            cache_control: read_header(keys, "http.cache_control", default.cache_control),
            cache_control_changing: read_header(
                keys,
                "http.cache_control_changing",
                default.cache_control_changing,
            ),
            charset: read_charset(keys),
            charset_types: keys.text_or_none("http.charset_types").map_or(default.charset_types, |text| {
                text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect()
            }),
            flv_extension: read_flv_extension(keys),
            file_cache: keys.bytes("http.file_cache", FILE_CACHE),
            file_cache_valid: keys.seconds_or_zero("http.open_file_cache_valid", FILE_CACHE_VALID),
            merge_slashes: keys.flag("http.merge_slashes", true),
        }
    }
}

/// The value of a header; `off` is none.
fn read_header(keys: &mut KeyReader<'_>, key: &str, default: Option<String>) -> Option<String> {
    match keys.text_or_none(key) {
        None => default,
        Some("off") => None,
        Some(text) if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) => {
            Some(text.to_owned())
        }
        Some(_) => {
            keys.refuse(key, "a header has printable ASCII only");
            default
        }
    }
}

fn read_charset(keys: &mut KeyReader<'_>) -> Option<String> {
    let key = "http.charset";
    let text = keys.text_or_none(key).filter(|text| *text != "off")?;
    // Names of character sets (RFC 2978, 2.3).
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'+-^_`{}~.:".contains(&byte)) {
        keys.refuse(key, format_args!("'{text}' is no character set; write such as utf-8"));
        return None;
    }
    Some(text.to_owned())
}

fn read_flv_extension(keys: &mut KeyReader<'_>) -> Option<String> {
    let ext = keys.text_or_none("flv_extension").unwrap_or("flv").trim_start_matches('.');
    if !keys.flag("flv_support", false) {
        return None;
    }
    if ext.is_empty() || ext.len() > 6 || ext.contains(['/', '.']) {
        keys.refuse(
            "flv_extension",
            format_args!("'{ext}' is no extension of a file; it has up to 6 characters"),
        );
        return None;
    }
    Some(ext.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::{LocalFacts, StorageConf};
    use super::*;

    fn read(lines: &str) -> Result<FileUrlConf, String> {
        let text =
            format!("tracker_server = 10.0.0.1:22122\nbase_path = /tmp\ngroup_name = group1\n{lines}\n");
        let read = StorageConf::parse(&text, Path::new("storage.conf"), &LocalFacts::none());
        read.map(|(conf, _)| conf.web.file_urls).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_written_gives_the_defaults() {
        assert_eq!(read("").unwrap(), FileUrlConf::default());
    }

    #[test]
    fn keys_are_read() {
        let conf = read(
            "http.max_ranges = 5\nhttp.cache_control = public, max-age=60\nhttp.cache_control_changing = off\n\
             http.charset = utf-8\nhttp.charset_types = text/plain TEXT/CSV\nflv_support = true\nflv_extension = .f4v\n\
             http.merge_slashes = off\nhttp.file_cache = 1g\nhttp.open_file_cache_valid = 0",
        );
        let expected = FileUrlConf {
            max_ranges: 5,
            cache_control: Some("public, max-age=60".to_owned()),
            cache_control_changing: None,
            charset: Some("utf-8".to_owned()),
            charset_types: vec!["text/plain".to_owned(), "text/csv".to_owned()],
            flv_extension: Some("f4v".to_owned()),
            file_cache: 1 << 30,
            file_cache_valid: Duration::ZERO,
            merge_slashes: false,
        };
        assert_eq!(conf.unwrap(), expected);
        let conf = read("http.multi_range.enabled = false\nhttp.charset = off\nflv_extension = x").unwrap();
        assert_eq!((conf.max_ranges, conf.charset, conf.flv_extension), (1, None, None));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "http.cache_control = caf\u{e9}",
            "http.charset = utf-8; x",
            "flv_support = true\nflv_extension = too.long",
        ] {
            let error = read(line).expect_err(line);
            let key = line.lines().last().and_then(|line| line.split(' ').next()).unwrap();
            assert!(error.contains(key), "{line}: {error}");
        }
    }
}
