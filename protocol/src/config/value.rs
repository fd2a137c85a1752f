//! Values as C reads them, with a [`Doubt`] wherever that is unlikely to be what the writer meant.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::ini::trim;

/// A value and, where C would silently misread it, what is doubtful about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lenient<T> {
    /// What C reads.
    pub value: T,
    /// Why that may surprise.
    pub doubt: Option<Doubt>,
}

/// Why a text is probably not read as its writer meant. `Display` continues a sentence that began with `key = text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    why: Why,
    read_as: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Empty,
    NotBool,
    NotNumber,
    InlineComment,
    Unit { plain: i64 },
    Trailing,
    OutOfRange,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read_as = &self.read_as;
        match &self.why {
            Why::Empty => write!(f, "no value; read as {read_as}; write a value or remove the line"),
            Why::NotBool => {
                write!(f, "neither true (yes, on, 1) nor false; read as {read_as}; write true or false")
            }
            Why::NotNumber => write!(f, "not a number; read as {read_as}; write a plain number"),
            Why::InlineComment => write!(
                f,
                "'#' begins a comment only at the start of a line; read as {read_as}; \
                 move the comment to a line of its own"
            ),
            Why::Unit { plain } => {
                write!(f, "this key takes a plain number without unit; read as {read_as}; write {plain}")
            }
            Why::Trailing => write!(f, "text behind the value; read as {read_as}; remove it"),
            Why::OutOfRange => write!(f, "out of range; read as {read_as}; write a smaller number"),
        }
    }
}

/// A text that C refuses for its key. `Display` continues a sentence that began with `key = text`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadValue {
    /// Not digits with an optional unit.
    #[error("not a size; write a whole number, with K, M, G or T behind it if need be")]
    Bytes,
    /// Not `H:M` or `H:M:S` of a day.
    #[error("not a time of day; write HH:MM or HH:MM:SS")]
    TimeOfDay,
    /// Neither a size nor a percentage.
    #[error("neither a size nor a percentage between 0 and 100; write for example 10G or 20%")]
    ReservedSpace,
}

fn lenient<T: fmt::Display>(value: T, why: Option<Why>) -> Lenient<T> {
    let doubt = why.map(|why| Doubt { why, read_as: value.to_string() });
    Lenient { value, doubt }
}

/// Whether `text` holds what looks like a comment behind the value.
fn has_comment(text: &str) -> bool {
    text.contains(" #") || text.contains("\t#")
}

/// `true`, `yes`, `on` in any case and `1` are true; everything else is false.
pub fn parse_bool(text: &str) -> Lenient<bool> {
    let is = |words: &[&str], text: &str| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "yes", "on", "1"], text) {
        return lenient(true, None);
    }
    let why = if text.is_empty() {
        Some(Why::Empty)
    } else if has_comment(text) {
        Some(Why::InlineComment)
    } else if is(&["false", "no", "off", "0"], text) {
        None
    } else {
        Some(Why::NotBool)
    };
    lenient(false, why)
}

/// Splits what `strtoll` reads from what it leaves. `None` for the number: there are no digits.
fn split_int(text: &str) -> (Option<i64>, &str) {
    let start = text.trim_start_matches([' ', '\t', '\r', '\n', '\u{b}', '\u{c}']);
    let (negative, digits) = match start.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, start.strip_prefix('+').unwrap_or(start)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if digits.is_empty() {
        return (None, start);
    }
    let magnitude = digits.bytes().fold(0_i64, |sum, digit| {
        let digit = i64::from(digit - b'0');
        sum.saturating_mul(10).saturating_add(digit)
    });
    (Some(if negative { -magnitude } else { magnitude }), rest)
}

/// Leading digits as C's `atoi` reads them; 0 when there are none.
pub(super) fn leading_int(text: &str) -> i64 {
    split_int(text).0.unwrap_or(0)
}

/// An integer as `atoi` reads it, in the range of a C `int`.
pub fn parse_int(text: &str) -> Lenient<i64> {
    parse_number(text, |unit| {
        Some(match unit {
            "k" | "kb" => 1 << 10,
            "m" | "mb" => 1 << 20,
            "g" | "gb" => 1 << 30,
            "s" | "ms" => 1,
            _ => return None,
        })
    })
}

/// Seconds as `atoi` reads them.
pub fn parse_seconds(text: &str) -> Lenient<i64> {
    parse_number(text, |unit| {
        Some(match unit {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86400,
            _ => return None,
        })
    })
}

/// Seconds of a key that only we read: a unit means what it says.
pub fn parse_seconds_with_unit(text: &str) -> Lenient<i64> {
    let read = parse_seconds(text);
    match read.doubt {
        Some(Doubt { why: Why::Unit { plain }, .. }) => lenient(plain, None),
        _ => read,
    }
}

fn parse_number(text: &str, unit_value: fn(&str) -> Option<i64>) -> Lenient<i64> {
    let (number, rest) = split_int(text);
    let Some(number) = number else {
        return lenient(0, Some(if text.is_empty() { Why::Empty } else { Why::NotNumber }));
    };
    let value = number.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    let tail = trim(rest);
    let why = if value != number {
        Some(Why::OutOfRange)
    } else if tail.is_empty() {
        None
    } else if tail.starts_with('#') {
        Some(Why::InlineComment)
    } else {
        let unit = unit_value(&tail.to_ascii_lowercase());
        Some(unit.map_or(Why::Trailing, |unit| Why::Unit { plain: value.saturating_mul(unit) }))
    };
    lenient(value, why)
}

/// Bytes: digits, blanks, an optional `T`, `G`, `M` or `K` (powers of 1024, any case) and then an optional `B`, blanks.
/// Empty is 0.
pub fn parse_bytes(text: &str) -> Result<Lenient<u64>, BadValue> {
    let (number, rest) = split_int(text);
    if text.is_empty() {
        return Ok(lenient(0, Some(Why::Empty)));
    }
    let number = number.and_then(|number| u64::try_from(number).ok()).ok_or(BadValue::Bytes)?;
    let tail = rest.trim_start_matches([' ', '\t']);
    let mut chars = tail.chars();
    let factor = match chars.next().map(|unit| unit.to_ascii_uppercase()) {
        None => return Ok(lenient(number, None)),
        Some('K') => 1 << 10,
        Some('M') => 1 << 20,
        Some('G') => 1 << 30,
        Some('T') => 1_u64 << 40,
        Some(_) => return Err(BadValue::Bytes),
    };
    let after = chars.as_str();
    if !after.strip_prefix(['b', 'B']).unwrap_or(after).trim_matches([' ', '\t']).is_empty() {
        return Err(BadValue::Bytes);
    }
    let limit = i64::MAX.unsigned_abs();
    let value = number.checked_mul(factor).filter(|value| *value <= limit);
    Ok(lenient(value.unwrap_or(limit), value.is_none().then_some(Why::OutOfRange)))
}

/// A time of day. Text form `HH:MM`, with `:SS` only when there are seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
    second: u8,
}

impl TimeOfDay {
    /// A time, if such exists.
    pub fn new(hour: u8, minute: u8, second: u8) -> Option<Self> {
        (hour < 24 && minute < 60 && second < 60).then_some(Self { hour, minute, second })
    }

    /// A full minute, for defaults. Values past the end of an hour or a day wrap.
    pub(super) const fn at(hour: u8, minute: u8) -> Self {
        Self { hour: hour % 24, minute: minute % 60, second: 0 }
    }

    /// 0 to 23.
    pub fn hour(self) -> u8 {
        self.hour
    }

    /// 0 to 59.
    pub fn minute(self) -> u8 {
        self.minute
    }

    /// 0 to 59.
    pub fn second(self) -> u8 {
        self.second
    }

    /// `HH:MM`, whatever the seconds.
    pub(super) fn minutes(self) -> String {
        format!("{:02}:{:02}", self.hour, self.minute)
    }

    /// Time since midnight.
    pub fn since_midnight(self) -> Duration {
        let minutes = u64::from(self.hour) * 60 + u64::from(self.minute);
        Duration::from_secs(minutes * 60 + u64::from(self.second))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)?;
        if self.second > 0 {
            write!(f, ":{:02}", self.second)?;
        }
        Ok(())
    }
}

/// `H:M` or `H:M:S`, with text behind it tolerated, as `sscanf("%d:%d:%d")` reads it.
pub fn parse_time_of_day(text: &str) -> Result<Lenient<TimeOfDay>, BadValue> {
    let part = |text| match split_int(text) {
        (Some(number), rest) => {
            u8::try_from(number).map(|number| (number, rest)).map_err(|_| BadValue::TimeOfDay)
        }
        (None, _) => Err(BadValue::TimeOfDay),
    };
    let (hour, rest) = part(text)?;
    let (minute, mut rest) = part(rest.strip_prefix(':').ok_or(BadValue::TimeOfDay)?)?;
    let mut second = 0;
    if let Some(tail) = rest.strip_prefix(':')
        && split_int(tail).0.is_some()
    {
        (second, rest) = part(tail)?;
    }
    let time = TimeOfDay::new(hour, minute, second).ok_or(BadValue::TimeOfDay)?;
    let why = match trim(rest) {
        "" => None,
        tail if tail.starts_with('#') => Some(Why::InlineComment),
        _ => Some(Why::Trailing),
    };
    Ok(lenient(time, why))
}

/// Free text: taken whole, with a doubt where a comment seems to stand behind it.
pub fn parse_text(text: &str) -> Lenient<&str> {
    lenient(text, has_comment(text).then_some(Why::InlineComment))
}

#[cfg(test)]
mod tests;
