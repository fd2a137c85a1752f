//! What clients may do, one by one and in sets.

use std::fmt;

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// See what is not public: metadata, holders, replication.
    Read,
    /// Upload and change files.
    Write,
    /// Delete files.
    Delete,
    /// Change the cluster.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Delete, Self::Admin];

    /// Its word in tokens and configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Delete => 4,
            Self::Admin => 8,
        }
    }
}

/// A set of scopes; none contains another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);
    /// Every scope.
    pub const ALL: Self = Self(15);

    /// The set with one more.
    #[must_use]
    pub fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// Whether it has that scope.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether it has no scope.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads `read,write`; `None` for a word that is no scope, and for no word.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::NONE;
        for word in text.split(',') {
            all = all.with(Scope::ALL.into_iter().find(|scope| scope.name() == word.trim())?);
        }
        Some(all)
    }

    /// Reads the words of a `scope` claim (RFC 8693, 4.2); those of other programs mean nothing here.
    pub(crate) fn of_claim(text: &str) -> Self {
        let words =
            text.split(' ').filter_map(|word| Scope::ALL.into_iter().find(|scope| scope.name() == word));
        words.fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Scopes {
    /// As [`Scopes::parse`] reads it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Scope::ALL.into_iter().filter(|scope| self.has(*scope)).map(Scope::name);
        formatter.write_str(&names.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_words_with_commas() {
        let set = Scopes::NONE.with(Scope::Write).with(Scope::Read);
        assert_eq!(Scopes::parse("write, read"), Some(set));
        assert_eq!(set.to_string(), "read,write");
        assert!(set.has(Scope::Read) && !set.has(Scope::Delete) && !set.has(Scope::Admin));
        for bad in ["", "read,", "all", "read write", "Read"] {
            assert_eq!(Scopes::parse(bad), None, "{bad}");
        }
        assert_eq!(Scopes::of_claim("openid write  read profile"), set);
        assert!(Scopes::of_claim("writer").is_empty());
    }
}
