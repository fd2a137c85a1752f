//! What is sent for a record, and what an answer means: pure.
//!
//! FastDFS pushes the content that a file has now, not what it had; so do these. Where its own senders give up exactness
//! (a part of a file that was cut meanwhile, a truncate of a file of another size), a whole copy follows.

use protocol::{LogicName, Status};

use crate::store::{Entry, Op};

/// One exchange with the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// The whole file, if the peer has none of this size (16).
    Create,
    /// The same without content: the peer has it (16, status 17).
    CreateHad,
    /// The whole file, whatever the peer has (18).
    Update,
    /// `offset`, `length` (25).
    Append(u64, u64),
    /// `offset`, `length` (35).
    Modify(u64, u64),
    /// Old size, new size (37).
    Truncate(u64, u64),
    /// This name is gone (17).
    Delete(LogicName),
    /// A link to this file (19).
    Link(LogicName),
    /// The file had this name (40).
    Rename(LogicName),
    /// How large is it there (22)?
    Ask(Purpose),
}

/// Why the size is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The peer had the last file already: it may have this one.
    BeforeCreate,
    /// Whatever the peer has may be wrong, but a file that it lacks is to be a new one there: FastDFS lists for members
    /// that recover a disk only what came as such.
    InDoubt,
    /// Whether a change left the file as it is here.
    Verify,
}

/// What the peer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(Status),
    /// Size of its file.
    Size(u64),
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The record is dealt with. `had`: whether the peer had the file already.
    Done { had: bool },
    /// One more exchange.
    Then(Form),
    /// The peer refuses.
    Refused(Status),
}

/// What is known of the peer and the record beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether the peer had the last created file already.
    pub(crate) had_last: bool,
    /// Whether the record failed before, or an earlier record of the file could not be sent: then the file is sent whole.
    pub(crate) in_doubt: bool,
}

/// The first exchange for a record. Parts that a peer of the source wrote go as whole copies: only those who fill a new
/// member send them.
pub(crate) fn first(entry: &Entry, known: Known) -> Form {
    use crate::store::Side::{Replica, Source};
    match (&entry.op, entry.side) {
        (Op::Create, _) if known.in_doubt => Form::Ask(Purpose::InDoubt),
        (Op::Create, _) if known.had_last => Form::Ask(Purpose::BeforeCreate),
        (Op::Create, _) => Form::Create,
        (Op::Update, _) => Form::Update,
        (Op::Append(..) | Op::Modify(..) | Op::Truncate(..), Replica) => Form::Update,
        (Op::Append(..) | Op::Modify(..) | Op::Truncate(..), Source) if known.in_doubt => Form::Update,
        (Op::Append(offset, len), Source) => Form::Append(*offset, *len),
        (Op::Modify(offset, len), Source) => Form::Modify(*offset, *len),
        (Op::Truncate(old, new), Source) => Form::Truncate(*old, *new),
        (Op::Delete, _) => Form::Delete(entry.name.clone()),
        (Op::Link(target), _) => Form::Link(target.clone()),
        (Op::Rename(_), Replica) => Form::Create,
        (Op::Rename(_), Source) if known.in_doubt => Form::Update,
        (Op::Rename(old), Source) => Form::Rename(old.clone()),
    }
}

/// What an answer to `form` means. `size` is that of the file here.
pub(crate) fn after(entry: &Entry, form: &Form, answer: Answer, size: u64) -> Step {
    const DONE: Step = Step::Done { had: false };
    // The peer has the file under its new name. One that was away may have it under the old name, too.
    let has_it = |had| match &entry.op {
        Op::Rename(old) => Step::Then(Form::Delete(old.clone())),
        _ => Step::Done { had },
    };
    match (form, answer) {
        (Form::Create | Form::CreateHad, Answer::Status(Status::EEXIST)) => has_it(true),
        (Form::Create | Form::Update, Answer::Status(Status::OK))
        | (Form::Update, Answer::Status(Status::EEXIST)) => has_it(false),
        (Form::Append(..) | Form::Modify(..), Answer::Status(Status::EEXIST)) => DONE,
        (Form::Append(..) | Form::Modify(..) | Form::Truncate(..), Answer::Status(Status::ENOENT)) => {
            Step::Then(Form::Update)
        }
        (Form::Truncate(..) | Form::Rename(_), Answer::Status(Status::OK | Status::EEXIST)) => {
            Step::Then(Form::Ask(Purpose::Verify))
        }
        (Form::Rename(_), Answer::Status(Status::ENOENT)) => Step::Then(Form::Create),
        (Form::Link(_), Answer::Status(Status::ENOENT | Status::EEXIST)) => Step::Then(Form::Update),
        (Form::Delete(_), Answer::Status(Status::ENOENT)) => DONE,
        (Form::Ask(Purpose::BeforeCreate), Answer::Size(there)) => {
            Step::Then(if there == size { Form::CreateHad } else { Form::Update })
        }
        (Form::Ask(Purpose::InDoubt), Answer::Size(_)) => Step::Then(Form::Update),
        (Form::Ask(Purpose::BeforeCreate | Purpose::InDoubt), Answer::Status(Status::ENOENT)) => {
            Step::Then(Form::Create)
        }
        (Form::Ask(Purpose::Verify), Answer::Size(there)) if there == size => has_it(false),
        (Form::Ask(Purpose::Verify), Answer::Size(_) | Answer::Status(Status::ENOENT)) => {
            Step::Then(Form::Update)
        }
        (Form::Ask(_), Answer::Status(Status::OK)) => Step::Refused(Status::EINVAL),
        (_, Answer::Status(Status::OK)) => DONE,
        (_, Answer::Status(status)) => Step::Refused(status),
        (_, Answer::Size(_)) => Step::Refused(Status::EINVAL),
    }
}

/// Whether a status speaks of the peer's state rather than of the record.
pub(crate) fn is_peer_s_trouble(status: Status) -> bool {
    const EAGAIN: u8 = 11;
    const ENOMEM: u8 = 12;
    const ENFILE: u8 = 23;
    const EMFILE: u8 = 24;
    const EROFS: u8 = 30;
    const EDQUOT: u8 = 122;
    [Status::ENOSPC, Status::EBUSY].contains(&status)
        || [EAGAIN, ENOMEM, ENFILE, EMFILE, EROFS, EDQUOT].contains(&status.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Side;

    fn name(text: &str) -> LogicName {
        LogicName::parse(&format!("M00/00/00/{text}")).unwrap()
    }

    fn entry(side: Side, op: Op<LogicName>) -> Entry {
        Entry { time: 1, side, op, name: name("file") }
    }

    const NORMAL: Known = Known { had_last: false, in_doubt: false };

    #[test]
    fn records_begin_as_the_reference_s_senders_begin() {
        let check = |side, op: Op<LogicName>, expected: Form| {
            assert_eq!(first(&entry(side, op.clone()), NORMAL), expected, "{op:?}");
        };
        use Side::{Replica, Source};
        check(Source, Op::Create, Form::Create);
        check(Replica, Op::Create, Form::Create);
        check(Source, Op::Update, Form::Update);
        check(Source, Op::Append(1, 2), Form::Append(1, 2));
        check(Replica, Op::Append(1, 2), Form::Update);
        check(Source, Op::Modify(1, 2), Form::Modify(1, 2));
        check(Source, Op::Truncate(1, 2), Form::Truncate(1, 2));
        check(Replica, Op::Delete, Form::Delete(name("file")));
        check(Source, Op::Link(name("target")), Form::Link(name("target")));
        check(Source, Op::Rename(name("old")), Form::Rename(name("old")));
        check(Replica, Op::Rename(name("old")), Form::Create);
        let had = Known { had_last: true, in_doubt: false };
        assert_eq!(first(&entry(Source, Op::Create), had), Form::Ask(Purpose::BeforeCreate));
        let in_doubt = Known { had_last: true, in_doubt: true };
        for op in [Op::Append(1, 2), Op::Modify(1, 2), Op::Truncate(2, 1), Op::Rename(name("old"))] {
            assert_eq!(first(&entry(Source, op), in_doubt), Form::Update);
        }
        assert_eq!(first(&entry(Source, Op::Create), in_doubt), Form::Ask(Purpose::InDoubt));
    }

    #[test]
    fn answers_lead_on_until_the_peer_has_the_same() {
        let create = entry(Side::Source, Op::Create);
        let rename = entry(Side::Source, Op::Rename(name("old")));
        let done = |had| Step::Done { had };
        let status = Answer::Status;
        let check = |entry: &Entry, form: Form, answer, expected: Step| {
            assert_eq!(after(entry, &form, answer, 10), expected, "{form:?} {answer:?}");
        };
        check(&create, Form::Create, status(Status::OK), done(false));
        check(&create, Form::Create, status(Status::EEXIST), done(true));
        check(&create, Form::CreateHad, status(Status::EEXIST), done(true));
        check(&create, Form::Update, status(Status::EEXIST), done(false));
        check(&rename, Form::Update, status(Status::OK), Step::Then(Form::Delete(name("old"))));
        check(&create, Form::Append(0, 1), status(Status::EEXIST), done(false));
        check(&create, Form::Append(0, 1), status(Status::ENOENT), Step::Then(Form::Update));
        check(&create, Form::Modify(0, 1), status(Status::ENOENT), Step::Then(Form::Update));
        check(&create, Form::Truncate(2, 1), status(Status::OK), Step::Then(Form::Ask(Purpose::Verify)));
        check(&create, Form::Truncate(2, 1), status(Status::ENOENT), Step::Then(Form::Update));
        check(&create, Form::Truncate(2, 1), status(Status::EEXIST), Step::Then(Form::Ask(Purpose::Verify)));
        check(&rename, Form::Rename(name("old")), status(Status::OK), Step::Then(Form::Ask(Purpose::Verify)));
        check(&rename, Form::Rename(name("old")), status(Status::ENOENT), Step::Then(Form::Create));
        let gone = Step::Then(Form::Delete(name("old")));
        for answer in [Status::OK, Status::EEXIST] {
            check(&rename, Form::Create, status(answer), gone.clone());
        }
        check(&rename, Form::Ask(Purpose::Verify), Answer::Size(10), gone);
        check(&rename, Form::Delete(name("old")), status(Status::OK), done(false));
        check(&rename, Form::Delete(name("old")), status(Status::ENOENT), done(false));
        check(&create, Form::Delete(name("file")), status(Status::ENOENT), done(false));
        check(&create, Form::Link(name("t")), status(Status::ENOENT), Step::Then(Form::Update));
        check(&create, Form::Ask(Purpose::BeforeCreate), Answer::Size(10), Step::Then(Form::CreateHad));
        check(&create, Form::Ask(Purpose::BeforeCreate), Answer::Size(9), Step::Then(Form::Update));
        check(&create, Form::Ask(Purpose::BeforeCreate), status(Status::ENOENT), Step::Then(Form::Create));
        check(&create, Form::Ask(Purpose::InDoubt), status(Status::ENOENT), Step::Then(Form::Create));
        check(&create, Form::Ask(Purpose::InDoubt), Answer::Size(10), Step::Then(Form::Update));
        check(&create, Form::Ask(Purpose::Verify), Answer::Size(10), done(false));
        check(&create, Form::Ask(Purpose::Verify), Answer::Size(9), Step::Then(Form::Update));
        check(&create, Form::Create, status(Status::EINVAL), Step::Refused(Status::EINVAL));
        check(&create, Form::Create, status(Status::ENOENT), Step::Refused(Status::ENOENT));
    }

    #[test]
    fn a_full_disk_is_the_peer_s_trouble_and_a_bad_name_is_not() {
        assert!(is_peer_s_trouble(Status::ENOSPC));
        assert!(!is_peer_s_trouble(Status::EINVAL) && !is_peer_s_trouble(Status::ENOENT));
    }
}
