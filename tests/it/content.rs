//! Made-up file content that tells from its own bytes what it should be.

/// `length` bytes that differ by `seed`, the same in every run.
pub(crate) fn content(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Content with its own length and seed in its first eight bytes, so that [`is_whole`] can check it without a note.
pub(crate) fn labelled(length: u32, seed: u32) -> Vec<u8> {
    let mut bytes = content(usize::try_from(length).expect("fits"), seed);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes[4..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}

/// Whether `bytes` are all that [`labelled`] made.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let (Some(length), Some(seed)) = (bytes.first_chunk(), bytes.get(4..8).and_then(<[u8]>::first_chunk))
    else {
        return false;
    };
    let length = u32::from_be_bytes(*length);
    usize::try_from(length) == Ok(bytes.len()) && bytes == labelled(length, u32::from_be_bytes(*seed))
}
