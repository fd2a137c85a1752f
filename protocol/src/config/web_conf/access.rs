//! Who may ask, and how often: the address of a client behind proxies, allowed and denied networks, requests per address.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::cors::CorsConf;
use super::referers::ReferersConf;
use crate::config::ini::Entry;
use crate::config::reader::KeyReader;

/// Rate that no site means: more than a request each microsecond.
const MAX_RATE: u32 = 1_000_000;

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessConf {
    /// Whose word about a client's address is taken.
    pub real_ip: RealIpConf,
    /// `http.allow` and `http.deny` in the order of the file; the first that fits decides, and none means yes.
    pub rules: Vec<AccessLine>,
    /// Requests per address, if they are limited.
    pub limit_req: Option<LimitReqConf>,
    /// Pages that may show the files, if not all may.
    pub referers: Option<ReferersConf>,
    /// Pages of other origins whose programs may read the files.
    pub cors: Option<CorsConf>,
}

/// Where the address of a client behind a proxy comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RealIpConf {
    /// `http.set_real_ip_from`: the proxies. Nobody else is believed.
    pub from: Vec<IpNet>,
    /// `http.real_ip_header`.
    pub header: RealIpHeader,
    /// `http.real_ip_recursive`: of several addresses, the last that is no proxy's counts, not simply the last.
    pub recursive: bool,
}

/// The header in which proxies tell the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RealIpHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `X-Real-IP`.
    XRealIp,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// One line of `http.allow` or `http.deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessLine {
    /// What it says.
    pub allows: bool,
    /// Whom it is about; `None` is everybody.
    pub net: Option<IpNet>,
}

/// Requests per address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitReqConf {
    /// Requests that an address may make each `per`.
    pub rate: u32,
    /// A second or a minute.
    pub per: Duration,
    /// Requests that may come at once beyond the rate.
    pub burst: u32,
    /// What others are answered: 429 or 503.
    pub status: u16,
}

impl AccessConf {
    pub(in crate::config) fn read(keys: &mut KeyReader<'_>) -> Self {
        Self { referers: ReferersConf::read(keys), ..Self::read_of_tracker(keys) }
    }

    /// Without what is about files in pages.
    pub(super) fn read_of_tracker(keys: &mut KeyReader<'_>) -> Self {
        Self {
            real_ip: RealIpConf::read(keys),
            rules: read_rules(keys),
            limit_req: read_limit_req(keys),
            referers: None,
            cors: CorsConf::read(keys),
        }
    }
}

impl RealIpConf {
    fn read(keys: &mut KeyReader<'_>) -> Self {
        let mut from = Vec::new();
        for entry in keys.all(&["http.set_real_ip_from"]) {
            from.extend(read_net(keys, entry));
        }
        let key = "http.real_ip_header";
        let header = match keys.text_or_none(key) {
            None => RealIpHeader::default(),
            Some(name) if name.eq_ignore_ascii_case("x-forwarded-for") => RealIpHeader::XForwardedFor,
            Some(name) if name.eq_ignore_ascii_case("x-real-ip") => RealIpHeader::XRealIp,
            Some(name) if name.eq_ignore_ascii_case("forwarded") => RealIpHeader::Forwarded,
            Some(other) => {
                keys.refuse(key, format_args!("'{other}' is not X-Forwarded-For, X-Real-IP or Forwarded"));
                RealIpHeader::default()
            }
        };
        if from.is_empty() && keys.is_given(key) {
            keys.warn(
                key,
                "no proxy is trusted, so it is not read; name the proxies by http.set_real_ip_from",
            );
        }
        Self { from, header, recursive: keys.flag("http.real_ip_recursive", false) }
    }
}

fn read_rules(keys: &mut KeyReader<'_>) -> Vec<AccessLine> {
    let mut rules: Vec<AccessLine> = Vec::new();
    for entry in keys.all(&["http.allow", "http.deny"]) {
        let allows = entry.name == "http.allow";
        if rules.last().is_some_and(|rule| rule.net.is_none()) {
            keys.warn_line(entry, "never looked at, since the line before it is about all");
        }
        if entry.value == "all" {
            rules.push(AccessLine { allows, net: None });
        } else if let Some(net) = read_net(keys, entry) {
            rules.push(AccessLine { allows, net: Some(net) });
        }
    }
    if let [.., last] = &rules[..]
        && rules.iter().all(|rule| rule.allows)
        && last.net.is_some()
    {
        keys.warn("http.allow", "without http.deny = all behind it, others are allowed too");
    }
    rules
}

/// An address or a network. Host bits are cleared with a warning, as in nginx.
fn read_net(keys: &mut KeyReader<'_>, entry: &Entry) -> Option<IpNet> {
    let text = entry.value.as_str();
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let Ok(net) = address.or_else(|_| text.parse::<IpNet>()) else {
        keys.refuse_line(entry, "neither an IP address nor a network; write such as 10.0.0.0/8, one a line");
        return None;
    };
    if net.trunc() != net {
        keys.warn_line(entry, format_args!("read as {}", net.trunc()));
    }
    Some(net.trunc())
}

/// nginx's words: `rate=100r/s burst=200`.
fn read_limit_req(keys: &mut KeyReader<'_>) -> Option<LimitReqConf> {
    let key = "http.limit_req";
    let status_key = "http.limit_req_status";
    let status = match keys.int(status_key, 429) {
        503 => 503,
        429 => 429,
        other => {
            keys.refuse(status_key, format_args!("{other} is neither 429 nor 503"));
            429
        }
    };
    let text = keys.text_or_none(key)?;
    let mut limit = LimitReqConf { rate: 0, per: Duration::from_secs(1), burst: 0, status };
    for word in text.split_ascii_whitespace() {
        let understood = match word.split_once('=') {
            Some(("rate", value)) => rate(value).map(|(rate, per)| (limit.rate, limit.per) = (rate, per)),
            Some(("burst", value)) => {
                value.parse().ok().filter(|burst| *burst <= MAX_RATE).map(|burst| limit.burst = burst)
            }
            // What is within the burst is served at once here.
            _ => (word == "nodelay").then_some(()),
        };
        if understood.is_none() {
            keys.refuse(key, format_args!("'{word}' is not understood; write such as rate=100r/s burst=200"));
            return None;
        }
    }
    if limit.rate == 0 {
        keys.refuse(key, "the rate is missing; write such as rate=100r/s burst=200");
        return None;
    }
    Some(limit)
}

/// `100r/s` or `30r/m`.
fn rate(text: &str) -> Option<(u32, Duration)> {
    let (number, per) = match text.strip_suffix("r/s") {
        Some(number) => (number, 1),
        None => (text.strip_suffix("r/m")?, 60),
    };
    let number = number.parse().ok().filter(|rate| (1..=MAX_RATE).contains(rate))?;
    Some((number, Duration::from_secs(per)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{refused, warned, web};
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_written_trusts_nobody_and_limits_nobody() {
        assert_eq!(web("").access, AccessConf::default());
    }

    #[test]
    fn proxies_are_networks() {
        let conf = web(
            "http.set_real_ip_from = 10.0.0.0/8\nhttp.set_real_ip_from = ::1\nhttp.set_real_ip_from=::ffff:192.0.2.1\n\
             http.real_ip_header = x-real-ip\nhttp.real_ip_recursive = on",
        );
        let from = vec![net("10.0.0.0/8"), net("::1/128"), net("192.0.2.1/32")];
        let expected = RealIpConf { from, header: RealIpHeader::XRealIp, recursive: true };
        assert_eq!(conf.access.real_ip, expected);
        for line in ["http.set_real_ip_from = proxy", "http.set_real_ip_from = 10.0.0.0/8 10.1.1.1"] {
            refused(line, "neither an IP address nor a network");
        }
        refused("http.real_ip_header = Via", "X-Real-IP");
        warned("http.real_ip_header = Forwarded", "no proxy is trusted");
        warned("http.set_real_ip_from = 10.1.2.3/8", "read as 10.0.0.0/8");
    }

    #[test]
    fn rules_keep_the_order_of_the_file() {
        let conf = web(
            "http.deny = 192.168.1.1\nhttp.allow = 192.168.1.0/24\nhttp.allow=2001:db8::/32\nhttp.deny = all",
        );
        let line = |allows, text: &str| AccessLine { allows, net: (text != "all").then(|| net(text)) };
        let expected = [
            line(false, "192.168.1.1/32"),
            line(true, "192.168.1.0/24"),
            line(true, "2001:db8::/32"),
            line(false, "all"),
        ];
        assert_eq!(conf.access.rules, expected);
        refused("http.deny = everybody", "neither an IP address nor a network");
        warned("http.deny = all\nhttp.allow = 10.0.0.1", "never looked at");
        warned("http.allow = 10.0.0.1", "others are allowed too");
    }

    #[test]
    fn rates_are_nginx_words() {
        let limit =
            |rate, per, burst, status| LimitReqConf { rate, per: Duration::from_secs(per), burst, status };
        for (text, expected) in [
            ("http.limit_req = rate=100r/s burst=200", limit(100, 1, 200, 429)),
            ("http.limit_req = rate=30r/m\nhttp.limit_req_status = 503", limit(30, 60, 0, 503)),
            ("http.limit_req = burst=5 rate=1r/s nodelay", limit(1, 1, 5, 429)),
        ] {
            assert_eq!(web(text).access.limit_req, Some(expected), "{text}");
        }
        for text in
            ["rate=0r/s", "rate=5", "burst=3", "zone=one rate=1r/s", "rate=1r/s burst=-1", "rate=9999999r/s"]
        {
            refused(&format!("http.limit_req = {text}"), "write such as rate=100r/s burst=200");
        }
        refused("http.limit_req = rate=1r/s\nhttp.limit_req_status = 200", "neither 429 nor 503");
    }
}
