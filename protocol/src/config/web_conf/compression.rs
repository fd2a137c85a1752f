//! Compression of file URLs: `http.gzip`, `http.brotli`, `http.zstd` and what they share.

use super::super::reader::KeyReader;

/// What is compressed when `http.gzip_types` is not written: text formats that browsers load.
const DEFAULT_TYPES: [&str; 17] = [
    "text/html",
    "text/css",
    "text/plain",
    "text/xml",
    "text/csv",
    "text/markdown",
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/xml",
    "application/rss+xml",
    "application/atom+xml",
    "application/wasm",
    "image/svg+xml",
];
/// Largest cache: compressed text of a site is far smaller.
const MAX_CACHE: u64 = 4 << 30;

/// Which answers are compressed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressionConf {
    /// `http.gzip`.
    pub gzip: bool,
    /// `http.brotli`.
    pub brotli: bool,
    /// `http.zstd`.
    pub zstd: bool,
    /// `http.gzip_types`: types that are compressed, lower case; `*` is every type that is not compressed in itself.
    pub types: Vec<String>,
    /// `http.gzip_min_length`: shorter content is sent as it is.
    pub min_length: u64,
    /// `http.gzip_max_length`: longer content is sent as it is.
    pub max_length: u64,
    /// `http.gzip_comp_level`, 1 to 9.
    pub gzip_level: u8,
    /// `http.brotli_comp_level`, 0 to 11.
    pub brotli_level: u8,
    /// `http.zstd_comp_level`, 1 to 19.
    pub zstd_level: u8,
    /// `http.compression_cache`: bytes of compressed content that are kept; 0 keeps none.
    pub cache: u64,
}

impl Default for CompressionConf {
    fn default() -> Self {
        Self {
            gzip: false,
            brotli: false,
            zstd: false,
            types: DEFAULT_TYPES.map(str::to_owned).to_vec(),
            min_length: 1024,
            max_length: 64 << 20,
            gzip_level: 4,
            brotli_level: 4,
            zstd_level: 3,
            cache: 16 << 20,
        }
    }
}

impl CompressionConf {
    /// Whether anything is ever compressed.
    pub fn is_on(&self) -> bool {
        self.gzip || self.brotli || self.zstd
    }

    pub(super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let default = Self::default();
        Self {
            gzip: keys.flag("http.gzip", default.gzip),
            brotli: keys.flag("http.brotli", default.brotli),
            zstd: keys.flag("http.zstd", default.zstd),
            types: read_types(keys).unwrap_or(default.types),
            min_length: keys.bytes("http.gzip_min_length", default.min_length),
            max_length: keys.bytes("http.gzip_max_length", default.max_length),
            gzip_level: read_level(keys, "http.gzip_comp_level", default.gzip_level, 1, 9),
            brotli_level: read_level(keys, "http.brotli_comp_level", default.brotli_level, 0, 11),
            zstd_level: read_level(keys, "http.zstd_comp_level", default.zstd_level, 1, 19),
            cache: keys.bytes_within("http.compression_cache", default.cache, 0, MAX_CACHE),
        }
    }
}

fn read_level(keys: &mut KeyReader<'_>, key: &str, default: u8, min: u8, max: u8) -> u8 {
    let value = keys.int(key, default.into());
    match u8::try_from(value).ok().filter(|value| (min..=max).contains(value)) {
        Some(value) => value,
        None => {
            keys.refuse(key, format_args!("{value} is no level; write {min} to {max}"));
            default
        }
    }
}

/// Several lines are one list, since a line of a configuration has at most 255 bytes. As with nginx, `text/html` is always
/// in it.
fn read_types(keys: &mut KeyReader<'_>) -> Option<Vec<String>> {
    let key = "http.gzip_types";
    let ini = keys.ini;
    let mut types = vec!["text/html".to_owned()];
    for entry in ini.all("", key) {
        for word in entry.value.trim_end_matches(';').split([' ', '\t', ',']).filter(|word| !word.is_empty())
        {
            let word = word.to_ascii_lowercase();
            let is_type = word.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty());
            if word != "*" && !is_type {
                keys.found
                    .error(&entry.place, format!("{key}: '{word}' is no type; write such as text/css, or *"));
            } else if !types.contains(&word) {
                types.push(word);
            }
        }
    }
    keys.is_given(key).then_some(types)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{ConfigError, LocalFacts, StorageConf};

    fn read(lines: &str) -> Result<CompressionConf, ConfigError> {
        let text = format!("base_path = /b\ntracker_server = 127.0.0.1:22122\n{lines}");
        StorageConf::parse(&text, Path::new("s"), &LocalFacts::none()).map(|(conf, _)| conf.web.compression)
    }

    #[test]
    fn it_is_off_unless_it_is_asked_for() {
        let conf = read("").unwrap();
        assert_eq!(conf, CompressionConf::default());
        assert!(!conf.is_on());
        let conf = read(
            "http.gzip = on\nhttp.gzip_types = text/CSS application/json;\nhttp.gzip_types = image/svg+xml\n\
             http.gzip_min_length = 256\nhttp.gzip_comp_level = 6\nhttp.compression_cache = 0",
        )
        .unwrap();
        assert!(conf.is_on() && conf.gzip && !conf.brotli);
        assert_eq!(conf.types, ["text/html", "text/css", "application/json", "image/svg+xml"]);
        assert_eq!((conf.min_length, conf.gzip_level, conf.cache), (256, 6, 0));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "http.gzip_comp_level = 0",
            "http.zstd_comp_level = 20",
            "http.gzip_types = css",
            "http.gzip_min_length = x",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
