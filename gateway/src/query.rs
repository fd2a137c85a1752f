//! The query of a URL, as FastDFS's links use it: the first of equal keys counts, `+` is a blank in values.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Pairs that are looked at, as in the nginx module.
const MAX_PAIRS: usize = 32;

/// A query string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryString<'a>(&'a str);

impl<'a> QueryString<'a> {
    pub(crate) fn of(uri: &'a http::Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// Whether a key is there, whatever its value.
    pub(crate) fn has(self, key: &str) -> bool {
        self.0.split('&').take(MAX_PAIRS).any(|pair| pair.split('=').next() == Some(key))
    }

    /// The decoded value of a key; `None` if it is missing or no UTF-8.
    pub(crate) fn get(self, key: &str) -> Option<Cow<'a, str>> {
        let pairs = self.0.split('&').take(MAX_PAIRS).filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(name, _)| *name == key)?;
        if value.contains('+') {
            let spaced = value.replace('+', " ");
            return percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()));
        }
        percent_decode_str(value).decode_utf8().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_the_first_counts() {
        let query = QueryString("a=1&b=x%20y+z&a=2&c&=d&e=%FF&f=");
        for (key, value) in
            [("a", Some("1")), ("b", Some("x y z")), ("c", None), ("e", None), ("f", Some("")), ("g", None)]
        {
            assert_eq!(query.get(key).as_deref(), value, "{key}");
        }
        for (key, is_there) in [("a", true), ("c", true), ("e", true), ("g", false), ("x", false), ("", true)]
        {
            assert_eq!(query.has(key), is_there, "{key}");
        }
    }
}
