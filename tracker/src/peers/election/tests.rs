//! Single steps of the machine.

use std::net::{Ipv4Addr, SocketAddr};

use protocol::Status;

use super::{Claim, Effect, Election, Event, Leadership, Ping, Vote};

fn at(last: u8) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, last), 22_122).into()
}

fn claim(is_leader: bool, running_time: i64) -> Claim {
    Claim { is_leader, running_time, restart_interval: 0 }
}

/// Tracker 1 among 1, 2 and 3; it has asked for claims.
fn looking() -> (Election, u64) {
    let mut election = Election::new(0);
    let trackers = Event::Trackers { own: at(1), others: vec![at(2), at(3)] };
    match election.handle(trackers, 0, 0).as_slice() {
        [Effect::Ask { round, whom }] if *whom == [at(2), at(3)] => (election, *round),
        other => panic!("{other:?}"),
    }
}

fn round(effects: &[Effect]) -> u64 {
    match effects {
        [
            Effect::Ask { round, .. }
            | Effect::Propose { round, .. }
            | Effect::Commit { round, .. }
            | Effect::Ping { round, .. },
            ..,
        ] => *round,
        other => panic!("{other:?}"),
    }
}

/// Tracker 1 that was elected.
fn leading() -> Election {
    let (mut election, asked) = looking();
    let effects =
        election.handle(Event::Claims { round: asked, claims: Vec::new(), others: Vec::new() }, 10, 0);
    let effects = election.handle(
        Event::Voted { round: round(&effects), vote: Vote::Agreed, agreed: vec![at(2)] },
        20,
        0,
    );
    let effects = election.handle(
        Event::Voted { round: round(&effects), vote: Vote::Agreed, agreed: vec![at(2)] },
        30,
        0,
    );
    assert!(matches!(effects.as_slice(), [Effect::Lead(Leadership::Own, _)]), "{effects:?}");
    election
}

#[test]
fn a_lone_tracker_leads_at_once() {
    let mut election = Election::new(0);
    let effects = election.handle(Event::Trackers { own: at(1), others: Vec::new() }, 0, 0);
    assert!(matches!(effects.as_slice(), [Effect::Lead(Leadership::Own, _)]), "{effects:?}");
    assert_eq!(election.reselect(5, 0).0, Ok(()));
    assert_eq!((election.leadership(), election.deadline()), (Leadership::Own, None));
}

#[test]
fn ranks_go_by_lead_then_time_then_address() {
    let ranked = [
        (claim(true, 0), at(1)),
        (claim(false, 600), at(1)),
        (claim(false, 300), at(9)),
        (Claim { restart_interval: 300, ..claim(false, 300) }, at(9)),
        (claim(false, 0), at(9)),
        (claim(false, 0), at(2)),
        // As text, like the reference.
        (claim(false, 0), at(10)),
    ];
    for pair in ranked.windows(2) {
        assert!(pair[0].0.rank(pair[0].1) > pair[1].0.rank(pair[1].1), "{pair:?}");
    }
}

#[test]
fn who_leads_already_is_followed_and_a_second_leader_is_told_to_step_down() {
    let (mut election, round) = looking();
    let claims = vec![(at(2), claim(true, 0)), (at(3), claim(true, 300))];
    let effects = election.handle(Event::Claims { round, claims, others: Vec::new() }, 10, 0);
    assert!(
        matches!(effects.as_slice(), [Effect::Demote(lower), Effect::Lead(Leadership::Other(best), _)]
            if *lower == at(2) && *best == at(3)),
        "{effects:?}"
    );
}

#[test]
fn a_better_candidate_is_waited_for_but_not_for_ever() {
    let (mut election, mut round) = looking();
    let mut now = 0;
    loop {
        let claims = vec![(at(2), claim(false, 0))];
        let effects = election.handle(Event::Claims { round, claims, others: Vec::new() }, now, 0);
        if matches!(effects.as_slice(), [Effect::Propose { .. }]) {
            break;
        }
        assert_eq!(effects, []);
        now = election.deadline().unwrap();
        round = self::round(&election.handle(Event::Tick, now, 0));
        assert!(now < 10_000, "it proposes itself some day");
    }
    assert!(now >= 5_000, "not before {now} ms");
}

#[test]
fn a_leader_stays_when_another_is_proposed_but_looks_around() {
    let mut election = leading();
    assert_eq!(election.proposed(at(3), 40).0, Err(Status::EINVAL));
    assert_eq!(election.committed(at(3), 41).0, Err(Status::EINVAL));
    assert_eq!(election.leadership(), Leadership::Own);
    assert_eq!(election.proposed(at(9), 42).0, Err(Status::ENOENT), "an unknown tracker");
    let effects = election.handle(Event::Tick, 43, 0);
    assert!(matches!(effects.as_slice(), [Effect::Ask { .. }]), "{effects:?}");
}

#[test]
fn of_two_leaders_the_lower_steps_down() {
    let mut election = leading();
    let now = 5_000;
    let asked = round(&election.handle(Event::Tick, now, 0));
    let effects = election.handle(
        Event::Claims { round: asked, claims: vec![(at(2), claim(true, 0))], others: Vec::new() },
        now,
        0,
    );
    assert!(
        matches!(effects.as_slice(), [Effect::Lead(Leadership::Other(best), _)] if *best == at(2)),
        "{effects:?}"
    );

    let mut election = leading();
    let now = 400_000;
    let asked = round(&election.handle(Event::Tick, now, 0));
    let effects = election.handle(
        Event::Claims { round: asked, claims: vec![(at(2), claim(true, 0))], others: Vec::new() },
        now,
        0,
    );
    assert_eq!(effects, [Effect::Demote(at(2))]);
    assert_eq!(election.leadership(), Leadership::Own);
}

#[test]
fn a_proposal_is_confirmed_once_and_only_for_a_while() {
    let (mut election, _) = looking();
    assert_eq!(election.committed(at(3), 10).0, Err(Status::EINVAL), "never proposed");
    assert_eq!(election.proposed(at(3), 10).0, Ok(()));
    assert_eq!(election.committed(at(2), 11).0, Err(Status::EINVAL), "another one");
    assert_eq!(election.committed(at(3), 9_000).0, Err(Status::EINVAL), "too late");
    assert_eq!(election.proposed(at(3), 9_001).0, Ok(()));
    assert_eq!(election.committed(at(3), 9_002).0, Ok(()));
    assert_eq!(election.leadership(), Leadership::Other(at(3)));
}

#[test]
fn a_follower_gives_its_leader_up_after_three_silences_and_guards_it_before() {
    let (mut election, asked) = looking();
    election.handle(
        Event::Claims { round: asked, claims: vec![(at(2), claim(true, 0))], others: Vec::new() },
        0,
        0,
    );
    let ping = |election: &mut Election, outcome| {
        let now = election.deadline().unwrap();
        let asked = round(&election.handle(Event::Tick, now, 0));
        (now, election.handle(Event::Pinged { round: asked, outcome }, now, 0))
    };
    let (now, effects) = ping(&mut election, Ping::Leads);
    assert_eq!(effects, []);
    assert_eq!(election.proposed(at(3), now + 1).0, Err(Status::EINVAL), "its leader answers");
    for _ in 0..2 {
        assert_eq!(ping(&mut election, Ping::Silent).1, []);
    }
    assert_eq!(election.proposed(at(3), now + 2).0, Ok(()), "its leader does not answer");
    let (_, effects) = ping(&mut election, Ping::Silent);
    assert!(matches!(effects.as_slice(), [Effect::Lead(Leadership::Unknown, _)]), "{effects:?}");
}
