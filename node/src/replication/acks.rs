//! Who has which new file: uploads that other members have to confirm wait here for the senders' answers.
//!
//! Whoever waits begins to listen before the commit, when the file has no name yet, so that no answer comes too early. As
//! long as somebody listens without names, all answers are kept; a sender's answer wakes those that wait for its name.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::{LogicName, StorageId};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

/// Answers that are kept for those who have no names yet. A commit takes milliseconds; on a disk that hangs it may take long.
const MOST_KEPT: usize = 64 * 1024;

/// Answers of members. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Acks(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    /// Answers that somebody may want who has no names yet.
    kept: VecDeque<Ack>,
    /// Number of the first of them, counted from the start.
    first: u64,
    /// From which answer on they listen, by their own number.
    nameless: BTreeMap<u64, u64>,
    newest: u64,
    waiting: HashMap<LogicName, Vec<UnboundedSender<Ack>>>,
}

/// A member has a file.
type Ack = (LogicName, StorageId);

impl Acks {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A member has this file.
    pub(super) fn heard(&self, peer: StorageId, name: &LogicName) {
        let mut heard = self.lock();
        for waiting in heard.waiting.get(name).into_iter().flatten() {
            // Who has gone needs no answer.
            let _ = waiting.send((name.clone(), peer));
        }
        if !heard.nameless.is_empty() {
            if heard.kept.len() == MOST_KEPT {
                heard.kept.pop_front();
                heard.first += 1;
            }
            heard.kept.push_back((name.clone(), peer));
        }
    }

    /// Begins to listen.
    pub(crate) fn listen(&self) -> Listener {
        let mut heard = self.lock();
        heard.newest += 1;
        let (number, from) = (heard.newest, heard.first + heard.kept.len() as u64);
        heard.nameless.insert(number, from);
        Listener { acks: self.clone(), number }
    }
}

impl Heard {
    /// What one heard that has no names yet. Too long a commit may have missed some: then its wait may be in vain.
    fn since_begin(&self, number: u64) -> impl Iterator<Item = &Ack> {
        let from = self.nameless.get(&number).copied().unwrap_or(u64::MAX);
        let skipped = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.kept.iter().skip(skipped)
    }

    /// One listens without names no longer: what nobody else wants goes.
    fn forget(&mut self, number: u64) {
        self.nameless.remove(&number);
        let oldest = self.nameless.values().copied().min().unwrap_or(u64::MAX);
        while self.first < oldest && self.kept.pop_front().is_some() {
            self.first += 1;
        }
    }
}

/// Hears of all files, from its beginning on.
pub(crate) struct Listener {
    acks: Acks,
    number: u64,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.acks.lock().forget(self.number);
    }
}

impl Listener {
    /// Waits, for so long at most, until so many members have each of these files; gives how many have them if these are
    /// fewer. `known` have them all already.
    pub(crate) async fn wait(
        self,
        names: Vec<LogicName>,
        members: usize,
        patience: Duration,
        known: BTreeSet<StorageId>,
    ) -> Result<(), usize> {
        let mut waiting = self.wait_for(names);
        let mut holders: HashMap<LogicName, BTreeSet<StorageId>> =
            waiting.names.iter().map(|name| (name.clone(), known.clone())).collect();
        let fewest = |holders: &HashMap<LogicName, BTreeSet<StorageId>>| {
            holders.values().map(BTreeSet::len).min().unwrap_or(members)
        };
        let all = async {
            while fewest(&holders) < members {
                let Some((name, peer)) = waiting.heard.recv().await else { return };
                holders.entry(name).or_default().insert(peer);
            }
        };
        // The count says whether it was the end.
        let _ = timeout(patience, all).await;
        match fewest(&holders) {
            enough if enough >= members => Ok(()),
            few => Err(few),
        }
    }

    fn wait_for(self, names: Vec<LogicName>) -> Waiting {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut heard = self.acks.lock();
        for ack in heard.since_begin(self.number).filter(|(name, _)| names.contains(name)) {
            let _ = sender.send(ack.clone());
        }
        for name in &names {
            heard.waiting.entry(name.clone()).or_default().push(sender.clone());
        }
        drop(heard);
        Waiting { acks: self.acks.clone(), names, heard: receiver }
    }
}

/// Hears of some files.
struct Waiting {
    acks: Acks,
    names: Vec<LogicName>,
    heard: UnboundedReceiver<Ack>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.heard.close();
        let mut heard = self.acks.lock();
        for name in &self.names {
            if let Some(waiting) = heard.waiting.get_mut(name) {
                waiting.retain(|sender| !sender.is_closed());
                if waiting.is_empty() {
                    heard.waiting.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn name(text: &str) -> LogicName {
        LogicName::parse(&format!("M00/00/00/{text}")).unwrap()
    }

    fn peer(number: u8) -> StorageId {
        StorageId::parse(&format!("10.0.0.{number}")).unwrap()
    }

    async fn wait(listener: Listener, names: &[&str], members: usize) -> Result<(), usize> {
        let names = names.iter().map(|text| name(text)).collect();
        listener.wait(names, members, PATIENCE, BTreeSet::new()).await
    }

    fn assert_empty(acks: &Acks) {
        let heard = acks.lock();
        assert!(heard.kept.is_empty() && heard.nameless.is_empty() && heard.waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn answers_before_and_after_the_name_is_known_count() {
        let acks = Acks::default();
        acks.heard(peer(1), &name("before"));
        let listener = acks.listen();
        acks.heard(peer(1), &name("one"));
        acks.heard(peer(1), &name("other"));
        let waiting = tokio::spawn(async move { wait(listener, &["one", "two"], 2).await });
        tokio::task::yield_now().await;
        for (number, file) in [(2, "one"), (1, "two"), (2, "other"), (3, "two")] {
            assert!(!waiting.is_finished());
            acks.heard(peer(number), &name(file));
            tokio::task::yield_now().await;
        }
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_empty(&acks);
    }

    #[tokio::test(start_paused = true)]
    async fn one_member_s_answers_count_once_and_time_runs_out() {
        let acks = Acks::default();
        let (first, second) = (acks.listen(), acks.listen());
        for _ in 0..3 {
            acks.heard(peer(1), &name("one"));
        }
        let begun = tokio::time::Instant::now();
        assert_eq!(wait(first, &["one"], 2).await, Err(1));
        assert_eq!(begun.elapsed(), PATIENCE);
        assert_eq!(wait(second, &["never"], 1).await, Err(0));
        assert_empty(&acks);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_can_want_is_not_kept() {
        let acks = Acks::default();
        acks.heard(peer(1), &name("one"));
        assert_empty(&acks);
        let old = acks.listen();
        acks.heard(peer(1), &name("one"));
        let young = acks.listen();
        acks.heard(peer(1), &name("two"));
        assert_eq!(acks.lock().kept.len(), 2);
        drop(old);
        assert_eq!(acks.lock().kept.len(), 1);
        assert_eq!(wait(young, &["two"], 1).await, Ok(()));
        assert_empty(&acks);
        let hanging = acks.listen();
        for number in 0..MOST_KEPT + 10 {
            acks.heard(peer(1), &name(&format!("f{number}")));
        }
        assert_eq!(acks.lock().kept.len(), MOST_KEPT);
        drop(hanging);
        assert_empty(&acks);
    }

    #[tokio::test(start_paused = true)]
    async fn members_that_are_known_to_have_the_files_count() {
        let acks = Acks::default();
        let known = BTreeSet::from([peer(1)]);
        let listener = acks.listen();
        acks.heard(peer(1), &name("one"));
        assert_eq!(listener.wait(vec![name("one")], 2, PATIENCE, known.clone()).await, Err(1));
        assert_eq!(acks.listen().wait(vec![name("one")], 1, PATIENCE, known).await, Ok(()));
        assert_empty(&acks);
    }
}
