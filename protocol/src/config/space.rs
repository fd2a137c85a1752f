//! `reserved_storage_space`: how much room a group keeps, and the tests that uploads are scheduled by.

use std::fmt;

use super::value::{BadValue, Lenient, parse_bytes};

/// Room that is kept free. Text form `1024MB` or `20.00%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReservedSpace {
    /// Whole megabytes of 1024 * 1024 bytes.
    Megabytes(u64),
    /// Percentage of the total, above 0 and below 100.
    Percent(f64),
}

impl Default for ReservedSpace {
    fn default() -> Self {
        Self::Megabytes(1024)
    }
}

impl ReservedSpace {
    /// Parses bytes (cut to whole megabytes) or `N%`.
    pub fn parse(text: &str) -> Result<Lenient<Self>, BadValue> {
        if text.is_empty() {
            return Err(BadValue::ReservedSpace);
        }
        if let Some(number) = text.strip_suffix('%') {
            let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let percent =
                number.parse::<f64>().ok().filter(|percent| plain && *percent > 0.0 && *percent < 100.0);
            let percent = percent.ok_or(BadValue::ReservedSpace)?;
            return Ok(Lenient { value: Self::Percent(percent), doubt: None });
        }
        let read = parse_bytes(text).map_err(|_| BadValue::ReservedSpace)?;
        Ok(Lenient { value: Self::Megabytes(read.value >> 20), doubt: read.doubt })
    }

    /// Whether a group with this much room takes uploads. With trunk files on, a second test adds the free room inside
    /// them to `free_mb`.
    pub fn group_has_room(self, free_mb: u64, total_mb: u64) -> bool {
        match self {
            Self::Megabytes(reserved) => free_mb > reserved,
            Self::Percent(percent) => above(free_mb, total_mb, percent),
        }
    }

    /// Whether one of `path_count` store paths takes uploads.
    pub fn path_has_room(self, free_mb: u64, total_mb: u64, path_count: usize) -> bool {
        match self {
            Self::Megabytes(reserved) => {
                let paths = u64::try_from(path_count).unwrap_or(u64::MAX).max(1);
                free_mb > reserved / paths
            }
            Self::Percent(percent) => above(free_mb, total_mb, percent),
        }
    }

    /// Megabytes that are kept of `total_mb`, as trackers report them.
    pub fn reserved_mb(self, total_mb: u64) -> u64 {
        match self {
            Self::Megabytes(reserved) => reserved,
            // `percent` is below 100, so hundredths of it fit and the result is below the total.
            Self::Percent(percent) => {
                let hundredths = hundredths(percent);
                u64::try_from(u128::from(total_mb) * u128::from(hundredths) / 10_000).unwrap_or(u64::MAX)
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of sizes in MB needs no more than 53 bits")]
fn above(free_mb: u64, total_mb: u64, percent: f64) -> bool {
    total_mb > 0 && free_mb as f64 / total_mb as f64 > percent / 100.0
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 < percent < 100")]
fn hundredths(percent: f64) -> u32 {
    (percent * 100.0).round() as u32
}

impl fmt::Display for ReservedSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Megabytes(reserved) => write!(f, "{reserved}MB"),
            Self::Percent(percent) => write!(f, "{percent:.2}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_cut_to_megabytes_and_percentages_are_bounded() {
        for (text, expected) in [
            ("1G", Some("1024MB")),
            ("4096", Some("0MB")),
            ("1024MB", Some("1024MB")),
            ("20%", Some("20.00%")),
            ("0.5%", Some("0.50%")),
            ("99.99%", Some("99.99%")),
            ("0%", None),
            ("100%", None),
            ("20 %", None),
            ("-1%", None),
            ("inf%", None),
            ("1e1%", None),
            ("%", None),
            ("", None),
            ("lots", None),
        ] {
            let got = ReservedSpace::parse(text).ok().map(|read| read.value.to_string());
            assert_eq!(got.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn room_must_be_strictly_above_the_reserve() {
        let fixed = ReservedSpace::Megabytes(1024);
        assert!(!fixed.group_has_room(1024, 9999));
        assert!(fixed.group_has_room(1025, 9999));
        assert!(!fixed.path_has_room(341, 9999, 3));
        assert!(fixed.path_has_room(342, 9999, 3));
        assert!(fixed.path_has_room(1025, 9999, 0));
        let ratio = ReservedSpace::Percent(20.0);
        assert!(!ratio.group_has_room(20, 100));
        assert!(ratio.group_has_room(21, 100));
        assert!(!ratio.group_has_room(1, 0));
        assert!(ratio.path_has_room(21, 100, 4));
        assert_eq!((fixed.reserved_mb(1), ratio.reserved_mb(1000)), (1024, 200));
    }
}
