//! Parameters of a query, taken strictly: a parameter that is known is right and there once, others do not count.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use gateway::problem::Problem;
use protocol::GroupName;

use super::problems::{bad_group_name, bad_parameter};

/// The pairs of a query.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Takes a query apart, as forms write it.
    pub(super) fn of(query: Option<&str>) -> Result<Self, Problem> {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).ok_or_else(|| bad_parameter("(a name)", "is no UTF-8"))?;
            let value = decoded(value).ok_or_else(|| bad_parameter(&name, "is no UTF-8"))?;
            Ok((name, value))
        });
        Ok(Self(pairs.collect::<Result<_, Problem>>()?))
    }

    fn get(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(bad_parameter(name, "is there more than once")),
            (value, None) => Ok(value),
        }
    }

    /// The name of a group.
    pub(super) fn group(&self) -> Result<Option<GroupName>, Problem> {
        self.get("group")?.map(parse_group).transpose()
    }

    /// A decimal number without a sign.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_decimal && range.contains(number));
        let why = || format!("has to be a whole number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| bad_parameter(name, &why()))
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let decoded = percent_encoding::percent_decode_str(&text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// A group's name in a path or a query.
pub(super) fn parse_group(text: &str) -> Result<GroupName, Problem> {
    GroupName::parse(text).map_err(|_| bad_group_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_in_range_and_there_once() {
        let number = |query: &str| {
            Params::of(Some(query))
                .and_then(|params| params.number("n", 1..=100))
                .map_err(|problem| problem.status())
        };
        for (query, expected) in
            [("", None), ("m=7", None), ("n=1", Some(1)), ("n=100&x=%41", Some(100)), ("%6E=5", Some(5))]
        {
            assert_eq!(number(query).ok(), Some(expected), "{query}");
        }
        for query in [
            "n=",
            "n",
            "n=0",
            "n=101",
            "n=-1",
            "n=%2B1",
            "n=1.0",
            "n=1&n=1",
            "n=99999999999999999999",
            "n=%FF",
            "n=null",
        ] {
            assert!(number(query).is_err(), "{query}");
        }
    }

    #[test]
    fn groups() {
        let group = |query: &str| Params::of(Some(query)).and_then(|params| params.group());
        assert_eq!(group("group=group1").ok().flatten(), GroupName::parse("group1").ok());
        for query in ["group=", "group=a-b", "group=a&group=b", "group=aaaaaaaaaaaaaaaaa"] {
            assert!(group(query).is_err(), "{query}");
        }
    }
}
