//! What clients were told: every acknowledged file with all its contents, and how sure its present one is.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use protocol::FileId;

use super::board::Board;
use crate::content::labelled;

/// What a file held at some time.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Made by [`labelled`].
    Made { length: u32, seed: u32 },
    /// Put together by changes.
    Changed(Arc<[u8]>),
}

impl Content {
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Made { length, seed } => labelled(*length, *seed),
            Self::Changed(bytes) => bytes.to_vec(),
        }
    }

    pub(super) fn is(&self, read: &[u8]) -> bool {
        match self {
            Self::Made { length, seed } => {
                usize::try_from(*length) == Ok(read.len()) && labelled(*length, *seed) == read
            }
            Self::Changed(bytes) => **bytes == *read,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Made { length, .. } => usize::try_from(*length).expect("fits"),
            Self::Changed(bytes) => bytes.len(),
        }
    }
}

/// How much is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It has the last content.
    Known,
    /// A change was not acknowledged: it has some content, the same on all members in the end.
    Torn,
    /// A delete or rename was not acknowledged: it is there or not, the same on all members in the end.
    MaybeGone,
    /// Its end was acknowledged.
    Gone,
}

/// One file.
pub(super) struct Entry {
    pub(super) id: FileId,
    /// The member that took it; all its changes go there.
    pub(super) home: usize,
    pub(super) may_change: bool,
    state: Mutex<State>,
}

/// The part of a file that changes.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) life: Life,
    /// Oldest first.
    pub(super) contents: Vec<Content>,
    /// `None`: not known, because a change was not acknowledged.
    pub(super) metadata: Option<BTreeMap<String, String>>,
    /// Others were made from it, or it has had metadata: only its home may delete it, or nobody.
    pub(super) ties: Ties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ties {
    /// Any member may delete it.
    None,
    /// Changes of it may still be on their way from its home.
    Home,
    /// A link leads to it.
    Target,
}

impl Entry {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no task panics with it")
    }

    /// It was uploaded under a name, which is kept with its metadata.
    pub(super) fn is_named(&self, name: &str) {
        let mut state = self.state();
        state.metadata = Some(BTreeMap::from([("fdfs.filename".to_owned(), name.to_owned())]));
        state.ties = state.ties.max(Ties::Home);
    }
}

/// All files of a run, and what was wrong.
#[derive(Clone)]
pub(super) struct History(Arc<Inner>);

struct Inner {
    board: Board,
    entries: Mutex<Vec<Arc<Entry>>>,
    ids: Mutex<HashSet<String>>,
    violations: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl History {
    pub(super) fn new(board: Board) -> Self {
        Self(Arc::new(Inner {
            board,
            entries: Mutex::default(),
            ids: Mutex::default(),
            violations: Mutex::default(),
            counts: Mutex::default(),
        }))
    }

    /// An acknowledged new file. Its ID must never have been given before.
    pub(super) fn acknowledged(
        &self,
        id: FileId,
        home: usize,
        may_change: bool,
        content: Content,
    ) -> Arc<Entry> {
        if !self.0.ids.lock().expect("no task panics with it").insert(id.to_string()) {
            self.violation(format!("{id} was given twice"));
        }
        let ties = if may_change { Ties::Home } else { Ties::None };
        let state =
            State { life: Life::Known, contents: vec![content], metadata: Some(BTreeMap::new()), ties };
        let entry = Arc::new(Entry { id, home, may_change, state: Mutex::new(state) });
        self.entries().push(Arc::clone(&entry));
        entry
    }

    pub(super) fn violation(&self, what: String) {
        self.0.board.tell(&format!("VIOLATION {what}"));
        self.0.violations.lock().expect("no task panics with it").push(what);
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.0.violations.lock().expect("no task panics with it").clone()
    }

    /// For the report: operations by kind and outcome.
    pub(super) fn count(&self, what: &str) {
        *self.0.counts.lock().expect("no task panics with it").entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.0.counts.lock().expect("no task panics with it").clone()
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries().clone()
    }

    /// A file for a reader: every other time one of the newest.
    pub(super) fn any(&self, random: &mut fastrand::Rng) -> Option<Arc<Entry>> {
        const NEW: usize = 30;
        let entries = self.entries();
        let from = if random.bool() { entries.len().saturating_sub(NEW) } else { 0 };
        let choice = (from < entries.len()).then(|| random.usize(from..entries.len()));
        choice.map(|index| Arc::clone(&entries[index]))
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        self.0.entries.lock().expect("no task panics with it")
    }
}
