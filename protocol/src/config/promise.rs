//! What an upload is answered for: `write`, `fsync`, `replica:N` or `fsync+replica:N`, in storage.conf and in requests.

use std::fmt;

/// Other members that a group can have: FastDFS's limit, without the node itself.
pub const MOST_REPLICAS: u8 = 31;

/// What is done on the node itself; the stronger, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// It is written, as FastDFS does: a crash of the machine may lose it.
    #[default]
    Write,
    /// It is on the disk.
    Fsync,
}

/// What is certain when an upload is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promise {
    /// On the node that answers.
    pub durability: Durability,
    /// Other members that have confirmed the file, at least; up to [`MOST_REPLICAS`].
    pub replicas: u8,
}

impl Promise {
    /// Reads it, in lower case; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (durability, replicas) = match text {
            "write" => return Some(Self::default()),
            "fsync" => return Some(Self { durability: Durability::Fsync, replicas: 0 }),
            _ => match text.strip_prefix("fsync+") {
                Some(rest) => (Durability::Fsync, rest),
                None => (Durability::Write, text),
            },
        };
        let digits = replicas.strip_prefix("replica:")?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let replicas =
            digits.parse().ok().filter(|count| (1..=MOST_REPLICAS).contains(count) && is_number)?;
        Some(Self { durability, replicas })
    }

    /// Both of two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            durability: self.durability.max(other.durability),
            replicas: self.replicas.max(other.replicas),
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.durability, self.replicas) {
            (Durability::Write, 0) => formatter.write_str("write"),
            (Durability::Fsync, 0) => formatter.write_str("fsync"),
            (Durability::Write, replicas) => write!(formatter, "replica:{replicas}"),
            (Durability::Fsync, replicas) => write!(formatter, "fsync+replica:{replicas}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_read_as_they_are_written() {
        for (text, durability, replicas) in [
            ("write", Durability::Write, 0),
            ("fsync", Durability::Fsync, 0),
            ("replica:1", Durability::Write, 1),
            ("replica:31", Durability::Write, 31),
            ("fsync+replica:2", Durability::Fsync, 2),
        ] {
            let promise = Promise { durability, replicas };
            assert_eq!(Promise::parse(text), Some(promise));
            assert_eq!(promise.to_string(), text);
        }
        for bad in [
            "",
            "Write",
            "replica",
            "replica:",
            "replica:0",
            "replica:32",
            "replica:+1",
            "replica:-1",
            "replica:256",
            "write+replica:1",
            "fsync+",
            "fsync+fsync",
            "replica:1+fsync",
            " write",
        ] {
            assert_eq!(Promise::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn of_two_promises_both_are_kept() {
        let (disk, others) = (Promise::parse("fsync").unwrap(), Promise::parse("replica:2").unwrap());
        assert_eq!(disk.and(others).to_string(), "fsync+replica:2");
        assert_eq!(others.and(Promise::parse("replica:1").unwrap()), others);
        assert_eq!(disk.and(Promise::default()), disk);
    }
}
