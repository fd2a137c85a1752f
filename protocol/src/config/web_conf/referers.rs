//! Pages that may show the files: `http.valid_referers`, in nginx's words.

use std::path::PathBuf;

use crate::config::reader::KeyReader;

/// Which values of the `Referer` header are good.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReferersConf {
    /// `none`: requests without the header.
    pub none: bool,
    /// `blocked`: a value that is no URL, since something on the way removed it.
    pub blocked: bool,
    /// `server_names`: pages of the host that the request itself is for.
    pub server_names: bool,
    /// Hosts by name.
    pub sites: Vec<SitePattern>,
    /// `http.invalid_referer_page`: a file that is sent to the others.
    pub page: Option<PathBuf>,
}

/// A host as nginx writes it, perhaps with the beginning of a path: `example.com`, `*.example.com`, `.example.com` (both),
/// `www.example.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitePattern {
    host: HostPattern,
    /// Beginning of the path, empty for any.
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exact(String),
    /// Hosts below; holds the domain with its dot in front.
    Below(String),
    /// The domain and hosts below; holds the domain with its dot in front.
    At(String),
    /// Any end; holds all up to the last dot.
    AnyEnd(String),
}

impl ReferersConf {
    /// Whether a request may have the file. `host` is the one that it is for, without a port.
    pub fn permit(&self, referer: Option<&[u8]>, host: &str) -> bool {
        let Some(referer) = referer else { return self.none };
        let Some((site, path)) = std::str::from_utf8(referer).ok().and_then(split) else {
            return self.blocked;
        };
        self.server_names && !host.is_empty() && site.eq_ignore_ascii_case(host)
            || self.sites.iter().any(|pattern| pattern.fits(site, path))
    }

    pub(in crate::config) fn read(keys: &mut KeyReader<'_>) -> Option<Self> {
        let key = "http.valid_referers";
        let page_key = "http.invalid_referer_page";
        let lines = keys.all(&[key]);
        let page = keys.text_or_none(page_key).map(|name| keys.ini.relative(name));
        if lines.is_empty() {
            if page.is_some() {
                keys.warn(page_key, "never sent, since http.valid_referers is missing");
            }
            return None;
        }
        let mut conf = Self { page, ..Self::default() };
        for entry in lines {
            for word in entry.value.split_ascii_whitespace() {
                match word {
                    "none" => conf.none = true,
                    "blocked" => conf.blocked = true,
                    "server_names" => conf.server_names = true,
                    _ => match SitePattern::parse(word) {
                        Some(site) => conf.sites.push(site),
                        None => keys.refuse_line(
                            entry,
                            format_args!(
                                "'{word}' is not understood; write none, blocked, server_names, or hosts such as \
                                 example.com, *.example.com, www.example.* (regular expressions are not read)"
                            ),
                        ),
                    },
                }
            }
        }
        if !(conf.server_names || conf.blocked || conf.none) && conf.sites.is_empty() {
            keys.refuse(key, "names nobody, so that no request would be answered");
        } else if !conf.none {
            keys.warn(
                key,
                "without 'none', visitors who type the URL or whose browser sends no Referer are refused",
            );
        }
        Some(conf)
    }
}

/// Host without port and user, and path, of a URL.
fn split(url: &str) -> Option<(&str, &str)> {
    let scheme = |name: &str| {
        let (start, rest) = url.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some(rest)
    };
    let rest = scheme("http://").or_else(|| scheme("https://"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    // As browsers see it: what stands before an @ is a user, not the site.
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let end = if host.starts_with('[') {
        host.find(']').map_or(host.len(), |at| at + 1)
    } else {
        host.find(':').unwrap_or(host.len())
    };
    Some((&host[..end], path))
}

impl SitePattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let host = host.to_ascii_lowercase();
        let is_host = |host: &str| {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.[]:".contains(&byte))
        };
        let pattern = if let Some(domain) = host.strip_prefix("*.") {
            is_host(domain).then(|| HostPattern::Below(format!(".{domain}")))
        } else if let Some(domain) = host.strip_prefix('.') {
            is_host(domain).then(|| HostPattern::At(format!(".{domain}")))
        } else if let Some(start) = host.strip_suffix(".*") {
            is_host(start).then(|| HostPattern::AnyEnd(format!("{start}.")))
        } else {
            is_host(&host).then_some(HostPattern::Exact(host))
        };
        Some(Self { host: pattern?, path: path.to_owned() })
    }

    fn fits(&self, host: &str, path: &str) -> bool {
        let ends = |domain: &str| {
            let at = host.len().checked_sub(domain.len());
            at.and_then(|at| host.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(domain))
        };
        let is_site = match &self.host {
            HostPattern::Exact(name) => host.eq_ignore_ascii_case(name),
            HostPattern::Below(domain) => host.len() > domain.len() && ends(domain),
            HostPattern::At(domain) => {
                ends(domain) || domain.get(1..).is_some_and(|name| host.eq_ignore_ascii_case(name))
            }
            HostPattern::AnyEnd(start) => {
                host.len() > start.len()
                    && host.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
            }
        };
        is_site && path.starts_with(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{refused, warned, web};
    use super::*;

    fn conf(words: &str) -> ReferersConf {
        web(&format!("http.valid_referers = {words}")).access.referers.unwrap()
    }

    #[test]
    fn nginx_words_mean_what_they_mean_there() {
        let conf = conf(
            "none blocked server_names example.com *.example.org .example.net www.shop.* a.com/gallery/",
        );
        for (referer, expected) in [
            ("", true),
            ("XXXXXXX", true),
            ("http://img.here/page", true),
            ("http://IMG.here:8080/page", true),
            ("http://example.com/", true),
            ("https://EXAMPLE.com", true),
            ("https://example.com:8443/x?y", true),
            ("https://example.com?y", true),
            ("https://www.example.com/", false),
            ("https://www.example.org/", true),
            ("https://a.b.example.org/", true),
            ("https://example.org/", false),
            ("https://.example.org/", false),
            ("https://example.net/", true),
            ("https://a.example.net/", true),
            ("https://badexample.net/", false),
            ("https://www.shop.co.uk/", true),
            ("https://www.shop/", false),
            ("https://a.com/gallery/1", true),
            ("https://a.com/other", false),
            ("https://a.com", false),
            ("https://evil.com/example.com", false),
            ("https://example.com.evil.com/", false),
            ("https://example.com@evil.com/", false),
            ("https://evil.com\\@example.com/", false),
            ("https://evil.com#@example.com/", false),
            ("https://[::1]:80/", false),
            ("https://", false),
        ] {
            assert_eq!(conf.permit(Some(referer.as_bytes()), "img.here"), expected, "{referer}");
        }
        assert!(conf.permit(None, "img.here"));
        assert!(conf.permit(Some(b"\xff\xfe"), "img.here"));
    }

    #[test]
    fn words_left_out_refuse() {
        assert_eq!(web("").access.referers, None);
        let (conf, _) = warned("http.valid_referers = example.com", "without 'none'");
        let conf = conf.access.referers.unwrap();
        assert!(
            !conf.permit(None, "") && !conf.permit(Some(b"x"), "") && !conf.permit(Some(b"http:///"), "")
        );
        for bad in ["~\\.google\\.", "*", "ex*mple.com", "none,blocked", "."] {
            refused(&format!("http.valid_referers = {bad}"), "is not understood");
        }
        refused("http.valid_referers =", "names nobody");
        warned("http.invalid_referer_page = no.png", "never sent");
    }

    proptest! {
        #[test]
        fn only_the_host_decides(referer in "(https?://)?[a-z@:/?#\\[\\].\\\\]{0,24}(example\\.com)?[/:?#@a-z.]{0,6}") {
            let conf = ReferersConf { sites: SitePattern::parse("example.com").into_iter().collect(), ..ReferersConf::default() };
            if conf.permit(Some(referer.as_bytes()), "") {
                let (site, _) = split(&referer).unwrap();
                prop_assert_eq!(site, "example.com");
            }
        }
    }
}
