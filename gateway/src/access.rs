//! Who may ask at all: allowed and denied networks, requests per address.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use protocol::config::web_conf::{AccessConf, AccessLine, RealIpConf};

use crate::limiter::Limiter;
use crate::problem::Problem;
use crate::refusal::{Refusal, refuse};

/// The rules of a site.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Whose word about a client's address is taken.
    pub(crate) real_ip: RealIpConf,
    rules: Vec<AccessLine>,
    limiter: Option<Arc<Limiter>>,
}

impl Access {
    pub(crate) fn new(conf: &AccessConf) -> Self {
        Self {
            real_ip: conf.real_ip.clone(),
            rules: conf.rules.clone(),
            limiter: conf.limit_req.as_ref().and_then(Limiter::new).map(Arc::new),
        }
    }

    /// Goes on with what is remembered of addresses, if the limit is still the same.
    pub(crate) fn keep(&mut self, before: &Self) {
        if let (Some(now), Some(before)) = (&mut self.limiter, &before.limiter)
            && now.is_like(before)
        {
            *now = Arc::clone(before);
        }
    }

    /// Whether everybody may, and nobody is believed to speak for another.
    pub(crate) fn is_plain(&self) -> bool {
        self.rules.is_empty() && self.limiter.is_none() && self.real_ip.from.is_empty()
    }

    /// Refuses a client that may not ask, or asks too often.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        if !permits(&self.rules, address) {
            let detail = "this address may not ask here; the site says so by http.allow and http.deny";
            return Err(refuse(Problem::new(StatusCode::FORBIDDEN, "address_denied", detail)));
        }
        self.limiter.as_ref().map_or(Ok(()), |limiter| limiter.check(address))
    }
}

/// The first line that fits decides; without one everybody may.
fn permits(rules: &[AccessLine], address: IpAddr) -> bool {
    let fits = |rule: &&AccessLine| rule.net.is_none_or(|net| net.contains(&address));
    rules.iter().find(fits).is_none_or(|rule| rule.allows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_decides() {
        let line = |allows, net: &str| AccessLine { allows, net: net.parse().ok() };
        let rules = [
            line(false, "192.168.1.1/32"),
            line(true, "192.168.1.0/24"),
            line(true, "2001:db8::/32"),
            line(false, "all"),
        ];
        for (address, expected) in [
            ("192.168.1.1", false),
            ("192.168.1.2", true),
            ("192.168.2.1", false),
            ("2001:db8::1", true),
            ("::1", false),
        ] {
            assert_eq!(permits(&rules, address.parse().unwrap()), expected, "{address}");
        }
        assert!(permits(&[], "192.0.2.1".parse().unwrap()));
        assert!(permits(&rules[..1], "192.0.2.1".parse().unwrap()));
    }
}
