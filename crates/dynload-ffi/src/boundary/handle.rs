//! Handles: numbers that identify objects, and that do no harm when they are invalid.
//!
//! A handle is a positive 63-bit number: 7 bits for the kind of object, 28 for the generation of its slot, 28 for the
//! slot. A slot's generation is incremented when its object is removed, so a handle that was destroyed never becomes
//! valid again. A slot whose generations are used up is never reused.

use std::sync::Arc;

use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::live_objects::LiveObjects;
use crate::boundary::sync::{RwLock, read, write};

const SLOT_BITS: u32 = 28;
const GENERATION_BITS: u32 = 28;
const MAX_SLOTS: usize = 1 << SLOT_BITS;
const MAX_GENERATION: u32 = (1 << GENERATION_BITS) - 1;

/// A kind of object that has handles.
pub(crate) trait Kind {
    /// Its name in messages.
    const NAME: &'static str;
    /// Its number, from 1 to 127.
    const TAG: u8;
}

/// The live objects of one kind.
///
/// Lookups return an [`Arc`], so an object stays usable while another thread destroys its handle.
pub(crate) struct Table<T> {
    slots: RwLock<Slots<T>>,
    /// The same objects, for lookups without the lock. It is changed under the lock.
    objects: LiveObjects<T>,
}

struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    last_generation: u32,
}

struct Slot<T> {
    generation: u32,
    object: Option<Arc<T>>,
}

impl<T: Kind> Table<T> {
    pub(crate) fn new() -> Table<T> {
        Table::with_last_generation(MAX_GENERATION)
    }

    fn with_last_generation(last_generation: u32) -> Table<T> {
        Table {
            slots: RwLock::new(Slots {
                slots: Vec::new(),
                free: Vec::new(),
                last_generation,
            }),
            objects: LiveObjects::new(),
        }
    }

    /// Adds an object and returns its handle.
    pub(crate) fn insert(&self, object: Arc<T>) -> Result<i64> {
        let mut table = write(&self.slots);
        let index = match table.free.pop() {
            Some(index) => index,
            None if table.slots.len() < MAX_SLOTS => {
                table.slots.push(Slot {
                    generation: 1,
                    object: None,
                });
                // Fits: it is below `MAX_SLOTS`.
                (table.slots.len() - 1) as u32
            }
            None => {
                return Err(Error::new(
                    ErrorCode::Internal,
                    format!("there are too many {} handles: destroy some", T::NAME),
                ));
            }
        };
        let slot = &mut table.slots[index as usize];
        let handle = i64::from(T::TAG) << (SLOT_BITS + GENERATION_BITS)
            | i64::from(slot.generation) << SLOT_BITS
            | i64::from(index);
        self.objects.publish(index as usize, handle, &object);
        slot.object = Some(object);
        Ok(handle)
    }

    /// Passes the object of a handle to `f`, if it exists. Takes no lock, allocates nothing and never waits, for
    /// signal handlers; `f` must obey the same rules.
    pub(crate) fn look<R>(&self, handle: i64, f: impl FnOnce(&T) -> R) -> Option<R> {
        // Any number is acceptable here, because the objects compares the whole handle.
        let index = handle & (MAX_SLOTS as i64 - 1);
        (handle > 0).then(|| self.objects.look(index as usize, handle, f))?
    }

    /// Returns the object of a handle.
    pub(crate) fn get(&self, handle: i64) -> Result<Arc<T>> {
        let (index, generation) = Self::parse(handle)?;
        let table = read(&self.slots);
        let slot = table
            .slots
            .get(index)
            .filter(|slot| slot.generation == generation);
        slot.and_then(|slot| slot.object.clone())
            .ok_or_else(|| stale::<T>(handle))
    }

    /// Removes a handle, which is no longer valid when this returns. The caller gets the object and drops it outside
    /// the lock.
    pub(crate) fn remove(&self, handle: i64) -> Result<Arc<T>> {
        let (index, generation) = Self::parse(handle)?;
        let mut table = write(&self.slots);
        let last = table.last_generation;
        let slot = table
            .slots
            .get_mut(index)
            .filter(|slot| slot.generation == generation);
        let Some((slot, object)) = slot.and_then(|slot| slot.object.take().map(|object| (slot, object)))
        else {
            return Err(stale::<T>(handle));
        };
        self.objects.withdraw(index);
        if generation < last {
            slot.generation += 1;
            table.free.push(index as u32);
        }
        Ok(object)
    }

    fn parse(handle: i64) -> Result<(usize, u32)> {
        if handle == 0 {
            return Err(Error::new(
                ErrorCode::InvalidHandle,
                format!(
                    "the {} handle is 0: it was never created, or creating it failed",
                    T::NAME
                ),
            ));
        }
        if handle >> (SLOT_BITS + GENERATION_BITS) != i64::from(T::TAG) {
            return Err(Error::new(
                ErrorCode::InvalidHandle,
                format!("{handle} is not {} handle", with_article(T::NAME)),
            ));
        }
        let index = handle & (MAX_SLOTS as i64 - 1);
        let generation = handle >> SLOT_BITS & i64::from(MAX_GENERATION);
        // Both have 28 bits.
        Ok((index as usize, generation as u32))
    }
}

#[cold]
fn stale<T: Kind>(handle: i64) -> Error {
    Error::new(
        ErrorCode::InvalidHandle,
        format!("no such {}: {handle} was destroyed or never created", T::NAME),
    )
}

/// Returns the name of a kind with its indefinite article. Looks only at the first letter, which is correct for the
/// existing kinds.
fn with_article(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {name}")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Apple(u32);
    #[derive(Debug)]
    struct Pear;
    impl Kind for Apple {
        const NAME: &'static str = "apple";
        const TAG: u8 = 1;
    }
    impl Kind for Pear {
        const NAME: &'static str = "pear";
        const TAG: u8 = 2;
    }

    #[test]
    fn handles_are_positive_and_differ() {
        let table = Table::new();
        let a = table.insert(Arc::new(Apple(1))).unwrap();
        let b = table.insert(Arc::new(Apple(2))).unwrap();
        assert!(a > 0 && b > 0 && a != b);
        assert_eq!(*table.get(a).unwrap(), Apple(1));
        assert_eq!(*table.get(b).unwrap(), Apple(2));
    }

    #[test]
    fn stale_forged_and_foreign_handles_are_errors() {
        let apples = Table::new();
        let pears = Table::new();
        let apple = apples.insert(Arc::new(Apple(1))).unwrap();
        let pear = pears.insert(Arc::new(Pear)).unwrap();
        assert!(apples.get(pear).is_err() && pears.get(apple).is_err());
        for forged in [
            0,
            1,
            -1,
            i64::MIN,
            i64::MAX,
            apple + 1,
            apple - 1,
            -apple,
            apple + (1 << SLOT_BITS),
        ] {
            assert_eq!(
                apples.get(forged).unwrap_err().code(),
                ErrorCode::InvalidHandle,
                "{forged}"
            );
            assert!(apples.remove(forged).is_err());
        }
        assert_eq!(*apples.remove(apple).unwrap(), Apple(1));
        assert!(apples.get(apple).is_err() && apples.remove(apple).is_err());
        let again = apples.insert(Arc::new(Apple(2))).unwrap();
        assert_ne!(again, apple);
        assert!(apples.get(apple).is_err());
    }

    #[test]
    fn messages_name_the_kind() {
        let apples = Table::<Apple>::new();
        let apple = apples.insert(Arc::new(Apple(1))).unwrap();
        apples.remove(apple).unwrap();
        let message = apples.get(apple).unwrap_err().into_message();
        assert!(message.contains("no such apple"), "{message}");
        let pears = Table::new();
        let pear = pears.insert(Arc::new(Pear)).unwrap();
        let message = apples.get(pear).unwrap_err().into_message();
        assert!(message.ends_with("is not an apple handle"), "{message}");
        let message = pears.get(apple).unwrap_err().into_message();
        assert!(message.ends_with("is not a pear handle"), "{message}");
    }

    #[test]
    fn a_slot_without_generations_left_is_not_reused() {
        let table = Table::with_last_generation(3);
        let mut seen = Vec::new();
        for n in 0..10 {
            let handle = table.insert(Arc::new(Apple(n))).unwrap();
            assert!(!seen.contains(&handle), "handle {n} was used before");
            table.remove(handle).unwrap();
            seen.push(handle);
        }
        assert!(seen.iter().all(|handle| table.get(*handle).is_err()));
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::thread;

    struct Thing(u32);
    impl Kind for Thing {
        const NAME: &'static str = "thing";
        const TAG: u8 = 1;
    }

    #[test]
    fn a_handle_is_destroyed_once_and_its_object_stays_usable() {
        loom::model(|| {
            let table = Arc::new(Table::new());
            let handle = table.insert(Arc::new(Thing(7))).unwrap();
            let destroyers = [(); 2].map(|()| {
                let table = table.clone();
                thread::spawn(move || table.remove(handle).is_ok())
            });
            // Whatever the other threads do, an object that was found stays whole.
            if let Ok(thing) = table.get(handle) {
                assert_eq!(thing.0, 7);
            }
            let destroyed: u32 = destroyers
                .map(|thread| u32::from(thread.join().unwrap()))
                .into_iter()
                .sum();
            assert_eq!(destroyed, 1);
            assert!(table.get(handle).is_err());
        });
    }

    #[test]
    fn a_reused_slot_has_another_handle() {
        loom::model(|| {
            let table = Arc::new(Table::new());
            let old = table.insert(Arc::new(Thing(1))).unwrap();
            let other = table.clone();
            let replacer = thread::spawn(move || {
                other.remove(old).unwrap();
                other.insert(Arc::new(Thing(2))).unwrap()
            });
            if let Ok(thing) = table.get(old) {
                assert_eq!(thing.0, 1);
            }
            let new = replacer.join().unwrap();
            assert_ne!(new, old);
            assert!(table.get(old).is_err());
            assert_eq!(table.get(new).unwrap().0, 2);
        });
    }
}
