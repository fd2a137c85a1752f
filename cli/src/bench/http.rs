//! Requests over HTTP/1.1 with kept connections, made once and sent as they are. No TLS: the load generator would
//! measure that.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, bail};
use bytes::Bytes;
use protocol::{FileId, GroupName};

use super::engine::Head;
use super::work::{Dialect, Made};

/// A server's base URL, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Http {
    pub(super) address: SocketAddr,
    host: String,
    /// Path of the URL without a slash at its end.
    prefix: String,
}

impl Http {
    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        let Some(rest) = url.strip_prefix("http://") else {
            bail!("'{url}' is not http://HOST[:PORT][/PATH]");
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let with_port = if host.contains("]:") || (host.contains(':') && !host.ends_with(']')) {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let mut found = with_port.to_socket_addrs().with_context(|| format!("looking up '{host}'"))?;
        let address = found.next().with_context(|| format!("'{host}' has no address"))?;
        let prefix = match path.trim_end_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        Ok(Self { address, host: host.to_owned(), prefix })
    }

    fn bare(&self, method: &str, path: &str) -> Bytes {
        format!("{method} {}{path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.prefix, self.host).into()
    }
}

impl Dialect for Http {
    fn upload(&self, content: &[u8]) -> Bytes {
        // A path of its own is taken as it is: other servers take uploads elsewhere.
        let path = if self.prefix.is_empty() { "/v1/files" } else { &self.prefix };
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            content.len()
        )
        .into_bytes();
        request.extend_from_slice(content);
        request.into()
    }

    fn uploaded(&self, body: &[u8]) -> Option<FileId> {
        let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
        FileId::parse(answer.get("file_id")?.as_str()?).ok()
    }

    fn download(&self, made: &Made) -> Bytes {
        self.bare("GET", &format!("/{}", made.id))
    }

    fn delete(&self, made: &Made) -> Bytes {
        self.bare("DELETE", &format!("/v1/files/{}", made.id))
    }

    fn query(&self, group: Option<GroupName>, file: Option<&FileId>) -> anyhow::Result<Bytes> {
        Ok(match (file, group) {
            (Some(file), _) => self.bare("GET", &format!("/v1/schedule/download/{file}")),
            (None, Some(group)) => self.bare("GET", &format!("/v1/schedule/upload?group={group}")),
            (None, None) => self.bare("GET", "/v1/schedule/upload"),
        })
    }

    fn head(&self, have: &[u8]) -> Result<Option<Head>, &'static str> {
        let Some(end) = find(have, b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(have.get(..end).unwrap_or_default()).map_err(|_| "not HTTP")?;
        let mut lines = text.split("\r\n");
        let start = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).ok_or("not HTTP/1.1")?;
        let status: u16 = start.get(..3).and_then(|code| code.parse().ok()).ok_or("not HTTP/1.1")?;
        let mut body = None;
        let mut keep = true;
        for line in lines {
            let (name, value) = line.split_once(':').ok_or("a header without a colon")?;
            if name.eq_ignore_ascii_case("content-length") {
                body = Some(value.trim().parse().map_err(|_| "a bad Content-Length")?);
            } else if name.eq_ignore_ascii_case("connection") {
                keep = !value.trim().eq_ignore_ascii_case("close");
            }
        }
        let body = match body {
            _ if matches!(status, 204 | 304) => 0,
            Some(body) => body,
            None => return Err("an answer without Content-Length"),
        };
        Ok(Some(Head { len: end + 4, body, status, ok: (200..300).contains(&status), keep }))
    }
}

fn find(have: &[u8], wanted: &[u8]) -> Option<usize> {
    have.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Http {
        Http::parse("http://127.0.0.1:1/").unwrap()
    }

    #[test]
    fn urls() {
        let with_path = Http::parse("http://127.0.0.1:8080/a/b/").unwrap();
        assert_eq!((with_path.prefix.as_str(), with_path.address.port()), ("/a/b", 8080));
        assert_eq!(Http::parse("http://127.0.0.1").unwrap().address.port(), 80);
        assert_eq!(Http::parse("http://[::1]").unwrap().address.port(), 80);
        assert!(Http::parse("https://127.0.0.1").is_err());
        assert!(Http::parse("127.0.0.1:80").is_err());
    }

    #[test]
    fn heads_of_answers() {
        let check = |text: &str, expected: Result<Option<(usize, u64, u16, bool)>, &'static str>| {
            let got = server().head(text.as_bytes());
            assert_eq!(got.map(|head| head.map(|h| (h.len, h.body, h.status, h.keep))), expected, "{text}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", Ok(Some((38, 5, 200, true))));
        check(
            "HTTP/1.1 404 No\r\ncontent-length:0\r\nconnection: close\r\n\r\n",
            Ok(Some((56, 0, 404, false))),
        );
        check("HTTP/1.1 204 No\r\n\r\n", Ok(Some((19, 0, 204, true))));
        check("HTTP/1.1 200 OK\r\nContent-Le", Ok(None));
        check("HTTP/1.1 200 OK\r\n\r\n", Err("an answer without Content-Length"));
        check("SSH-2.0\r\n\r\n", Err("not HTTP/1.1"));
    }
}
