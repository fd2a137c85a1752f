//! Keys that trackers and storages share: addresses, limits, access, logs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::allow_hosts::AllowHosts;
use super::local_facts::LocalFacts;
use super::log_conf::{LogConf, LogLevel};
use super::reader::KeyReader;
use super::web_conf::ListenOn;

const KIB: u64 = 1 << 10;
/// Smallest thread stack and buffer of the reference, and its largest stack.
const MIN_STACK: u64 = 64 * KIB;
const MAX_STACK: u64 = 2 << 30;
const MIN_BUFFER: u64 = 8 * KIB;

/// Which address families are listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressFamily {
    /// Those of the bound addresses; without any, IPv4 if the host has it, else IPv6.
    #[default]
    Auto,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Both,
}

/// Addresses and ports to listen on. A daemon has an inner and an outer pair; they are equal unless the
/// `inner_*` and `outer_*` keys say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// `inner_bind_addr`, or `bind_addr`: at most one of each family; empty means all addresses.
    pub inner_bind_addr: Vec<IpAddr>,
    /// `outer_bind_addr`, or `bind_addr`.
    pub outer_bind_addr: Vec<IpAddr>,
    /// `inner_port`, or `port`. The port that a storage reports to its trackers.
    pub inner_port: u16,
    /// `outer_port`, or `port`.
    pub outer_port: u16,
    /// `address_family`.
    pub address_family: AddressFamily,
}

impl Listen {
    /// Socket addresses to listen on. An IPv6 socket should be bound for IPv6 only.
    pub fn sockets(&self, facts: &LocalFacts) -> Vec<SocketAddr> {
        let (v4, v6) = self.families(facts);
        let mut sockets = Vec::new();
        for (wanted, is_v4, any) in
            [(v4, true, IpAddr::V4(Ipv4Addr::UNSPECIFIED)), (v6, false, IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
        {
            if !wanted {
                continue;
            }
            let of_family = |addresses: &[IpAddr]| addresses.iter().copied().find(|ip| ip.is_ipv4() == is_v4);
            let (inner, outer) = (of_family(&self.inner_bind_addr), of_family(&self.outer_bind_addr));
            if self.inner_port == self.outer_port && (inner.is_none() || outer.is_none()) {
                sockets.push(SocketAddr::new(any, self.inner_port));
                continue;
            }
            sockets.push(SocketAddr::new(inner.unwrap_or(any), self.inner_port));
            let outer = SocketAddr::new(outer.unwrap_or(any), self.outer_port);
            if !sockets.contains(&outer) {
                sockets.push(outer);
            }
        }
        sockets
    }

    /// The address to bind outgoing sockets to, where one of this family is given.
    pub fn outgoing(&self, peer: IpAddr) -> Option<IpAddr> {
        self.inner_bind_addr.iter().copied().find(|ip| ip.is_ipv4() == peer.is_ipv4())
    }

    fn families(&self, facts: &LocalFacts) -> (bool, bool) {
        match self.address_family {
            AddressFamily::V4 => (true, false),
            AddressFamily::V6 => (false, true),
            AddressFamily::Both => (true, true),
            AddressFamily::Auto => {
                let bound = |v4| {
                    self.inner_bind_addr.iter().chain(&self.outer_bind_addr).any(|ip| ip.is_ipv4() == v4)
                };
                match (bound(true), bound(false)) {
                    (false, false) => {
                        // A host without any known address is taken for one with IPv4.
                        let v4 = facts.addresses.is_empty() || facts.addresses.iter().any(IpAddr::is_ipv4);
                        (v4, !v4)
                    }
                    bound => bound,
                }
            }
        }
    }

    fn read(keys: &mut KeyReader<'_>, default_port: u16) -> Self {
        let mut inner_bind_addr = keys.bind_addresses("inner_bind_addr");
        let mut outer_bind_addr = keys.bind_addresses("outer_bind_addr");
        if !keys.is_given("inner_bind_addr") && !keys.is_given("outer_bind_addr") {
            inner_bind_addr = keys.bind_addresses("bind_addr");
            outer_bind_addr.clone_from(&inner_bind_addr);
        }
        let pair = keys.is_given("inner_port") || keys.is_given("outer_port");
        let (inner_port, outer_port) = if pair {
            (keys.port("inner_port", default_port), keys.port("outer_port", default_port))
        } else {
            let port = keys.port("port", default_port);
            (port, port)
        };
        let address_family = match keys.text("address_family").unwrap_or("auto") {
            text if text.eq_ignore_ascii_case("auto") => AddressFamily::Auto,
            text if text.eq_ignore_ascii_case("ipv4") => AddressFamily::V4,
            text if text.eq_ignore_ascii_case("ipv6") => AddressFamily::V6,
            text if text.eq_ignore_ascii_case("both") => AddressFamily::Both,
            text => {
                keys.refuse("address_family", format_args!("'{text}' is not auto, IPv4, IPv6 or both"));
                AddressFamily::Auto
            }
        };
        Self { inner_bind_addr, outer_bind_addr, inner_port, outer_port, address_family }
    }
}

/// Where HTTP is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpListen {
    /// `http.server_port`; `None` (written 0) serves no HTTP. With `http.listen`, the first of its ports for clear text.
    pub server_port: Option<u16>,
    /// `http.bind_addr`, or `bind_addr`; empty means all addresses.
    pub bind_addr: Vec<IpAddr>,
    address_family: AddressFamily,
    /// `http.listen`; where it is written, it alone counts.
    pub listen: Vec<ListenOn>,
}

impl HttpListen {
    /// What to listen on; nothing if HTTP is off.
    pub fn listeners(&self, facts: &LocalFacts) -> Vec<ListenOn> {
        if self.listen.is_empty() {
            return self.sockets(facts).into_iter().map(ListenOn::plain).collect();
        }
        self.listen.clone()
    }

    /// The sockets of `http.server_port` and `http.bind_addr`.
    pub fn sockets(&self, facts: &LocalFacts) -> Vec<SocketAddr> {
        let Some(port) = self.server_port else { return Vec::new() };
        let listen = Listen {
            inner_bind_addr: self.bind_addr.clone(),
            outer_bind_addr: self.bind_addr.clone(),
            inner_port: port,
            outer_port: port,
            address_family: self.address_family,
        };
        listen.sockets(facts)
    }

    /// For a process that serves nothing else.
    pub(super) fn read_alone(keys: &mut KeyReader<'_>, default_port: u16) -> Self {
        let listen = Listen {
            inner_bind_addr: Vec::new(),
            outer_bind_addr: Vec::new(),
            inner_port: default_port,
            outer_port: default_port,
            address_family: AddressFamily::Auto,
        };
        let http = Self::read(keys, &listen, default_port);
        if http.server_port.is_none() {
            keys.refuse("http.server_port", "0 serves no HTTP, and there is nothing else to serve");
        }
        http
    }

    pub(super) fn read(keys: &mut KeyReader<'_>, listen: &Listen, default_port: u16) -> Self {
        let value = keys.int("http.server_port", i64::from(default_port));
        let port = u16::try_from(value).unwrap_or_else(|_| {
            keys.refuse(
                "http.server_port",
                format_args!("{value} is no port; write 1 to 65535, or 0 for no HTTP"),
            );
            default_port
        });
        let own = keys.bind_addresses("http.bind_addr");
        let bind_addr = if own.is_empty() { listen.inner_bind_addr.clone() } else { own };
        let on = ListenOn::read(keys);
        let clear = on.iter().find(|on| !on.ssl && !on.proxy_protocol).map(|on| on.address.port());
        let server_port = if on.is_empty() { (port != 0).then_some(port) } else { clear };
        Self { server_port, bind_addr, address_family: listen.address_family, listen: on }
    }
}

/// Keys that size the C processes. Read and checked; use them as hints or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// Accepting threads.
    pub accept_threads: u32,
    /// Network threads.
    pub work_threads: u32,
    /// Bytes of a buffer.
    pub buff_size: u64,
    /// Bytes of a new buffer.
    pub min_buff_size: u64,
    /// Bytes that a buffer grows to.
    pub max_buff_size: u64,
    /// Bytes of a thread's stack.
    pub thread_stack_size: u64,
    /// `TCP_QUICKACK`.
    pub tcp_quick_ack: bool,
    /// io_uring instead of epoll.
    pub use_io_uring: bool,
    /// Zero-copy sends with io_uring.
    pub use_send_zc: bool,
}

impl Tuning {
    fn read(keys: &mut KeyReader<'_>) -> Self {
        let buff_size = keys.bytes_within("buff_size", 256 * KIB, MIN_BUFFER, MAX_STACK);
        let both = keys.is_given("min_buff_size") && keys.is_given("max_buff_size");
        let (min_buff_size, max_buff_size) = if both {
            let min = keys.bytes_within("min_buff_size", buff_size, 4 * KIB, MAX_STACK);
            let max = keys.bytes_within("max_buff_size", buff_size, MIN_BUFFER, MAX_STACK);
            (min, max.max(buff_size))
        } else {
            (buff_size, buff_size)
        };
        Self {
            accept_threads: keys.positive("accept_threads", 1),
            work_threads: keys.positive("work_threads", 4),
            buff_size,
            min_buff_size,
            max_buff_size,
            thread_stack_size: keys.bytes_within("thread_stack_size", 256 * KIB, MIN_STACK, MAX_STACK),
            tcp_quick_ack: keys.flag("tcp_quick_ack", true),
            use_io_uring: keys.flag("use_io_uring", false),
            use_send_zc: keys.flag("use_send_zc", true),
        }
    }
}

/// Keys of both daemons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonConf {
    /// Directory of `data/` and `logs/`.
    pub base_path: PathBuf,
    /// Addresses and ports of the native service.
    pub listen: Listen,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// Limit for each read or write.
    pub network_timeout: Duration,
    /// Connections at a time.
    pub max_connections: u32,
    /// Effective group after binding.
    pub run_by_group: Option<String>,
    /// Effective user after binding.
    pub run_by_user: Option<String>,
    /// Who may connect to the native service.
    pub allow_hosts: AllowHosts,
    /// Keep outgoing connections.
    pub use_connection_pool: bool,
    /// How long an unused one is kept.
    pub connection_pool_max_idle_time: Duration,
    /// Least level that is logged.
    pub log_level: LogLevel,
    /// The daemon's own log.
    pub error_log: LogConf,
    /// Keys without effect here.
    pub tuning: Tuning,
}

impl DaemonConf {
    /// Native port: the one that peers are told.
    pub fn port(&self) -> u16 {
        self.listen.inner_port
    }

    pub(super) fn read(
        keys: &mut KeyReader<'_>,
        facts: &LocalFacts,
        default_port: u16,
        default_network_timeout: u32,
    ) -> Self {
        let use_connection_pool = keys.flag("use_connection_pool", false);
        Self {
            base_path: read_base_path(keys),
            listen: Listen::read(keys, default_port),
            connect_timeout: keys.seconds("connect_timeout", 10),
            network_timeout: keys.seconds("network_timeout", default_network_timeout),
            max_connections: keys.positive("max_connections", 256),
            run_by_group: keys.text_or_none("run_by_group").map(str::to_owned),
            run_by_user: keys.text_or_none("run_by_user").map(str::to_owned),
            allow_hosts: AllowHosts::read(keys.ini.all("", "allow_hosts"), facts, keys.found),
            use_connection_pool,
            connection_pool_max_idle_time: keys.seconds("connection_pool_max_idle_time", 3600),
            log_level: LogLevel::read(keys),
            error_log: LogConf::read_error_log(keys),
            tuning: Tuning::read(keys),
        }
    }
}

/// `base_path` is required: the reference's fallback, `/tmp`, loses a cluster's state with the next reboot.
pub(super) fn read_base_path(keys: &mut KeyReader<'_>) -> PathBuf {
    keys.path("base_path").unwrap_or_else(|| {
        keys.refuse("base_path", "missing; write the directory that holds this daemon's data and logs");
        PathBuf::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Diagnostics;
    use crate::config::ini::Ini;
    use crate::config::schema::Files;
    use std::path::Path;

    fn check(text: &str, expected: &[&str]) {
        let mut found = Diagnostics::default();
        let facts = LocalFacts { addresses: vec!["10.0.0.9".parse().unwrap()], ..LocalFacts::none() };
        let ini = Ini::parse(text, Path::new("t"), &facts, &mut found);
        let listen = Listen::read(&mut KeyReader::new(&ini, Files::TRACKER, &mut found), 22122);
        let sockets: Vec<String> = listen.sockets(&facts).iter().map(SocketAddr::to_string).collect();
        assert_eq!(sockets, expected, "{text}");
    }

    #[test]
    fn sockets_to_listen_on() {
        check("", &["0.0.0.0:22122"]);
        check("bind_addr =\nport = 7", &["0.0.0.0:7"]);
        check("port = 0", &["0.0.0.0:22122"]);
        check("bind_addr = 127.0.1.1", &["127.0.1.1:22122"]);
        check("bind_addr = ::1", &["[::1]:22122"]);
        check("bind_addr = 10.0.0.1,::1", &["10.0.0.1:22122", "[::1]:22122"]);
        check("address_family = both", &["0.0.0.0:22122", "[::]:22122"]);
        check("address_family = IPV6", &["[::]:22122"]);
        check("bind_addr = 10.0.0.1,::1\naddress_family = IPv4", &["10.0.0.1:22122"]);
        check("inner_bind_addr = 10.0.0.1\nouter_bind_addr = 1.2.3.4", &["10.0.0.1:22122", "1.2.3.4:22122"]);
        check("inner_bind_addr = 10.0.0.1\nbind_addr = 10.0.0.2", &["0.0.0.0:22122"]);
        check("inner_port = 7", &["0.0.0.0:7", "0.0.0.0:22122"]);
        check("inner_port = 7\nouter_port = 8\nbind_addr = 10.0.0.1", &["10.0.0.1:7", "10.0.0.1:8"]);
    }
}
