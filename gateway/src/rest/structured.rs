//! Dictionaries of structured fields (RFC 9651), as far as digests need them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Most members of a dictionary.
const MAX_MEMBERS: usize = 64;

/// A value, without its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// `:base64:`
    Bytes(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// Of another kind.
    Other,
}

/// The members of a dictionary in order, of equal keys the last; `None` if it is none.
pub(crate) fn dictionary(text: &str) -> Option<Vec<(String, Value)>> {
    let mut rest = text.trim_matches([' ', '\t']);
    let mut members: Vec<(String, Value)> = Vec::new();
    while !rest.is_empty() {
        let (key, after) = key(rest)?;
        let (value, after) = match after.strip_prefix('=') {
            Some(value) => item_or_list(value)?,
            None => (Value::Other, after),
        };
        let after = parameters(after)?.trim_start_matches([' ', '\t']);
        members.retain(|(other, _)| other != key);
        if members.len() == MAX_MEMBERS {
            return None;
        }
        members.push((key.to_owned(), value));
        if after.is_empty() {
            break;
        }
        rest = after.strip_prefix(',')?.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return None;
        }
    }
    Some(members)
}

fn key(text: &str) -> Option<(&str, &str)> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_lowercase() || first == b'*') {
        return None;
    }
    let is_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte);
    let end = text.bytes().position(|byte| !is_key(byte)).unwrap_or(text.len());
    Some(text.split_at(end))
}

fn item_or_list(text: &str) -> Option<(Value, &str)> {
    let Some(mut rest) = text.strip_prefix('(') else { return item(text) };
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(after) = rest.strip_prefix(')') {
            return Some((Value::Other, after));
        }
        let (_, after) = item(rest)?;
        rest = parameters(after)?;
        if !rest.starts_with([' ', ')']) {
            return None;
        }
    }
}

fn item(text: &str) -> Option<(Value, &str)> {
    match text.bytes().next()? {
        b':' => {
            let (inside, after) = text[1..].split_once(':')?;
            Some((Value::Bytes(STANDARD.decode(inside).ok()?), after))
        }
        b'"' => {
            let mut escaped = false;
            for (at, byte) in text.bytes().enumerate().skip(1) {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => return Some((Value::Other, &text[at + 1..])),
                    b' '..=b'~' => {}
                    _ => return None,
                }
            }
            None
        }
        b'?' => text.get(..2).filter(|flag| matches!(*flag, "?0" | "?1")).map(|_| (Value::Other, &text[2..])),
        b'-' | b'0'..=b'9' => {
            let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'-';
            let end = text.bytes().position(|byte| !is_number(byte)).unwrap_or(text.len());
            let (number, after) = text.split_at(end);
            match number.parse::<i64>() {
                Ok(integer) => Some((Value::Integer(integer), after)),
                Err(_) => number.parse::<f64>().is_ok().then_some((Value::Other, after)),
            }
        }
        byte if byte.is_ascii_alphabetic() || byte == b'*' => {
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
            let end = text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len());
            Some((Value::Other, &text[end..]))
        }
        _ => None,
    }
}

fn parameters(mut text: &str) -> Option<&str> {
    while let Some(after) = text.strip_prefix(';') {
        let (_, after) = key(after.trim_start_matches(' '))?;
        text = match after.strip_prefix('=') {
            Some(value) => item(value)?.1,
            None => after,
        };
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_are_read_and_nonsense_is_not() {
        let bytes = |text: &str| Value::Bytes(text.into());
        let check = |text: &str, expected: Option<Vec<(&str, Value)>>| {
            let expected =
                expected.map(|list| list.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
            assert_eq!(dictionary(text), expected, "{text}");
        };
        check("", Some(vec![]));
        check("sha-256=:YQ==:", Some(vec![("sha-256", bytes("a"))]));
        check(
            "a=:YQ==:;x=\"y,\\\"z\" ,\tb=:Yg==:, a=:Yw==:",
            Some(vec![("b", bytes("b")), ("a", bytes("c"))]),
        );
        check("sha-256=10, md5=-3", Some(vec![("sha-256", Value::Integer(10)), ("md5", Value::Integer(-3))]));
        check(
            "a=tok/en, b=\"x,y\", c=(1 \"2\";p), d, e=?1, f=1.5",
            Some("abcdef".split("").filter(|key| !key.is_empty()).map(|key| (key, Value::Other)).collect()),
        );
        for nonsense in [
            "a=",
            "a=:YQ",
            "a=:Y!==:",
            "A=1",
            "a=1,",
            "a=1 b=2",
            "a=\"x",
            "a=:YQ==: :",
            ",",
            "a=(1",
            "a=1;;",
            "=1",
            "a=é",
            "a=?2",
            "a=:YQ=:",
        ] {
            check(nonsense, None);
        }
    }
}
