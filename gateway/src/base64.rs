//! Base64 with padding (RFC 4648, 4), as headers hold it. What is not exactly that is refused.

/// The bytes of a text; `None` if it is no base64.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let digits = text.get(..text.len() - padding)?;
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut value = 0;
        for digit in group {
            value = value << 6 | sextet(*digit)?;
        }
        value <<= 6 * (4 - group.len());
        let [_, all @ ..] = value.to_be_bytes();
        let len = group.len().checked_sub(1).filter(|len| *len > 0)?;
        // Bits that belong to no byte are 0, or two texts would be the same bytes.
        if all.get(len..)?.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(all.get(..len)?);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_rfc() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(decode("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in [
            "Z",
            "Zg",
            "Zg=",
            "Zg===",
            "=",
            "====",
            "Z===",
            "Zh==",
            "Zm9=",
            "Zm=v",
            "Zm9v ",
            "Zm9v\n",
            "-_-_",
            "Zm9vZ",
            "Zm9\u{e9}",
            "Zg==Zg==",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
