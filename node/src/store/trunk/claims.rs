//! Slots that somebody writes into or erases at this moment. What members send of a slot may come late: the file before may
//! still be on its way here, or its delete, when the slot is given to another. One at a time has a slot; who comes second
//! takes it for occupied.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::slot::Slot;

/// The slots.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Claims(Arc<Mutex<Vec<Slot>>>);

/// The right to a slot, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    slot: Slot,
}

impl Claims {
    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to a slot; none while somebody has a part of it.
    pub(super) fn claim(&self, slot: &Slot) -> Option<Claim> {
        let mut slots = self.slots();
        let is_part = |other: &Slot| {
            (other.path, other.at.file_id) == (slot.path, slot.at.file_id)
                && u64::from(other.at.offset) < slot.end()
                && u64::from(slot.at.offset) < other.end()
        };
        if slots.iter().any(is_part) {
            return None;
        }
        slots.push(*slot);
        Some(Claim { claims: self.clone(), slot: *slot })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut slots = self.claims.slots();
        if let Some(at) = slots.iter().position(|slot| *slot == self.slot) {
            slots.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::file_id::{StorePathIndex, SubDir, TrunkSlot};

    use super::*;

    #[test]
    fn one_at_a_time_has_a_part_of_a_trunk_file() {
        let claims = Claims::default();
        let slot = |file_id, offset, size| Slot {
            path: StorePathIndex(0),
            dir: SubDir::default(),
            at: TrunkSlot { file_id, offset, size },
        };
        let first = claims.claim(&slot(1, 256, 512));
        assert!(first.is_some());
        for (file_id, offset, size, is_free) in [
            (1, 256, 512, false),
            (1, 0, 257, false),
            (1, 767, 256, false),
            (1, 300, 10, false),
            (1, 0, 256, true),
            (1, 768, 256, true),
            (2, 256, 512, true),
        ] {
            assert_eq!(
                claims.claim(&slot(file_id, offset, size)).is_some(),
                is_free,
                "{file_id} {offset} {size}"
            );
        }
        drop(first);
        assert!(claims.claim(&slot(1, 0, 4096)).is_some());
    }
}
