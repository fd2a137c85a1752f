//! Who leads, as a machine: events and the time go in, what to do comes out. No socket, clock or randomness.
//!
//! The protocol has no majority: whoever sees no leader asks all trackers for their claims, and the best one proposes
//! itself to all that it reaches. So a partition has a leader on each side, which is on purpose: each side keeps
//! serving. What keeps the cluster calm and heals it:
//!
//! - An incumbent wins: it refuses proposals of others, and its followers refuse them while they hear it.
//! - A leader asks the others for their claims every two seconds, a follower every ten. Who sees two leaders tells the
//!   lower one to step down, by the rule that elections use; the lower one steps down as well when it sees the higher.
//! - Of two that propose themselves at once exactly one refuses the other.
//! - A better candidate that does not propose itself is waited for, but not for ever.

use std::cmp::Reverse;
use std::net::SocketAddr;

use protocol::Status;

mod follow;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use follow::Follow;

use crate::state::Leadership;

/// Milliseconds since this tracker started.
pub(crate) type Millis = u64;

/// Pause between a leader's looks for another leader.
const LEADER_PROBE: Millis = 2_000;
/// The same for a follower.
const FOLLOWER_PROBE: Millis = 10_000;
/// How long a proposal is remembered.
const PROPOSAL_HOLDS: Millis = 5_000;
/// How long a better candidate may take to propose itself.
const PATIENCE: Millis = 5_000;
/// Claims tell times in steps, so that small differences do not decide.
const STEP: i64 = 300;

/// What a tracker says about itself when asked who should lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// It leads now.
    pub(crate) is_leader: bool,
    /// Seconds since its start, in steps of 300.
    pub(crate) running_time: i64,
    /// Seconds that it was down before, in steps of 300.
    pub(crate) restart_interval: i64,
}

/// Orders claims: a leader first, then who runs longer, then who was down for less, then addresses as text.
pub(crate) type Rank = (bool, i64, Reverse<i64>, String, u16);

impl Claim {
    /// This claim's place among others.
    pub(crate) fn rank(&self, of: SocketAddr) -> Rank {
        (self.is_leader, self.running_time, Reverse(self.restart_interval), of.ip().to_string(), of.port())
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The time of [`Election::deadline`] has come.
    Tick,
    /// Storages told which trackers there are.
    Trackers {
        /// This one.
        own: SocketAddr,
        /// The others.
        others: Vec<SocketAddr>,
    },
    /// Who answered [`Effect::Ask`], and what.
    Claims {
        /// Of the question.
        round: u64,
        /// Of trackers that can lead.
        claims: Vec<(SocketAddr, Claim)>,
        /// Who answered that it cannot.
        others: Vec<SocketAddr>,
    },
    /// What came of [`Effect::Propose`] or [`Effect::Commit`].
    Voted {
        /// Of the question.
        round: u64,
        /// Whether nobody refused.
        vote: Vote,
        /// Who agreed; the rest did not answer.
        agreed: Vec<SocketAddr>,
    },
    /// What came of [`Effect::Ping`].
    Pinged {
        /// Of the question.
        round: u64,
        /// What it said.
        outcome: Ping,
    },
}

/// Whether others take this tracker for their leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vote {
    /// All that could be reached.
    Agreed,
    /// Somebody does not.
    Refused,
}

/// What a leader said to its follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ping {
    /// It leads.
    Leads,
    /// It does not lead.
    LeadsNot,
    /// Nothing.
    Silent,
}

/// What to do. Every question gets its event, whatever happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Ask these for their claims.
    Ask { round: u64, whom: Vec<SocketAddr> },
    /// Propose this tracker to these.
    Propose { round: u64, whom: Vec<SocketAddr> },
    /// Tell these that this tracker leads.
    Commit { round: u64, whom: Vec<SocketAddr> },
    /// Tell the leader that this tracker follows it.
    Ping { round: u64, leader: SocketAddr },
    /// Tell this one to step down.
    Demote(SocketAddr),
    /// There is another leader now, and why.
    Lead(Leadership, &'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No storage has told who the trackers are.
    Idle,
    /// Before the next look for a leader.
    Waiting { until: Millis },
    /// Claims are being asked for.
    Looking,
    /// Others are asked whether they agree.
    Proposing,
    /// Others are told.
    Committing,
    /// This tracker leads.
    Leading,
    /// Another one does.
    Following(Follow),
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Election {
    restart_interval: i64,
    own: Option<SocketAddr>,
    others: Vec<SocketAddr>,
    phase: Phase,
    /// Number of the newest question; answers to older ones do not count.
    round: u64,
    /// The look for other leaders while there is one: when, and its question once it is under way.
    probe_at: Millis,
    probe: Option<u64>,
    /// Who was proposed to this tracker, and until when that holds.
    next: Option<(SocketAddr, Millis)>,
    /// The better candidate, and since when it is waited for.
    awaited: Option<(SocketAddr, Millis)>,
    /// What the last round of claims said.
    claims: Vec<(SocketAddr, Claim)>,
}

impl Election {
    /// Before any storage has joined. `restart_interval`: seconds without this tracker before this start, 0 if unknown.
    pub(crate) fn new(restart_interval: i64) -> Self {
        Self {
            restart_interval: restart_interval.max(0) / STEP * STEP,
            own: None,
            others: Vec::new(),
            phase: Phase::Idle,
            round: 0,
            probe_at: 0,
            probe: None,
            next: None,
            awaited: None,
            claims: Vec::new(),
        }
    }

    /// Who leads.
    pub(crate) fn leadership(&self) -> Leadership {
        match self.phase {
            Phase::Leading => Leadership::Own,
            Phase::Following(follow) => Leadership::Other(follow.leader),
            _ => Leadership::Unknown,
        }
    }

    /// This tracker's claim.
    pub(crate) fn claim(&self, now: Millis) -> Claim {
        let running = i64::try_from(now / 1_000).unwrap_or(i64::MAX);
        Claim {
            is_leader: self.phase == Phase::Leading,
            running_time: running / STEP * STEP,
            restart_interval: self.restart_interval,
        }
    }

    /// When a tick is due; `None` while only an event can change something.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let probe = self.probe.is_none().then_some(self.probe_at);
        match self.phase {
            Phase::Idle | Phase::Looking | Phase::Proposing | Phase::Committing => None,
            Phase::Waiting { until } => Some(until),
            Phase::Leading if self.others.is_empty() => None,
            Phase::Leading => probe,
            Phase::Following(follow) => [probe, follow.deadline()].into_iter().flatten().min(),
        }
    }

    /// Something happened. `random` decides pauses.
    pub(crate) fn handle(&mut self, event: Event, now: Millis, random: u64) -> Vec<Effect> {
        match event {
            Event::Tick => self.tick(now),
            Event::Trackers { own, others } => self.trackers(own, others, now),
            Event::Claims { round, claims, .. } if self.probe == Some(round) => {
                self.probed(claims, now, random)
            }
            Event::Claims { round, claims, others }
                if round == self.round && self.phase == Phase::Looking =>
            {
                self.claims = claims;
                self.decide(others, now, random)
            }
            Event::Voted { round, vote, agreed } if round == self.round => {
                self.voted(vote, agreed, now, random)
            }
            Event::Pinged { round, outcome } => self.pinged(round, outcome, now, random),
            Event::Claims { .. } | Event::Voted { .. } => Vec::new(),
        }
    }

    fn question(&mut self) -> u64 {
        self.round += 1;
        self.round
    }

    fn trackers(&mut self, own: SocketAddr, others: Vec<SocketAddr>, now: Millis) -> Vec<Effect> {
        self.own = Some(own);
        self.others = others;
        self.probe_at = now;
        match self.phase {
            Phase::Idle => self.look(),
            _ => Vec::new(),
        }
    }

    fn tick(&mut self, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        match self.phase {
            Phase::Waiting { until } if now >= until => return self.look(),
            Phase::Following(mut follow) => {
                if follow.is_due(now) {
                    let round = self.question();
                    follow.start(round, now);
                    self.phase = Phase::Following(follow);
                    effects.push(Effect::Ping { round, leader: follow.leader });
                }
            }
            Phase::Leading => {}
            _ => return effects,
        }
        if self.probe.is_none() && now >= self.probe_at && !self.others.is_empty() {
            let round = self.question();
            self.probe = Some(round);
            effects.push(Effect::Ask { round, whom: self.others.clone() });
        }
        effects
    }

    /// Asks everybody. Alone, there is nobody to ask.
    fn look(&mut self) -> Vec<Effect> {
        if self.others.is_empty() {
            return self.lead("it is the only tracker");
        }
        self.phase = Phase::Looking;
        let round = self.question();
        vec![Effect::Ask { round, whom: self.others.clone() }]
    }

    fn wait(&mut self, until: Millis) {
        self.question();
        self.phase = Phase::Waiting { until };
    }

    fn lead(&mut self, why: &'static str) -> Vec<Effect> {
        self.question();
        self.phase = Phase::Leading;
        (self.next, self.awaited, self.probe) = (None, None, None);
        vec![Effect::Lead(Leadership::Own, why)]
    }

    /// This tracker does not know a leader any more, and looks for one after `pause`.
    fn lose(&mut self, until: Millis, why: &'static str) -> Vec<Effect> {
        let was_known = self.leadership() != Leadership::Unknown;
        self.wait(until);
        self.probe = None;
        if was_known { vec![Effect::Lead(Leadership::Unknown, why)] } else { Vec::new() }
    }

    /// There are claims and no leader was known.
    fn decide(&mut self, others: Vec<SocketAddr>, now: Millis, random: u64) -> Vec<Effect> {
        let leaders = self.leaders();
        if let Some((best, lower)) = leaders.split_last() {
            let mut effects: Vec<_> = lower.iter().copied().map(Effect::Demote).collect();
            effects.extend(self.follow(*best, now, "it leads already"));
            return effects;
        }
        let Some(own) = self.own else { return Vec::new() };
        if self.next.is_some_and(|(_, until)| now < until) {
            self.wait(now + pause(random));
            return Vec::new();
        }
        let own_rank = self.claim(now).rank(own);
        let better = self.claims.iter().filter(|(who, claim)| claim.rank(*who) > own_rank);
        let best = better.max_by_key(|(who, claim)| claim.rank(*who)).map(|(who, _)| *who);
        let since = match (best, self.awaited) {
            (Some(best), Some((awaited, since))) if best == awaited => since,
            _ => now,
        };
        self.awaited = best.map(|best| (best, since));
        if best.is_some() && now - since < PATIENCE {
            self.wait(now + pause(random));
            return Vec::new();
        }
        self.phase = Phase::Proposing;
        let round = self.question();
        // Those that did not answer just now would only be waited for again.
        let whom = self.claims.iter().map(|(who, _)| *who).chain(others).collect();
        vec![Effect::Propose { round, whom }]
    }

    /// Those that claim to lead, the best one last.
    fn leaders(&self) -> Vec<SocketAddr> {
        let mut leaders: Vec<_> = self.claims.iter().filter(|(_, claim)| claim.is_leader).collect();
        leaders.sort_by_key(|(who, claim)| claim.rank(*who));
        leaders.into_iter().map(|(who, _)| *who).collect()
    }

    fn voted(&mut self, vote: Vote, agreed: Vec<SocketAddr>, now: Millis, random: u64) -> Vec<Effect> {
        match (self.phase, vote) {
            (Phase::Proposing, Vote::Agreed) => {
                self.phase = Phase::Committing;
                let round = self.question();
                // Who did not hear the proposal would refuse, and who did must not wait: it looks for its leader now.
                vec![Effect::Commit { round, whom: agreed }]
            }
            (Phase::Committing, Vote::Agreed) => self.lead("it has the best claim and nobody refused"),
            (Phase::Proposing | Phase::Committing, Vote::Refused) => {
                self.wait(now + pause(random));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// There are claims while a leader is known: is there another one?
    fn probed(&mut self, claims: Vec<(SocketAddr, Claim)>, now: Millis, random: u64) -> Vec<Effect> {
        self.probe = None;
        self.claims = claims;
        let (known, rest, own) = match (self.phase, self.own) {
            (Phase::Leading, Some(own)) => {
                self.claims.push((own, self.claim(now)));
                (own, LEADER_PROBE, own)
            }
            (Phase::Following(follow), Some(own)) => (follow.leader, FOLLOWER_PROBE, own),
            _ => return Vec::new(),
        };
        self.probe_at = now + rest + random % (rest / 4);
        let leaders = self.leaders();
        let Some((best, lower)) = leaders.split_last() else { return Vec::new() };
        if *best != known && !leaders.contains(&known) {
            // Silence of the leader is the ping's to judge.
            return Vec::new();
        }
        let mut effects: Vec<_> =
            lower.iter().filter(|who| **who != own).copied().map(Effect::Demote).collect();
        if *best != known {
            effects.extend(self.follow(*best, now, "there were two leaders, and it has the better claim"));
        }
        effects
    }

    /// Another tracker proposes a leader, command 66.
    pub(crate) fn proposed(&mut self, named: SocketAddr, now: Millis) -> (Result<(), Status>, Vec<Effect>) {
        let Some(own) = self.own else { return (Err(Status::ENOENT), Vec::new()) };
        if named != own && !self.others.contains(&named) {
            return (Err(Status::ENOENT), Vec::new());
        }
        let is_refused = named != own
            && match self.phase {
                Phase::Leading => true,
                Phase::Following(follow) => follow.leader != named && follow.is_heard(now),
                Phase::Proposing | Phase::Committing => !self.outranks_own(named, own, now),
                Phase::Idle | Phase::Waiting { .. } | Phase::Looking => false,
            };
        if is_refused {
            // Whoever proposes does not see the leader, or there is none any more: look now.
            self.probe_at = self.probe_at.min(now);
            if let Phase::Following(follow) = &mut self.phase {
                follow.hurry(now);
            }
            return (Err(Status::EINVAL), Vec::new());
        }
        self.next = Some((named, now + PROPOSAL_HOLDS));
        if named != own && matches!(self.phase, Phase::Proposing | Phase::Committing) {
            self.wait(now + PROPOSAL_HOLDS);
        }
        (Ok(()), Vec::new())
    }

    /// Whether `named`, which proposes itself at the same moment as this tracker, is the better one. Both come to the
    /// same answer, or both know too little and go by address.
    fn outranks_own(&self, named: SocketAddr, own: SocketAddr, now: Millis) -> bool {
        let own_claim = self.claim(now);
        let its = self.claims.iter().find(|(who, _)| *who == named).map_or(own_claim, |(_, claim)| *claim);
        its.rank(named) > own_claim.rank(own)
    }

    /// Another tracker says who leads, command 67.
    pub(crate) fn committed(&mut self, named: SocketAddr, now: Millis) -> (Result<(), Status>, Vec<Effect>) {
        let is_next = self.next.is_some_and(|(next, until)| next == named && now < until);
        if !is_next || (self.phase == Phase::Leading && self.own != Some(named)) {
            return (Err(Status::EINVAL), Vec::new());
        }
        self.next = None;
        let effects = match self.phase {
            Phase::Leading => Vec::new(),
            Phase::Following(follow) if follow.leader == named => Vec::new(),
            _ if self.own == Some(named) => self.lead("another tracker named it"),
            _ => self.follow(named, now, "it was elected"),
        };
        (Ok(()), effects)
    }

    /// Somebody asks this tracker to step down, command 68.
    pub(crate) fn reselect(&mut self, now: Millis, random: u64) -> (Result<(), Status>, Vec<Effect>) {
        if self.phase != Phase::Leading {
            return (Err(Status::EOPNOTSUPP), Vec::new());
        }
        if self.others.is_empty() {
            return (Ok(()), Vec::new());
        }
        (Ok(()), self.lose(now + random % 200, "it was asked to step down, since there were two leaders"))
    }
}

/// A pause before the next try: half a second to two and a half, so that trackers do not try in step.
fn pause(random: u64) -> Millis {
    500 + random % 2_000
}
