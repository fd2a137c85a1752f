//! The base64 of file names: alphabet `A-Z a-z 0-9 - _`, most significant bits first, never padded.
//!
//! Strict both ways: a foreign character or a set spare bit is no name that a FastDFS server wrote.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const NONE: u8 = 0xFF;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0u8;
    while value < 64 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Encodes `bytes` into `text`, which must have `ceil(8 * bytes / 6)` places.
pub fn encode(bytes: &[u8], text: &mut [u8]) {
    let mut places = text.iter_mut();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let [a, b, c] = word;
        let digits = [a >> 2, (a & 0x03) << 4 | b >> 4, (b & 0x0F) << 2 | c >> 6, c & 0x3F];
        for (digit, place) in digits.iter().take(chunk.len() + 1).zip(&mut places) {
            *place = ALPHABET[usize::from(*digit)];
        }
    }
}

/// Decodes `text` into `bytes`; `None` for a foreign character, a wrong length or set spare bits.
pub fn decode(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    if text.len() != (bytes.len() * 8).div_ceil(6) {
        return None;
    }
    let mut places = bytes.iter_mut();
    for chunk in text.chunks(4) {
        let mut digits = [0; 4];
        for (digit, character) in digits.iter_mut().zip(chunk) {
            *digit = VALUES[usize::from(*character)];
            if *digit == NONE {
                return None;
            }
        }
        let [a, b, c, d] = digits;
        let word = [a << 2 | b >> 4, (b & 0x0F) << 4 | c >> 2, (c & 0x03) << 6 | d];
        let (whole, spare) = word.split_at(chunk.len() - 1);
        if spare.first().is_some_and(|&bits| bits != 0) {
            return None;
        }
        for (byte, place) in whole.iter().zip(&mut places) {
            *place = *byte;
        }
    }
    Some(())
}
