//! Pages of the site's own for errors: `http.error_page`, in nginx's form, once for each page.

use std::path::PathBuf;

use super::super::reader::KeyReader;

/// A page, and when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    /// Statuses that it is sent with, 400 to 599.
    pub codes: Vec<u16>,
    /// Status that is answered instead (`=200`).
    pub status: Option<u16>,
    /// The page. Relative ones are resolved against the directory of the configuration.
    pub file: PathBuf,
}

/// Pages for errors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PagesConf {
    /// `http.error_page`, in their order; of two pages for one status the first counts.
    pub error_pages: Vec<ErrorPage>,
}

impl PagesConf {
    pub(in super::super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let mut error_pages = Vec::new();
        let ini = keys.ini;
        for entry in ini.all("", "http.error_page") {
            match parse(&entry.value) {
                Ok((codes, status, file)) => {
                    error_pages.push(ErrorPage { codes, status, file: ini.relative(file) });
                }
                Err(why) => {
                    let text = &entry.value;
                    keys.found.error(&entry.place, format!("http.error_page = {text}: {why}"));
                }
            }
        }
        Self { error_pages }
    }
}

/// `404 410 =200 page.html`.
fn parse(text: &str) -> Result<(Vec<u16>, Option<u16>, &str), &'static str> {
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    let page = words.pop().unwrap_or_default();
    let is_status = |word: &str| word.trim_start_matches('=').bytes().all(|byte| byte.is_ascii_digit());
    if words.is_empty() || is_status(page) {
        return Err("write statuses and the file of a page, such as 500 502 503 504 50x.html");
    }
    let mut status = None;
    if let Some(word) = words.pop_if(|word| word.starts_with('=')) {
        let code = word[1..].parse().ok().filter(|code| (200..=599).contains(code));
        status = Some(code.ok_or("the status after = is none of 200 to 599")?);
    }
    let code = |word: &str| word.parse().ok().filter(|code| (400..=599).contains(code));
    let codes: Option<Vec<u16>> = words.into_iter().map(code).collect();
    match codes {
        Some(codes) if !codes.is_empty() => Ok((codes, status, page)),
        _ => Err("a status is none of 400 to 599"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::{LocalFacts, StorageConf};
    use super::*;

    fn read(lines: &str) -> Result<PagesConf, String> {
        let text =
            format!("tracker_server = 10.0.0.1:22122\nbase_path = /tmp\ngroup_name = group1\n{lines}\n");
        let read = StorageConf::parse(&text, Path::new("/etc/fdfs/storage.conf"), &LocalFacts::none());
        read.map(|(conf, _)| conf.web.pages).map_err(|error| error.to_string())
    }

    #[test]
    fn pages_are_read_in_nginx_form() {
        let conf = read(
            "http.error_page = 404 404.html\nhttp.error_page = 500 502 503  504 /var/www/50x.html\n\
             http.error_page = 403 410 =200 empty.gif",
        );
        let page = |codes: &[u16], status, file: &str| ErrorPage {
            codes: codes.to_vec(),
            status,
            file: file.into(),
        };
        let expected = [
            page(&[404], None, "/etc/fdfs/404.html"),
            page(&[500, 502, 503, 504], None, "/var/www/50x.html"),
            page(&[403, 410], Some(200), "/etc/fdfs/empty.gif"),
        ];
        assert_eq!(conf.unwrap().error_pages, expected);
        assert_eq!(read("").unwrap(), PagesConf::default());
    }

    #[test]
    fn nonsense_is_refused() {
        for value in [
            "",
            "404",
            "404 405",
            "page.html",
            "200 a.html",
            "x a.html",
            "404 = a.html",
            "404 =99 a.html",
            "=200 a.html",
        ] {
            let error = read(&format!("http.error_page = {value}")).expect_err(value);
            assert!(error.contains("http.error_page"), "{value}: {error}");
        }
    }
}
