//! What clients say, made harmless: whatever bytes come in, none of those that come out ends a line or a string.

use std::io::Write;

use protocol::config::web_conf::log_format::LogEscape;

/// Appends a value; nothing if it is missing, but the sign for that.
pub(crate) fn push(line: &mut Vec<u8>, how: LogEscape, value: Option<&[u8]>) {
    match (how, value.filter(|value| !value.is_empty())) {
        (LogEscape::Default, None) => line.push(b'-'),
        (LogEscape::Json, None) => {}
        (LogEscape::Default, Some(value)) => push_default(line, value),
        (LogEscape::Json, Some(value)) => push_json(line, value),
    }
}

/// Whether a byte means itself in both ways of escaping.
const fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte < 0x7f && byte != b'"' && byte != b'\\'
}

/// nginx's way: `\xXX` for quotes, backslashes and all that is not printable ASCII.
fn push_default(line: &mut Vec<u8>, value: &[u8]) {
    // Nearly always nothing has to be escaped.
    if value.iter().copied().all(is_plain) {
        return line.extend_from_slice(value);
    }
    for &byte in value {
        if is_plain(byte) {
            line.push(byte);
        } else {
            line.extend([b'\\', b'x', hex(byte >> 4), hex(byte & 15)]);
        }
    }
}

/// The inside of a string of JSON (RFC 8259, 7). What is not UTF-8 becomes U+FFFD, so that every line can be read.
fn push_json(line: &mut Vec<u8>, value: &[u8]) {
    if value.iter().copied().all(is_plain) {
        return line.extend_from_slice(value);
    }
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => line.extend([b'\\', u8::try_from(c).unwrap_or(b'?')]),
                '\n' => line.extend(b"\\n"),
                '\r' => line.extend(b"\\r"),
                '\t' => line.extend(b"\\t"),
                // All that some reader takes for the end of a line or for a command.
                _ if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    // A vector takes everything.
                    let _ = write!(line, "\\u{:04X}", u32::from(c));
                }
                _ => line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            line.extend(char::REPLACEMENT_CHARACTER.to_string().bytes());
        }
    }
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'A' + digit - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(how: LogEscape, value: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        push(&mut line, how, Some(value));
        line
    }

    #[test]
    fn values_are_written_as_nginx_writes_them() {
        let check = |value: &[u8], default: &str, json: &str| {
            assert_eq!(escaped(LogEscape::Default, value), default.as_bytes());
            assert_eq!(escaped(LogEscape::Json, value), json.as_bytes());
        };
        check(b"GET /a HTTP/1.1", "GET /a HTTP/1.1", "GET /a HTTP/1.1");
        check(b"a\"b\\c", "a\\x22b\\x5Cc", "a\\\"b\\\\c");
        check(b"a\nb\x01\x7f", "a\\x0Ab\\x01\\x7F", "a\\nb\\u0001\\u007F");
        check("ä".as_bytes(), "\\xC3\\xA4", "ä");
        check(b"\xff", "\\xFF", "\u{fffd}");
        check(b"", "-", "");
    }

    proptest! {
        #[test]
        fn no_value_ends_a_line_or_a_string(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let default = escaped(LogEscape::Default, &value);
            prop_assert!(default.iter().all(|byte| (b' '..0x7f).contains(byte) && *byte != b'"'));
            let json = escaped(LogEscape::Json, &value);
            let json = format!("\"{}\"", String::from_utf8(json).unwrap());
            prop_assert!(!json.contains(char::is_control));
            let read: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&value).into_owned());
        }
    }
}
