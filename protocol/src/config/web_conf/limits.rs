//! What HTTP connections may take: how long, how large, how many. Names and defaults are nginx's where it has them.

use std::time::Duration;

use super::super::reader::KeyReader;
use super::super::value::parse_bytes;

/// Bounds of a request head. Below, browsers with cookies fail; above, every connection could hold a megabyte.
const HEAD: (u64, u64) = (4 << 10, 1 << 20);

/// Limits of HTTP connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConf {
    /// `http.client_header_timeout`: longest time for a request head, from its first byte.
    pub client_header_timeout: Duration,
    /// `http.client_body_timeout`: longest silence of a client that sends a body; unset, it is `network_timeout`.
    pub client_body_timeout: Option<Duration>,
    /// `http.send_timeout`: longest time in which a reader takes nothing.
    pub send_timeout: Duration,
    /// `http.keepalive_timeout`: longest wait for the next request; `None` (written 0) answers one request a connection.
    pub keepalive_timeout: Option<Duration>,
    /// `http.keepalive_requests`: requests of one connection; 0 is no limit.
    pub keepalive_requests: u32,
    /// `http.large_client_header_buffers`: largest request head, bytes; the product of nginx's two numbers.
    pub max_head: usize,
    /// `http.max_uri`: longest request target, bytes.
    pub max_uri: usize,
    /// `http.client_max_body_size`: largest body of a request, bytes; 0 is no limit.
    pub client_max_body_size: u64,
    /// `http.max_connections`: connections at once, of all listeners.
    pub max_connections: usize,
    /// `http.limit_conn`: connections at once from one address (from one /64 with IPv6); 0 is no limit.
    pub limit_conn: u32,
    /// `http.backlog`: connections that the kernel holds until they are accepted.
    pub backlog: u32,
}

impl Default for LimitsConf {
    fn default() -> Self {
        Self {
            client_header_timeout: Duration::from_secs(60),
            client_body_timeout: None,
            send_timeout: Duration::from_secs(60),
            keepalive_timeout: Some(Duration::from_secs(75)),
            keepalive_requests: 1000,
            max_head: 32 << 10,
            max_uri: 16 << 10,
            client_max_body_size: 0,
            max_connections: 16_384,
            limit_conn: 0,
            backlog: 4096,
        }
    }
}

impl LimitsConf {
    pub(in super::super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let body_timeout = "http.client_body_timeout";
        let keepalive = keys.seconds_or_zero("http.keepalive_timeout", 75);
        let max_head = read_max_head(keys);
        Self {
            client_header_timeout: keys.seconds("http.client_header_timeout", 60),
            client_body_timeout: keys.is_given(body_timeout).then(|| keys.seconds(body_timeout, 60)),
            send_timeout: keys.seconds("http.send_timeout", 60),
            keepalive_timeout: (!keepalive.is_zero()).then_some(keepalive),
            keepalive_requests: keys.count("http.keepalive_requests", 1000),
            max_head,
            max_uri: read_max_uri(keys, max_head),
            client_max_body_size: keys.bytes("http.client_max_body_size", 0),
            max_connections: usize::try_from(keys.positive("http.max_connections", 16_384))
                .unwrap_or(usize::MAX),
            limit_conn: keys.count("http.limit_conn", 0),
            backlog: keys.positive("http.backlog", 4096),
        }
    }
}

/// nginx's `4 8k`: a number of buffers and the size of each.
fn read_max_head(keys: &mut KeyReader<'_>) -> usize {
    let key = "http.large_client_header_buffers";
    let default = LimitsConf::default().max_head;
    let Some(text) = keys.text_or_none(key) else { return default };
    let product = || {
        let (number, size) = text.split_once([' ', '\t'])?;
        let size = parse_bytes(size.trim()).ok()?.value;
        number.parse::<u32>().ok().and_then(|number| size.checked_mul(u64::from(number)))
    };
    let Some(bytes) = product() else {
        keys.refuse(key, format_args!("'{text}' is not a number and a size; write such as 4 8k"));
        return default;
    };
    usize::try_from(keys.clamp(key, bytes, HEAD.0, HEAD.1)).unwrap_or(default)
}

fn read_max_uri(keys: &mut KeyReader<'_>, max_head: usize) -> usize {
    let max = u64::try_from(max_head).unwrap_or(HEAD.1);
    let default = (16 << 10).min(max / 2);
    usize::try_from(keys.bytes_within("http.max_uri", default, 512, max)).unwrap_or(max_head)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::LimitsConf;
    use crate::config::{LocalFacts, StorageConf};

    fn read(lines: &str) -> Result<LimitsConf, String> {
        let text =
            format!("tracker_server = 10.0.0.1:22122\nbase_path = /tmp\ngroup_name = group1\n{lines}\n");
        let facts = LocalFacts::none();
        let read = StorageConf::parse(&text, Path::new("storage.conf"), &facts);
        read.map(|(conf, _)| conf.web.limits).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_written_gives_the_defaults() {
        assert_eq!(read("").unwrap(), LimitsConf::default());
    }

    #[test]
    fn keys_are_read_in_nginx_units() {
        let conf = read(
            "http.client_header_timeout = 10s\nhttp.client_body_timeout = 120\nhttp.send_timeout = 5\n\
             http.keepalive_timeout = 0\nhttp.keepalive_requests = 0\nhttp.large_client_header_buffers = 8 16k\n\
             http.max_uri = 8k\nhttp.client_max_body_size = 1g\nhttp.max_connections = 10\nhttp.limit_conn = 3\n\
             http.backlog = 511",
        );
        let expected = LimitsConf {
            client_header_timeout: Duration::from_secs(10),
            client_body_timeout: Some(Duration::from_secs(120)),
            send_timeout: Duration::from_secs(5),
            keepalive_timeout: None,
            keepalive_requests: 0,
            max_head: 128 << 10,
            max_uri: 8 << 10,
            client_max_body_size: 1 << 30,
            max_connections: 10,
            limit_conn: 3,
            backlog: 511,
        };
        assert_eq!(conf.unwrap(), expected);
    }

    #[test]
    fn a_small_head_makes_room_for_a_small_target_only() {
        let conf = read("http.large_client_header_buffers = 1 8k").unwrap();
        assert_eq!((conf.max_head, conf.max_uri), (8 << 10, 4 << 10));
        let conf = read("http.large_client_header_buffers = 1 1k").unwrap();
        assert_eq!(conf.max_head, 4 << 10, "less is no use");
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "http.large_client_header_buffers = 8k",
            "http.large_client_header_buffers = many 8k",
            "http.large_client_header_buffers = 4 8x",
            "http.max_connections = 0",
            "http.backlog = -1",
            "http.client_max_body_size = big",
        ] {
            let key = line.split(' ').next().unwrap();
            let error = read(line).expect_err(line);
            assert!(error.contains(key), "{line}: {error}");
        }
    }
}
