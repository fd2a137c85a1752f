//! The free space of trunk files: which stretches are free, and which are held for files on their way. Pure.
//!
//! Best fit by size; of equal stretches the one that became free last. What is given out is held until its file is there,
//! and is then nobody's business any more. Nothing that overlaps with what is free or held becomes free, so no two files
//! ever get the same byte.

use std::collections::BTreeMap;

use protocol::file_id::{StorePathIndex, SubDir, TrunkSlot};

use super::slot::Slot;

/// Place inside a store path: trunk file, offset.
type Place = (u32, u32);

/// What is known of the bytes of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Zeros: this process made the trunk file, or zeroed the stretch itself.
    Zeros,
    /// Nothing, so it has to be looked at.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    dir: SubDir,
    size: u32,
    /// Order in which stretches became free.
    turn: u64,
    content: Content,
}

#[derive(Debug, Default)]
struct PathSpace {
    by_place: BTreeMap<Place, Stretch>,
    /// Size and turn.
    by_size: BTreeMap<(u32, u64), Place>,
    held: BTreeMap<Place, Stretch>,
}

/// Free and held stretches of all store paths.
#[derive(Debug, Default)]
pub(super) struct FreeList {
    paths: BTreeMap<u8, PathSpace>,
    turns: u64,
    /// Of what is free or held.
    bytes: u64,
}

/// Why something does not become free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// A part of it is free or held.
    Overlaps,
    /// It has no bytes, or ends where no trunk file can.
    Malformed,
}

/// A stretch that was given out, and what became of the free one that it was part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) from: Slot,
    pub(super) piece: Slot,
    pub(super) rest: Option<Slot>,
    pub(super) content: Content,
}

/// What became of a stretch and the free ones beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freed {
    pub(super) left: Option<Slot>,
    pub(super) right: Option<Slot>,
    pub(super) whole: Slot,
}

fn end(place: Place, size: u32) -> u64 {
    u64::from(place.1) + u64::from(size)
}

fn place(slot: &Slot) -> Place {
    (slot.at.file_id, slot.at.offset)
}

fn slot(path: u8, (file_id, offset): Place, stretch: &Stretch) -> Slot {
    let at = TrunkSlot { file_id, offset, size: stretch.size };
    Slot { path: StorePathIndex(path), dir: stretch.dir, at }
}

/// Whether one of the stretches has a byte of this one.
fn overlaps(stretches: &BTreeMap<Place, Stretch>, at: Place, size: u32) -> bool {
    let before = stretches.range(..=at).next_back();
    let is_into =
        before.is_some_and(|(place, stretch)| place.0 == at.0 && end(*place, stretch.size) > at.1.into());
    let after = stretches.range(at..).next();
    is_into || after.is_some_and(|(place, _)| place.0 == at.0 && u64::from(place.1) < end(at, size))
}

impl PathSpace {
    fn put(&mut self, at: Place, stretch: Stretch) {
        self.by_size.insert((stretch.size, stretch.turn), at);
        self.by_place.insert(at, stretch);
    }

    fn remove(&mut self, at: Place) -> Option<Stretch> {
        let stretch = self.by_place.remove(&at)?;
        self.by_size.remove(&(stretch.size, stretch.turn));
        Some(stretch)
    }

    /// The smallest that is large enough, the newest of its size.
    fn best(&self, size: u32) -> Option<Place> {
        let ((best, _), _) = self.by_size.range((size, 0)..).next()?;
        self.by_size.range((*best, 0)..=(*best, u64::MAX)).next_back().map(|(_, at)| *at)
    }
}

impl FreeList {
    /// Bytes that are free or held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All that is free, in order of place.
    pub(super) fn free(&self) -> impl Iterator<Item = Slot> {
        self.paths.iter().flat_map(|(path, space)| {
            space.by_place.iter().map(move |(at, stretch)| slot(*path, *at, stretch))
        })
    }

    /// All that is held.
    pub(super) fn held(&self) -> impl Iterator<Item = Slot> {
        self.paths
            .iter()
            .flat_map(|(path, space)| space.held.iter().map(move |(at, stretch)| slot(*path, *at, stretch)))
    }

    /// Makes a stretch free.
    pub(super) fn insert(&mut self, slot: &Slot, content: Content) -> Result<(), Refused> {
        const MAX_END: u64 = 1 << 31;
        if slot.at.size == 0 || slot.end() > MAX_END {
            return Err(Refused::Malformed);
        }
        let (at, size) = (place(slot), slot.at.size);
        let space = self.paths.entry(slot.path.0).or_default();
        if overlaps(&space.by_place, at, size) || overlaps(&space.held, at, size) {
            return Err(Refused::Overlaps);
        }
        self.turns += 1;
        space.put(at, Stretch { dir: slot.dir, size, turn: self.turns, content });
        self.bytes += u64::from(size);
        Ok(())
    }

    /// The same, together with the free stretches that touch it.
    pub(super) fn insert_merged(&mut self, slot: &Slot, content: Content) -> Result<Freed, Refused> {
        self.insert(slot, content)?;
        self.merge_around(slot).ok_or(Refused::Malformed)
    }

    /// Joins a free stretch with those that touch it.
    fn merge_around(&mut self, around: &Slot) -> Option<Freed> {
        let space = self.paths.get_mut(&around.path.0)?;
        let path = around.path.0;
        let at = place(around);
        let mut whole = (at, *space.by_place.get(&at)?);
        let left = space.by_place.range(..at).next_back().filter(|(place, stretch)| {
            place.0 == at.0 && end(**place, stretch.size) == u64::from(at.1) && stretch.dir == whole.1.dir
        });
        let left = left.map(|(place, stretch)| (*place, *stretch));
        let right = space.by_place.range((at.0, at.1.checked_add(1)?)..).next().filter(|(place, stretch)| {
            place.0 == at.0 && u64::from(place.1) == around.end() && stretch.dir == whole.1.dir
        });
        let right = right.map(|(place, stretch)| (*place, *stretch));
        if left.is_none() && right.is_none() {
            return Some(Freed { left: None, right: None, whole: *around });
        }
        space.remove(at);
        for (place, stretch) in [left, right].into_iter().flatten() {
            space.remove(place);
            whole.1.size += stretch.size;
            if stretch.content == Content::Unknown {
                whole.1.content = Content::Unknown;
            }
        }
        if let Some((place, _)) = left {
            whole.0 = place;
        }
        space.put(whole.0, whole.1);
        let told = |part: Option<(Place, Stretch)>| part.map(|(place, stretch)| slot(path, place, &stretch));
        Some(Freed { left: told(left), right: told(right), whole: slot(path, whole.0, &whole.1) })
    }

    /// Joins all that touch each other; what was joined, in order.
    pub(super) fn merge(&mut self) -> Vec<Freed> {
        let mut joined = Vec::new();
        let all: Vec<Slot> = self.free().collect();
        for slot in all {
            let is_there =
                self.paths.get(&slot.path.0).is_some_and(|space| space.by_place.contains_key(&place(&slot)));
            let freed = if is_there { self.merge_around(&slot) } else { None };
            joined.extend(freed.filter(|freed| freed.left.is_some() || freed.right.is_some()));
        }
        joined
    }

    /// Takes a free stretch away by its place, as a record of the log says.
    pub(super) fn remove(&mut self, path: StorePathIndex, file_id: u32, offset: u32) -> Option<Slot> {
        let at = (file_id, offset);
        let stretch = self.paths.get_mut(&path.0)?.remove(at)?;
        self.bytes -= u64::from(stretch.size);
        Some(slot(path.0, at, &stretch))
    }

    /// Gives out `size` bytes of a store path, which are held from now on. What is left of the stretch stays free if
    /// `keeps` says so of its size, else it goes with the piece.
    pub(super) fn take(
        &mut self,
        path: StorePathIndex,
        size: u32,
        keeps: impl Fn(u32) -> bool,
    ) -> Option<Taken> {
        let space = self.paths.get_mut(&path.0)?;
        let at = space.best(size)?;
        let whole = space.remove(at)?;
        let from = slot(path.0, at, &whole);
        let left = whole.size - size;
        let (piece, rest) = if left > 0 && keeps(left) {
            self.turns += 1;
            let rest = Stretch { size: left, turn: self.turns, ..whole };
            let place = (at.0, at.1 + size);
            space.put(place, rest);
            (Stretch { size, ..whole }, Some(slot(path.0, place, &rest)))
        } else {
            (whole, None)
        };
        space.held.insert(at, piece);
        Some(Taken { from, piece: slot(path.0, at, &piece), rest, content: whole.content })
    }

    /// What is held there is a file's from now on, or lost. False if nothing like that is held.
    pub(super) fn confirm(&mut self, slot: &Slot) -> bool {
        let is_gone = self.unhold(slot).is_some();
        if is_gone {
            self.bytes -= u64::from(slot.at.size);
        }
        is_gone
    }

    /// What is held there is free again. False if nothing like that is held.
    pub(super) fn give_back(&mut self, slot: &Slot, content: Content) -> bool {
        if self.unhold(slot).is_none() {
            return false;
        }
        self.bytes -= u64::from(slot.at.size);
        self.insert(slot, content).is_ok()
    }

    /// Whether that is held.
    pub(super) fn is_held(&self, slot: &Slot) -> bool {
        let is_it = |stretch: &Stretch| stretch.size == slot.at.size && stretch.dir == slot.dir;
        self.paths.get(&slot.path.0).and_then(|space| space.held.get(&place(slot))).is_some_and(is_it)
    }

    fn unhold(&mut self, slot: &Slot) -> Option<Stretch> {
        let held = &mut self.paths.get_mut(&slot.path.0)?.held;
        let is_it = |stretch: &Stretch| stretch.size == slot.at.size && stretch.dir == slot.dir;
        held.get(&place(slot)).filter(|stretch| is_it(stretch))?;
        held.remove(&place(slot))
    }

    /// Bytes of the largest free stretch of a store path.
    pub(super) fn largest(&self, path: StorePathIndex) -> u32 {
        let last = self.paths.get(&path.0).and_then(|space| space.by_size.last_key_value());
        last.map_or(0, |((size, _), _)| *size)
    }

    /// Whether something of a stretch is free.
    pub(super) fn touches(&self, slot: &Slot) -> bool {
        let space = self.paths.get(&slot.path.0);
        space.is_some_and(|space| overlaps(&space.by_place, place(slot), slot.at.size))
    }

    /// Whether all of a stretch is free, in one piece.
    pub(super) fn contains(&self, slot: &Slot) -> bool {
        let before =
            self.paths.get(&slot.path.0).and_then(|space| space.by_place.range(..=place(slot)).next_back());
        before.is_some_and(|(at, stretch)| at.0 == slot.at.file_id && end(*at, stretch.size) >= slot.end())
    }

    /// Takes away what is free of a stretch that turned out to be in use: the free stretches that it touches, each with
    /// what stays free of it.
    pub(super) fn carve(
        &mut self,
        used: &Slot,
        keeps: impl Fn(u32) -> bool,
    ) -> Vec<(Slot, [Option<Slot>; 2])> {
        let Some(space) = self.paths.get(&used.path.0) else { return Vec::new() };
        let (start, stop) = (u64::from(used.at.offset), used.end());
        let touched = space
            .by_place
            .range((used.at.file_id, 0)..=(used.at.file_id, u32::MAX))
            .map(|(at, stretch)| (slot(used.path.0, *at, stretch), stretch.content))
            .filter(|(free, _)| free.end() > start && u64::from(free.at.offset) < stop);
        let touched: Vec<(Slot, Content)> = touched.collect();
        let mut carved = Vec::new();
        for (free, content) in touched {
            self.remove(free.path, free.at.file_id, free.at.offset);
            let mut left = [None, None];
            let before = start.saturating_sub(free.at.offset.into());
            let after = free.end().saturating_sub(stop);
            for (part, (offset, size)) in
                left.iter_mut().zip([(free.at.offset.into(), before), (stop, after)])
            {
                let (Ok(offset), Ok(size)) = (u32::try_from(offset), u32::try_from(size)) else { continue };
                let slot = Slot { at: TrunkSlot { offset, size, ..free.at }, ..free };
                if size > 0 && keeps(size) && self.insert(&slot, content).is_ok() {
                    *part = Some(slot);
                }
            }
            carved.push((free, left));
        }
        carved
    }
}

#[cfg(test)]
mod tests;
