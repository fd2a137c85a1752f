//! Which coding a client gets (RFC 9110, 12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A content coding, the best first: where a client likes several equally, the first that is on is taken. At their
/// default levels Zstandard makes text as small as the others in a third of their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    pub(super) const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// The name in headers, and what entity tags end with.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// Weights of a client, in thousandths; none is said of what it does not name.
#[derive(Debug, Default)]
struct Weights {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    any: Option<u16>,
}

/// The coding of those that are `on` that the client likes best; none if it likes the content as it is better.
pub(super) fn choose(headers: &HeaderMap, on: impl Fn(Coding) -> bool) -> Option<Coding> {
    let mut weights = Weights::default();
    for value in headers.get_all(ACCEPT_ENCODING) {
        for element in value.to_str().unwrap_or_default().split(',') {
            weights.add(element);
        }
    }
    let mut best = None;
    let mut best_weight = weights.identity.unwrap_or(0).max(1);
    for (coding, own) in Coding::ALL.into_iter().zip(weights.codings) {
        let weight = own.or(weights.any).unwrap_or(0);
        let is_better = if best.is_none() { weight >= best_weight } else { weight > best_weight };
        if on(coding) && is_better {
            (best, best_weight) = (Some(coding), weight);
        }
    }
    best
}

impl Weights {
    fn add(&mut self, element: &str) {
        let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
        let name = name.trim();
        let Some(weight) = weight(parameters) else { return };
        let is = |text: &str| name.eq_ignore_ascii_case(text);
        let place = if is("*") {
            &mut self.any
        } else if is("identity") {
            &mut self.identity
        } else {
            let known = Coding::ALL.into_iter().position(|coding| is(coding.name()));
            // RFC 9110, 8.4.1.3: an old name of gzip.
            let known = known.or_else(|| is("x-gzip").then_some(Coding::ALL.len() - 1));
            match known.and_then(|at| self.codings.get_mut(at)) {
                Some(place) => place,
                None => return,
            }
        };
        *place = Some(weight);
    }
}

/// The weight among parameters, 1000 without one; nothing if it is none (RFC 9110, 12.4.2).
fn weight(parameters: &str) -> Option<u16> {
    let parameters = parameters.trim();
    if parameters.is_empty() {
        return Some(1000);
    }
    let (name, value) = parameters.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let value = value.trim();
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let is_number = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "0" if is_number => format!("{part:0<3}").parse().ok(),
        "1" if is_number && part.bytes().all(|byte| byte == b'0') => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_coding_is_the_one_that_the_client_likes_best() {
        let check = |accept: &str, all: Option<Coding>, gzip_only: Option<Coding>| {
            let mut headers = HeaderMap::new();
            for line in accept.split('|') {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(choose(&headers, |_| true), all, "{accept}");
            assert_eq!(choose(&headers, |coding| coding == Coding::Gzip), gzip_only, "{accept}");
        };
        let (zstd, brotli, gzip) = (Some(Coding::Zstd), Some(Coding::Brotli), Some(Coding::Gzip));
        check("", None, None);
        check("gzip, deflate, br, zstd", zstd, gzip);
        check("gzip, deflate, br", brotli, gzip);
        check("gzip|br", brotli, gzip);
        check("GZIP", gzip, gzip);
        check("x-gzip", gzip, gzip);
        check("deflate", None, None);
        check("br;q=0.5, gzip;q=0.8", gzip, gzip);
        check("br;q=0.001, gzip;q=0", brotli, None);
        check("*", zstd, gzip);
        check("*;q=0.1, gzip;q=0", zstd, None);
        check("gzip;q=0.5, *;q=0", gzip, gzip);
        check("identity, gzip;q=0.5", None, None);
        check("identity;q=0.5, gzip;q=0.5", gzip, gzip);
        check("identity;q=0", None, None);
        check("gzip;q=1.5, br;q=0.1234, zstd;level=3", None, None);
        check("gzip ; Q=0.300", gzip, gzip);
        check(",, gzip,", gzip, gzip);
    }

    #[test]
    fn a_client_that_says_nothing_gets_the_content_as_it_is() {
        assert_eq!(choose(&HeaderMap::new(), |_| true), None);
    }
}
