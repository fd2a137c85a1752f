//! How FastDFS's own tracker elects, from the description of its protocol (native-cluster.md 6.1, 6.2): what ours have to
//! get along with. It never looks for a second leader by itself.

use std::net::SocketAddr;

use protocol::Status;

use super::super::{Claim, Effect, Event, Millis, Ping, STEP, Vote};
use crate::state::Leadership;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Idle,
    Waiting { until: Millis },
    Asked,
    Proposed,
    Committed,
    Leading,
    Following { leader: SocketAddr, ping_at: Option<Millis>, failures: u32 },
}

pub(super) struct Reference {
    own: Option<SocketAddr>,
    others: Vec<SocketAddr>,
    task: Task,
    round: u64,
    next: Option<SocketAddr>,
}

impl Reference {
    pub(super) fn new() -> Self {
        Self { own: None, others: Vec::new(), task: Task::Idle, round: 0, next: None }
    }

    pub(super) fn leadership(&self) -> Leadership {
        match self.task {
            Task::Leading => Leadership::Own,
            Task::Following { leader, .. } => Leadership::Other(leader),
            _ => Leadership::Unknown,
        }
    }

    pub(super) fn claim(&self, now: Millis) -> Claim {
        let running_time = i64::try_from(now / 1_000).unwrap() / STEP * STEP;
        Claim { is_leader: self.task == Task::Leading, running_time, restart_interval: 0 }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        match self.task {
            Task::Waiting { until } => Some(until),
            Task::Following { ping_at, .. } => ping_at,
            _ => None,
        }
    }

    fn question(&mut self, task: Task) -> u64 {
        self.task = task;
        self.round += 1;
        self.round
    }

    fn set(&mut self, task: Task, leadership: Leadership) -> Vec<Effect> {
        let before = self.leadership();
        self.question(task);
        if before == leadership { Vec::new() } else { vec![Effect::Lead(leadership, "theirs")] }
    }

    fn lose(&mut self, now: Millis) -> Vec<Effect> {
        self.set(Task::Waiting { until: now }, Leadership::Unknown)
    }

    fn follow(&mut self, leader: SocketAddr, now: Millis) -> Vec<Effect> {
        self.set(
            Task::Following { leader, ping_at: Some(now + 1_000), failures: 0 },
            Leadership::Other(leader),
        )
    }

    pub(super) fn handle(&mut self, event: Event, now: Millis, random: u64) -> Vec<Effect> {
        let retry = Task::Waiting { until: now + 1_000 * (1 + random % 11) };
        match (event, self.task) {
            (Event::Trackers { own, others }, _) => {
                (self.own, self.others) = (Some(own), others);
                if self.task == Task::Idle { self.lose(now) } else { Vec::new() }
            }
            (Event::Tick, Task::Waiting { until }) if now >= until => {
                let round = self.question(Task::Asked);
                vec![Effect::Ask { round, whom: self.others.clone() }]
            }
            (Event::Tick, Task::Following { leader, ping_at: Some(at), failures }) if now >= at => {
                let round = self.question(Task::Following { leader, ping_at: None, failures });
                vec![Effect::Ping { round, leader }]
            }
            (Event::Claims { round, mut claims, .. }, Task::Asked) if round == self.round => {
                let own = self.own.unwrap();
                claims.push((own, self.claim(now)));
                let (best, claim) =
                    claims.iter().max_by_key(|(who, claim)| claim.rank(*who)).copied().unwrap();
                if best == own {
                    let round = self.question(Task::Proposed);
                    return vec![Effect::Propose { round, whom: self.others.clone() }];
                }
                if claim.is_leader {
                    return self.follow(best, now);
                }
                self.question(retry);
                Vec::new()
            }
            (Event::Voted { round, vote, .. }, Task::Proposed | Task::Committed) if round == self.round => {
                match (vote, self.task) {
                    (Vote::Refused, _) => {
                        self.question(retry);
                        Vec::new()
                    }
                    (Vote::Agreed, Task::Proposed) => {
                        let round = self.question(Task::Committed);
                        vec![Effect::Commit { round, whom: self.others.clone() }]
                    }
                    (Vote::Agreed, _) => self.set(Task::Leading, Leadership::Own),
                }
            }
            (Event::Pinged { round, outcome }, Task::Following { leader, failures, .. })
                if round == self.round =>
            {
                let failures = if outcome == Ping::Leads { 0 } else { failures + 1 };
                if failures >= 3 {
                    return self.lose(now);
                }
                let ping_at = Some(now + (1_000 << failures));
                self.task = Task::Following { leader, ping_at, failures };
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn proposed(&mut self, named: SocketAddr, now: Millis) -> (Result<(), Status>, Vec<Effect>) {
        if self.own != Some(named) && !self.others.contains(&named) {
            return (Err(Status::ENOENT), Vec::new());
        }
        if self.task == Task::Leading && self.own != Some(named) {
            return (Err(Status::EINVAL), self.lose(now));
        }
        self.next = Some(named);
        (Ok(()), Vec::new())
    }

    pub(super) fn committed(&mut self, named: SocketAddr, now: Millis) -> (Result<(), Status>, Vec<Effect>) {
        if self.next.take() != Some(named) {
            return (Err(Status::EINVAL), Vec::new());
        }
        let effects = if self.own == Some(named) {
            self.set(Task::Leading, Leadership::Own)
        } else {
            self.follow(named, now)
        };
        (Ok(()), effects)
    }

    pub(super) fn reselect(&mut self, now: Millis) -> (Result<(), Status>, Vec<Effect>) {
        match self.task {
            Task::Leading => (Ok(()), self.lose(now)),
            _ => (Err(Status::EOPNOTSUPP), Vec::new()),
        }
    }
}
