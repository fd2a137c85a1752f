use proptest::prelude::*;

use super::*;

const MIN: u32 = 64;

fn slot(file_id: u32, offset: u32, size: u32) -> Slot {
    let dir = SubDir { high: 0, low: 1 };
    Slot { path: StorePathIndex(0), dir, at: TrunkSlot { file_id, offset, size } }
}

fn keeps(size: u32) -> bool {
    size >= MIN
}

fn list(slots: &[Slot]) -> FreeList {
    let mut list = FreeList::default();
    slots.iter().for_each(|slot| list.insert(slot, Content::Zeros).unwrap());
    list
}

fn take(list: &mut FreeList, size: u32) -> Option<Taken> {
    list.take(StorePathIndex(0), size, keeps)
}

#[test]
fn the_best_fit_is_taken_and_of_equals_the_newest() {
    let mut list = list(&[slot(1, 0, 512), slot(1, 1024, 256), slot(1, 2048, 256), slot(2, 0, 4096)]);
    assert_eq!(take(&mut list, 256).unwrap().piece, slot(1, 2048, 256));
    assert_eq!(take(&mut list, 200).unwrap().piece, slot(1, 1024, 256), "the rest is too small to keep");
    let split = take(&mut list, 256).unwrap();
    assert_eq!((split.from, split.piece), (slot(1, 0, 512), slot(1, 0, 256)));
    assert_eq!(split.rest, Some(slot(1, 256, 256)));
    assert_eq!(take(&mut list, 8192), None);
    assert_eq!(list.bytes(), 512 + 256 + 256 + 4096, "what is held counts");
}

#[test]
fn store_paths_are_apart() {
    let mut list = list(&[slot(1, 0, 512)]);
    assert_eq!(list.take(StorePathIndex(1), 256, keeps), None);
    let other = Slot { path: StorePathIndex(1), ..slot(1, 0, 512) };
    list.insert(&other, Content::Unknown).unwrap();
    let taken = list.take(StorePathIndex(1), 512, keeps).unwrap();
    assert_eq!((taken.piece, taken.content), (other, Content::Unknown));
}

#[test]
fn what_overlaps_with_free_or_held_is_refused() {
    let mut list = list(&[slot(1, 0, 1024), slot(1, 4096, 1024)]);
    let held = take(&mut list, 512).unwrap().piece;
    let mut check = |slot, expected| assert_eq!(list.insert(&slot, Content::Zeros), expected, "{slot:?}");
    check(held, Err(Refused::Overlaps));
    check(slot(1, 600, 10), Err(Refused::Overlaps));
    check(slot(1, 1000, 100), Err(Refused::Overlaps));
    check(slot(1, 4000, 97), Err(Refused::Overlaps));
    check(slot(1, 2000, 9999), Err(Refused::Overlaps));
    check(slot(1, 2000, 0), Err(Refused::Malformed));
    check(slot(1, 1 << 31, 256), Err(Refused::Malformed));
    check(slot(1, 1024, 3072), Ok(()));
    check(slot(2, 0, 1024), Ok(()));
}

#[test]
fn held_pieces_end_one_way_or_the_other_once() {
    let mut list = list(&[slot(1, 0, 1024)]);
    let piece = take(&mut list, 256).unwrap().piece;
    assert!(!list.confirm(&slot(1, 0, 512)), "another size is another piece");
    assert!(list.confirm(&piece));
    assert!(!list.confirm(&piece));
    assert!(!list.give_back(&piece, Content::Zeros));
    let piece = take(&mut list, 256).unwrap().piece;
    assert!(list.give_back(&piece, Content::Unknown));
    let again = take(&mut list, 256).unwrap();
    assert_eq!((again.piece, again.content), (piece, Content::Unknown));
    assert_eq!(list.bytes(), 768);
}

#[test]
fn neighbours_become_one() {
    let mut list = list(&[slot(1, 0, 256), slot(1, 512, 256), slot(2, 256, 256)]);
    let freed = list.insert_merged(&slot(1, 256, 256), Content::Unknown).unwrap();
    assert_eq!((freed.left, freed.right), (Some(slot(1, 0, 256)), Some(slot(1, 512, 256))));
    assert_eq!(freed.whole, slot(1, 0, 768));
    assert_eq!(take(&mut list, 768).unwrap().content, Content::Unknown);
    let freed = list.insert_merged(&slot(3, 0, 256), Content::Zeros).unwrap();
    assert_eq!((freed.left, freed.right, freed.whole), (None, None, slot(3, 0, 256)));
    list.insert(&slot(3, 256, 100), Content::Zeros).unwrap();
    list.insert(&slot(3, 356, 100), Content::Zeros).unwrap();
    assert_eq!(list.merge().last().unwrap().whole, slot(3, 0, 456));
}

#[test]
fn what_is_in_use_is_carved_out() {
    let mut list = list(&[slot(1, 0, 1000), slot(1, 1000, 1000), slot(2, 0, 1000)]);
    let carved = list.carve(&slot(1, 900, 300), keeps);
    assert_eq!(
        carved,
        [
            (slot(1, 0, 1000), [Some(slot(1, 0, 900)), None]),
            (slot(1, 1000, 1000), [None, Some(slot(1, 1200, 800))])
        ]
    );
    assert_eq!(
        list.carve(&slot(1, 32, 832), keeps),
        [(slot(1, 0, 900), [None, None])],
        "scraps are not kept"
    );
    assert_eq!(list.carve(&slot(1, 0, 1200), keeps), []);
    assert_eq!(list.bytes(), 1800);
}

#[derive(Debug, Clone)]
enum Step {
    Take(u32),
    Confirm(usize),
    GiveBack(usize),
    Free(usize),
    FreeAndMerge(usize),
    Container,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..3000u32).prop_map(Step::Take),
        3 => any::<usize>().prop_map(Step::Confirm),
        1 => any::<usize>().prop_map(Step::GiveBack),
        1 => any::<usize>().prop_map(Step::Free),
        1 => any::<usize>().prop_map(Step::FreeAndMerge),
        1 => Just(Step::Container),
    ];
    proptest::collection::vec(step, 0..200)
}

fn pick(slots: &mut Vec<Slot>, at: usize) -> Option<Slot> {
    if slots.is_empty() { None } else { Some(slots.swap_remove(at % slots.len())) }
}

/// What there is of a group's space, kept beside the list, in the simplest way.
#[derive(Default)]
struct Model {
    held: Vec<Slot>,
    files: Vec<Slot>,
    containers: u32,
}

proptest! {
    #[test]
    fn every_byte_has_one_owner(steps in steps()) {
        const SIZE: u32 = 8192;
        let (mut list, mut model) = (FreeList::default(), Model::default());
        for step in steps {
            match step {
                Step::Container => {
                    model.containers += 1;
                    list.insert(&slot(model.containers, 0, SIZE), Content::Zeros).unwrap();
                }
                Step::Take(size) => model.held.extend(take(&mut list, size).map(|taken| taken.piece)),
                Step::Confirm(at) => if let Some(slot) = pick(&mut model.held, at) {
                    prop_assert!(list.confirm(&slot));
                    model.files.push(slot);
                },
                Step::GiveBack(at) => if let Some(slot) = pick(&mut model.held, at) {
                    prop_assert!(list.give_back(&slot, Content::Unknown));
                },
                Step::Free(at) => if let Some(slot) = pick(&mut model.files, at) {
                    list.insert(&slot, Content::Unknown).unwrap();
                },
                Step::FreeAndMerge(at) => if let Some(slot) = pick(&mut model.files, at) {
                    list.insert_merged(&slot, Content::Unknown).unwrap();
                },
            }
            // Together they are all containers, each byte once.
            let mut all: Vec<Slot> = list.free().chain(model.held.iter().copied()).chain(model.files.iter().copied()).collect();
            all.sort_by_key(|slot| (slot.at.file_id, slot.at.offset));
            let mut expected = (1, 0);
            for slot in &all {
                prop_assert_eq!((slot.at.file_id, u64::from(slot.at.offset)), expected);
                expected = (expected.0, slot.end());
                if slot.end() == u64::from(SIZE) {
                    expected = (expected.0 + 1, 0);
                }
            }
            prop_assert_eq!(expected, (model.containers + 1, 0));
            let files: u64 = model.files.iter().map(|slot| u64::from(slot.at.size)).sum();
            prop_assert_eq!(list.bytes() + files, u64::from(SIZE) * u64::from(model.containers));
            let mut held: Vec<Slot> = list.held().collect();
            held.sort_by_key(|slot| (slot.at.file_id, slot.at.offset));
            let mut known = model.held.clone();
            known.sort_by_key(|slot| (slot.at.file_id, slot.at.offset));
            prop_assert_eq!(held, known);
        }
    }
}
