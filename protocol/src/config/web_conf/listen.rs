//! `http.listen`: one line a listener, in nginx's words.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::reader::KeyReader;

/// A listener of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenOn {
    /// Where.
    pub address: SocketAddr,
    /// `ssl`: by TLS only.
    pub ssl: bool,
    /// `proxy_protocol`: each connection begins with a header of the PROXY protocol, from a proxy in front.
    pub proxy_protocol: bool,
}

impl ListenOn {
    /// A listener of clear text.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, ssl: false, proxy_protocol: false }
    }

    /// Reads a value such as `0.0.0.0:8888`, `8443 ssl` or `[::]:8888 proxy_protocol`, with the words that have no effect
    /// here.
    fn parse(text: &str) -> Result<(Self, Vec<&str>), String> {
        let mut words = text.split_ascii_whitespace();
        let place = words.next().unwrap_or_default();
        let address = parse_address(place).ok_or_else(|| {
            format!("'{place}' is no address and port; write such as 0.0.0.0:8888 or [::]:8888")
        })?;
        let mut listener = Self::plain(address);
        let mut unused = Vec::new();
        for word in words {
            match word {
                "ssl" => listener.ssl = true,
                "proxy_protocol" => listener.proxy_protocol = true,
                "http2" | "default_server" | "reuseport" | "deferred" | "ipv6only=on" => unused.push(word),
                _ if word.starts_with("backlog=") || word.starts_with("so_keepalive=") => unused.push(word),
                _ => return Err(format!("'{word}' is not known; write ssl or proxy_protocol")),
            }
        }
        Ok((listener, unused))
    }

    /// All listeners of `http.listen`, empty if it is not given.
    pub(in super::super) fn read(keys: &mut KeyReader<'_>) -> Vec<Self> {
        let key = "http.listen";
        let mut listeners: Vec<Self> = Vec::new();
        let entries: Vec<_> = keys.ini.all("", key).collect();
        for entry in entries {
            for text in entry.value.split(',').map(str::trim).filter(|text| !text.is_empty()) {
                let message = match Self::parse(text) {
                    Err(why) => why,
                    Ok((listener, _)) if listeners.iter().any(|known| known.address == listener.address) => {
                        format!("{} is there twice", listener.address)
                    }
                    Ok((listener, unused)) => {
                        listeners.push(listener);
                        for word in unused {
                            let why = format!("{key}: '{word}' has no effect here; remove it");
                            keys.found.warn(&entry.place, why);
                        }
                        continue;
                    }
                };
                keys.found.error(&entry.place, format!("{key}: {message}"));
            }
        }
        if listeners.iter().any(|listener| listener.ssl) && !keys.is_given("http.ssl_certificate") {
            keys.refuse(key, "ssl needs http.ssl_certificate and http.ssl_certificate_key");
        }
        if listeners.iter().any(|listener| listener.proxy_protocol) && !keys.is_given("http.set_real_ip_from")
        {
            keys.warn(key, "nobody is believed by proxy_protocol; name the proxies by http.set_real_ip_from");
        }
        listeners
    }
}

/// nginx also takes a port alone, and `*` for all addresses.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let port = text.strip_prefix("*:").unwrap_or(text);
    let any = |port| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let address = text.parse().ok().or_else(|| port.parse().ok().map(any))?;
    (address.port() != 0).then_some(address)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::ListenOn;
    use crate::config::{LocalFacts, StorageConf};

    fn read(lines: &str) -> Result<Vec<String>, String> {
        let text =
            format!("tracker_server = 10.0.0.1:22122\nbase_path = /tmp\ngroup_name = group1\n{lines}\n");
        let facts = LocalFacts::none();
        let conf = StorageConf::parse(&text, Path::new("storage.conf"), &facts);
        let (conf, _) = conf.map_err(|error| error.to_string())?;
        let show = |on: ListenOn| {
            let flag = |is, name: &str| if is { format!(" {name}") } else { String::new() };
            format!("{}{}{}", on.address, flag(on.ssl, "ssl"), flag(on.proxy_protocol, "proxy_protocol"))
        };
        Ok(conf.http.listeners(&facts).into_iter().map(show).collect())
    }

    const PAIR: &str = "http.ssl_certificate = a.pem\nhttp.ssl_certificate_key = a.key\n";

    #[test]
    fn without_the_key_the_port_counts() {
        assert_eq!(read("http.server_port = 80").unwrap(), ["0.0.0.0:80"]);
        assert!(read("http.server_port = 0").unwrap().is_empty());
    }

    #[test]
    fn lines_and_lists_are_read_in_nginx_words() {
        for (lines, expected) in [
            ("http.listen = 8888", &["0.0.0.0:8888"][..]),
            ("http.listen = *:8888\nhttp.server_port = 80", &["0.0.0.0:8888"]),
            ("http.listen = 0.0.0.0:8888\nhttp.listen = [::]:8888", &["0.0.0.0:8888", "[::]:8888"]),
            ("http.listen = 8443 ssl http2 default_server", &["0.0.0.0:8443 ssl"]),
            (
                "http.listen = 127.0.0.1:81 proxy_protocol, [::1]:82 ssl proxy_protocol",
                &["127.0.0.1:81 proxy_protocol", "[::1]:82 ssl proxy_protocol"],
            ),
        ] {
            assert_eq!(read(&format!("{PAIR}{lines}")).unwrap(), expected, "{lines}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "http.listen = localhost:80",
            "http.listen = 10.0.0.1",
            "http.listen = 0",
            "http.listen = 70000",
            "http.listen = 80 tls",
            "http.listen = 80, 80",
            "http.listen = 80\nhttp.listen = 0.0.0.0:80",
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains("http.listen"), "{line}: {error}");
        }
        let error = read("http.listen = 443 ssl").expect_err("no certificate");
        assert!(error.contains("http.ssl_certificate"), "{error}");
    }
}
