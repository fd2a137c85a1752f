//! A tracker of either kind.

use std::net::SocketAddr;

use protocol::Status;

use super::super::{Claim, Effect, Election, Event, Millis};
use super::reference::Reference;
use crate::state::Leadership;

/// One of ours, or one of FastDFS's.
pub(super) enum Machine {
    Ours(Box<Election>),
    Theirs(Reference),
}

impl Machine {
    pub(super) fn leadership(&self) -> Leadership {
        match self {
            Self::Ours(it) => it.leadership(),
            Self::Theirs(it) => it.leadership(),
        }
    }

    pub(super) fn claim(&self, now: Millis) -> Claim {
        match self {
            Self::Ours(it) => it.claim(now),
            Self::Theirs(it) => it.claim(now),
        }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        match self {
            Self::Ours(it) => it.deadline(),
            Self::Theirs(it) => it.deadline(),
        }
    }

    pub(super) fn handle(&mut self, event: Event, now: Millis, random: u64) -> Vec<Effect> {
        match self {
            Self::Ours(it) => it.handle(event, now, random),
            Self::Theirs(it) => it.handle(event, now, random),
        }
    }

    pub(super) fn proposed(&mut self, named: SocketAddr, now: Millis) -> (Result<(), Status>, Vec<Effect>) {
        match self {
            Self::Ours(it) => it.proposed(named, now),
            Self::Theirs(it) => it.proposed(named, now),
        }
    }

    pub(super) fn committed(&mut self, named: SocketAddr, now: Millis) -> (Result<(), Status>, Vec<Effect>) {
        match self {
            Self::Ours(it) => it.committed(named, now),
            Self::Theirs(it) => it.committed(named, now),
        }
    }

    pub(super) fn reselect(&mut self, now: Millis, random: u64) -> (Result<(), Status>, Vec<Effect>) {
        match self {
            Self::Ours(it) => it.reselect(now, random),
            Self::Theirs(it) => it.reselect(now),
        }
    }
}
