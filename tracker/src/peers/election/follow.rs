//! A follower and its leader: a ping every second, and what its silence means.

use std::net::SocketAddr;

use super::{Effect, Election, FOLLOWER_PROBE, Leadership, Millis, Phase, Ping};

/// Pause between pings, and before the first: the leader is still telling others then.
const PING: Millis = 1_000;
/// Pings in a row without an answer after which a leader is given up.
const MAX_FAILURES: u32 = 3;
/// A leader that answered within this time is heard.
const HEARD: Millis = 3_000;

/// How a follower stands with its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Follow {
    /// The leader.
    pub(super) leader: SocketAddr,
    /// The question under way.
    ping: Option<u64>,
    ping_at: Millis,
    pinged_at: Millis,
    failures: u32,
    /// When it last answered.
    heard_at: Option<Millis>,
}

impl Follow {
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.ping.is_none().then_some(self.ping_at)
    }

    pub(super) fn is_due(&self, now: Millis) -> bool {
        self.ping.is_none() && now >= self.ping_at
    }

    /// A ping goes out.
    pub(super) fn start(&mut self, round: u64, now: Millis) {
        (self.ping, self.pinged_at) = (Some(round), now);
    }

    /// Whether the leader certainly led a moment ago.
    pub(super) fn is_heard(&self, now: Millis) -> bool {
        self.failures == 0 && self.heard_at.is_some_and(|heard| now.saturating_sub(heard) < HEARD)
    }

    /// The next ping is due at once.
    pub(super) fn hurry(&mut self, now: Millis) {
        self.ping_at = self.ping_at.min(now);
    }
}

impl Election {
    pub(super) fn follow(&mut self, leader: SocketAddr, now: Millis, why: &'static str) -> Vec<Effect> {
        self.question();
        let follow =
            Follow { leader, ping: None, ping_at: now + PING, pinged_at: now, failures: 0, heard_at: None };
        self.phase = Phase::Following(follow);
        (self.next, self.awaited, self.probe) = (None, None, None);
        self.probe_at = now + FOLLOWER_PROBE;
        vec![Effect::Lead(Leadership::Other(leader), why)]
    }

    pub(super) fn pinged(&mut self, round: u64, outcome: Ping, now: Millis, random: u64) -> Vec<Effect> {
        let Phase::Following(mut follow) = self.phase else { return Vec::new() };
        if follow.ping != Some(round) {
            return Vec::new();
        }
        follow.ping = None;
        follow.ping_at = now.max(follow.pinged_at + PING);
        let jitter = random % 200;
        match outcome {
            Ping::Leads => (follow.failures, follow.heard_at) = (0, Some(now)),
            Ping::LeadsNot if follow.heard_at.is_some() => {
                return self.lose(now + jitter, "the leader does not lead any more");
            }
            // One that never answered may still be telling the others that it leads.
            Ping::LeadsNot | Ping::Silent => follow.failures += 1,
        }
        if follow.failures >= MAX_FAILURES {
            return self.lose(now + jitter, "the leader does not answer");
        }
        self.phase = Phase::Following(follow);
        Vec::new()
    }
}
