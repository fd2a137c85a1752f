//! One request at a time for each upload. A client that comes back after its connection broke is here before the end of
//! the old request is known, so whoever wants an upload makes the request that has it stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::timeout;

use crate::partials::PartialId;

/// Turns by upload; uploads that nobody uses take no room.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<PartialId, Arc<Queue>>>>);

#[derive(Debug)]
struct Queue {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// How many want it.
    waiting: watch::Sender<usize>,
}

/// The use of an upload.
#[derive(Debug)]
pub(crate) struct Turn {
    place: Place,
    _guard: OwnedMutexGuard<()>,
}

/// A place in the queue, gone when dropped.
#[derive(Debug)]
struct Place {
    turns: Turns,
    id: PartialId,
    queue: Arc<Queue>,
}

/// Counts as waiting until dropped.
struct Waiting<'a>(&'a Queue);

impl Turns {
    fn map(&self) -> MutexGuard<'_, HashMap<PartialId, Arc<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the upload, which whoever has it is asked to give; `None` if that takes too long.
    pub(crate) async fn take(&self, id: PartialId, patience: Duration) -> Option<Turn> {
        let queue = Arc::clone(
            self.map()
                .entry(id)
                .or_insert_with(|| Arc::new(Queue { turn: Arc::default(), waiting: watch::Sender::new(0) })),
        );
        let place = Place { turns: self.clone(), id, queue };
        let waiting = Waiting::new(&place.queue);
        let guard = timeout(patience, Arc::clone(&place.queue.turn).lock_owned()).await;
        drop(waiting);
        Some(Turn { _guard: guard.ok()?, place })
    }
}

impl Turn {
    /// Done when somebody else wants the upload.
    pub(crate) async fn is_wanted(&self) {
        let mut waiting = self.place.queue.waiting.subscribe();
        // The sender is in the queue, which this turn has.
        let _ = waiting.wait_for(|count| *count > 0).await;
    }
}

impl<'a> Waiting<'a> {
    fn new(queue: &'a Queue) -> Self {
        queue.waiting.send_modify(|count| *count += 1);
        Self(queue)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|count| *count -= 1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut map = self.turns.map();
        // The map's and this one are the last two.
        if map.get(&self.id).is_some_and(|queue| Arc::strong_count(queue) == 2) {
            map.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn the_next_one_makes_the_first_stop() {
        let (turns, id) = (Turns::default(), PartialId::new([1; 16]));
        let first = turns.take(id, LONG).await.unwrap();
        let other = turns.take(PartialId::new([2; 16]), LONG).await.unwrap();
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(id, LONG).await.is_some() }
        });
        first.is_wanted().await;
        drop(first);
        assert!(waiting.await.unwrap());
        drop(other);
        assert!(turns.map().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_goes_and_is_forgotten() {
        let (turns, id) = (Turns::default(), PartialId::new([1; 16]));
        let first = turns.take(id, LONG).await.unwrap();
        assert!(turns.take(id, Duration::from_secs(1)).await.is_none());
        let wanted = timeout(Duration::from_secs(1), first.is_wanted()).await;
        assert!(wanted.is_err(), "nobody wants it any more");
        drop(first);
        assert!(turns.map().is_empty());
    }
}
