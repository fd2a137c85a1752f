//! Base64 with `-` and `_` and without padding (RFC 4648, 5), of bytes of any length.

use protocol::file_id::base64;

/// Encodes bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = vec![0; (bytes.len() * 8).div_ceil(6)];
    base64::encode(bytes, &mut text);
    text.into_iter().map(char::from).collect()
}

/// Decodes text; `None` for what no encoder writes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() * 6 / 8];
    base64::decode(text.as_bytes(), &mut bytes)?;
    Some(bytes)
}
