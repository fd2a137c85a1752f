//! The 20 bytes behind the 27 characters of a name, and the 12 bytes of a trunk slot.

use std::net::Ipv4Addr;

use super::{BadName, base64};

/// Characters of an encoded [`NameCode`].
pub const CODE_LEN: usize = 27;
/// Characters of an encoded [`TrunkSlot`].
pub const TRUNK_SLOT_LEN: usize = 16;

const MAX_STORAGE_NUMBER: u32 = 0xFF_FFFF;

/// Who made a name: bytes 0-3.
///
/// Read as a little-endian number, 1 to 2^24-1 is a storage id; anything else is an IPv4 address in natural
/// order. So an address that ends in `.0` reads back as an id: the format has no other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// IPv4 address; of an IPv6 storage without ids, bytes 8 to 11 of its address.
    Ip(Ipv4Addr),
    /// Number of the storage in `storage_ids.conf`.
    Id(u32),
}

impl Source {
    fn from_bytes(bytes: [u8; 4]) -> Self {
        match u32::from_le_bytes(bytes) {
            id @ 1..=MAX_STORAGE_NUMBER => Self::Id(id),
            _ => Self::Ip(Ipv4Addr::from(bytes)),
        }
    }

    fn to_bytes(self) -> [u8; 4] {
        match self {
            Self::Ip(ip) => ip.octets(),
            Self::Id(id) => id.to_le_bytes(),
        }
    }
}

/// Bytes 8-15: size and kind in one number.
///
/// | bits | meaning |
/// |---|---|
/// | 63 | the size is bits 0-31, and bits 32-54 are random |
/// | 59 | trunk file |
/// | 58 | appender, the size is unknown |
/// | 0-31 | size; without bits 63 and 59 the whole number is the size |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SizeField(pub u64);

impl SizeField {
    const SMALL: u64 = 1 << 63;
    const TRUNK: u64 = 1 << 59;
    const APPENDER: u64 = 1 << 58;
    const RANDOM_BITS: u32 = 23;

    fn random(random: u32) -> u64 {
        u64::from(random & ((1 << Self::RANDOM_BITS) - 1)) << 32
    }

    /// A normal file. From 4 GiB on the field is the plain size, without random bits.
    pub fn normal(size: u64, random: u32) -> Self {
        if size >> 32 == 0 { Self(Self::SMALL | Self::random(random) | size) } else { Self(size) }
    }

    /// An appender file.
    pub fn appender(random: u32) -> Self {
        Self(Self::SMALL | Self::APPENDER | Self::random(random))
    }

    /// A file in a trunk slot.
    pub fn trunk(size: u32, random: u32) -> Self {
        Self(Self::SMALL | Self::TRUNK | Self::random(random) | u64::from(size))
    }

    /// Whether the name is an appender's, or that of a slave of one.
    pub fn is_appender(self) -> bool {
        self.0 & Self::APPENDER != 0
    }

    /// Whether the name is a trunk file's, or that of a slave of one.
    pub fn is_trunk(self) -> bool {
        self.0 & Self::TRUNK != 0
    }

    /// Size of the file, unless it is an appender.
    pub fn size(self) -> Option<u64> {
        if self.is_appender() {
            None
        } else if self.0 & (Self::SMALL | Self::TRUNK) != 0 {
            Some(self.0 & 0xFFFF_FFFF)
        } else {
            Some(self.0)
        }
    }
}

/// The 20 bytes: source, time, size field, CRC32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameCode {
    /// Storage that made the name.
    pub source: Source,
    /// Unix seconds. The reference reads them as a signed number.
    pub timestamp: u32,
    /// Size and kind.
    pub size: SizeField,
    /// CRC32 (zlib's) of the content. Random for links, the first content's for appenders, and of another
    /// variant before FastDFS 5.12: a hint, never a reason to refuse a file.
    pub crc32: u32,
}

impl NameCode {
    /// Decodes 27 characters, strictly.
    pub fn decode(text: &[u8]) -> Result<Self, BadName> {
        let mut bytes = [0; 20];
        base64::decode(text, &mut bytes).ok_or(BadName::Code)?;
        let [s0, s1, s2, s3, t0, t1, t2, t3, z0, z1, z2, z3, z4, z5, z6, z7, c0, c1, c2, c3] = bytes;
        Ok(Self {
            source: Source::from_bytes([s0, s1, s2, s3]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            size: SizeField(u64::from_be_bytes([z0, z1, z2, z3, z4, z5, z6, z7])),
            crc32: u32::from_be_bytes([c0, c1, c2, c3]),
        })
    }

    /// The 27 characters.
    pub fn encode(&self) -> [u8; CODE_LEN] {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&self.source.to_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.size.0.to_be_bytes());
        bytes[16..].copy_from_slice(&self.crc32.to_be_bytes());
        let mut text = [0; CODE_LEN];
        base64::encode(&bytes, &mut text);
        text
    }
}

/// Where a trunk file lies in its container: 16 characters after the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrunkSlot {
    /// Number of the container file.
    pub file_id: u32,
    /// Byte offset of the slot's header in the container.
    pub offset: u32,
    /// Bytes of the slot, header included.
    pub size: u32,
}

impl TrunkSlot {
    /// Decodes 16 characters, strictly; the three numbers are not negative as the signed numbers they are.
    pub fn decode(text: &[u8]) -> Result<Self, BadName> {
        let mut bytes = [0; 12];
        base64::decode(text, &mut bytes).ok_or(BadName::Code)?;
        let [f0, f1, f2, f3, o0, o1, o2, o3, s0, s1, s2, s3] = bytes;
        let number = |bytes| u32::try_from(i32::from_be_bytes(bytes)).map_err(|_| BadName::Code);
        Ok(Self {
            file_id: number([f0, f1, f2, f3])?,
            offset: number([o0, o1, o2, o3])?,
            size: number([s0, s1, s2, s3])?,
        })
    }

    /// The 16 characters.
    pub fn encode(&self) -> [u8; TRUNK_SLOT_LEN] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.file_id.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.offset.to_be_bytes());
        bytes[8..].copy_from_slice(&self.size.to_be_bytes());
        let mut text = [0; TRUNK_SLOT_LEN];
        base64::encode(&bytes, &mut text);
        text
    }
}
