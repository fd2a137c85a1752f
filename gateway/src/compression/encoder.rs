//! The three compressors behind one face, fed piece by piece. Their windows are small enough that a stream takes less
//! than 3 MiB.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::negotiate::Coding;

/// Window of Brotli and Zstandard, as a power of two: 512 KiB.
const WINDOW: u8 = 19;
/// Brotli's own output buffer, which is copied on.
const BUFFER: usize = 4096;

/// Levels of all codings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    pub(super) gzip: u8,
    pub(super) brotli: u8,
    pub(super) zstd: u8,
}

/// A compressor at work.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// Begins; the length of all that comes helps to choose tables.
    pub(super) fn new(coding: Coding, levels: Levels, len: u64) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(levels.gzip.into()))),
            Coding::Brotli => {
                let (quality, window) = (levels.brotli.into(), WINDOW.into());
                Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), BUFFER, quality, window)))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), levels.zstd.into())?;
                encoder.set_pledged_src_size(Some(len))?;
                encoder.window_log(WINDOW.into())?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Takes a piece in; what comes out may be nothing yet.
    pub(super) fn step(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        let out = match self {
            Self::Gzip(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Brotli(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(out).into())
    }

    /// What is left.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Gzip(encoder) => encoder.finish()?.into(),
            Self::Brotli(encoder) => encoder.into_inner().into(),
            Self::Zstd(encoder) => encoder.finish()?.into(),
        })
    }
}

/// Compresses content that is in memory.
pub(super) fn whole(coding: Coding, levels: Levels, content: &[u8]) -> io::Result<Bytes> {
    let mut encoder = Encoder::new(coding, levels, content.len() as u64)?;
    let first = encoder.step(content)?;
    let rest = encoder.finish()?;
    Ok(if first.is_empty() { rest } else { [first, rest].concat().into() })
}
