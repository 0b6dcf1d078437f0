//! Memory for private keys: never swapped, never in a core dump, not inherited by a child, wiped when it is given back;
//! with `memfd_secret` also gone from the kernel's own map, so that neither `/proc/PID/mem` nor a debugger nor most
//! kernel bugs can read it.
//!
//! One arena is mapped at start, before the sandbox closes, and cut into slots of one size: no allocation, and no system
//! call to allow, when a key is loaded. What is read from a slot and copied elsewhere is the reader's to wipe.

use std::{
    fmt, slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;
use zeroize::Zeroize;

use mapping::Mapping;

mod mapping;

/// Slots begin at cache lines: no two threads share one, and vector instructions find their data aligned.
const ALIGNMENT: usize = 64;

/// What kind of memory the arena has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// `memfd_secret(2)`: removed from the kernel's direct map.
    MemfdSecret,
    /// Ordinary pages, locked in memory: the kernel is too old or was told not to offer the other (Linux before 6.5
    /// needs `secretmem.enable=1`).
    LockedPages,
}

/// Whether the kernel offers `memfd_secret` to this process, for those who look at a host: an arena tries it anyhow.
pub fn memfd_secret_is_offered() -> bool {
    mapping::memfd_secret().is_ok()
}

/// Why there is no arena.
#[derive(Debug, Error)]
pub enum SecretMemoryError {
    /// No slots, or slots of no bytes, or more than the address space holds.
    #[error("{slots} slots of {slot_size} bytes are not a possible arena")]
    ImpossibleSize {
        /// Number of slots.
        slots: usize,
        /// Bytes a slot.
        slot_size: usize,
    },
    /// The process may not lock that much memory.
    #[error(
        "{needed} bytes of locked memory are needed, and the limit is {limit} (LimitMEMLOCK= of the unit, RLIMIT_MEMLOCK)"
    )]
    LockLimitTooLow {
        /// Bytes the arena needs.
        needed: usize,
        /// The limit after it was raised as far as it goes.
        limit: u64,
    },
    /// The kernel refused to map or protect the memory.
    #[error("{needed} bytes of locked memory cannot be had")]
    Refused {
        /// Bytes the arena needs.
        needed: usize,
        /// What the system said.
        source: nix::errno::Errno,
    },
}

/// A slot is smaller than what should be stored in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{needed} bytes do not fit a slot of {slot_size}")]
pub struct SlotTooSmall {
    /// Bytes to store.
    pub needed: usize,
    /// Bytes a slot holds.
    pub slot_size: usize,
}

/// Memory for secrets, in slots of one size.
pub struct SecretArena {
    mapping: Mapping,
    slot_size: usize,
    stride: usize,
    /// Indices of the slots nobody has. Every other index belongs to exactly one [`SecretSlot`].
    free: Mutex<Vec<usize>>,
}

/// One slot of an arena: the only way to its bytes. Wiped and given back when it is dropped.
pub struct SecretSlot {
    arena: Arc<SecretArena>,
    index: usize,
    length: usize,
}

impl SecretArena {
    /// Maps an arena. Call it before the sandbox closes: it maps, locks, and raises the soft limit on locked memory to
    /// the hard one.
    pub fn new(slots: usize, slot_size: usize) -> Result<Arc<Self>, SecretMemoryError> {
        Self::build(slots, slot_size, Mapping::new)
    }

    fn build(
        slots: usize,
        slot_size: usize,
        map: impl FnOnce(usize) -> Result<Mapping, SecretMemoryError>,
    ) -> Result<Arc<Self>, SecretMemoryError> {
        let impossible = || SecretMemoryError::ImpossibleSize { slots, slot_size };
        let stride = slot_size
            .checked_next_multiple_of(ALIGNMENT)
            .filter(|stride| *stride > 0)
            .ok_or_else(impossible)?;
        let length = slots
            .checked_mul(stride)
            .filter(|length| *length > 0)
            .ok_or_else(impossible)?;
        // Twice the size leaves room for guard pages and rounding, and no pointer arithmetic beyond `isize`.
        if length > isize::MAX.unsigned_abs() / 2 {
            return Err(impossible());
        }
        let mapping = map(length)?;
        Ok(Arc::new(Self {
            mapping,
            slot_size,
            stride,
            free: Mutex::new((0..slots).rev().collect()),
        }))
    }

    /// What kind of memory the arena got.
    pub fn backing(&self) -> Backing {
        self.mapping.backing()
    }

    /// Bytes a slot holds.
    pub fn slot_size(&self) -> usize {
        self.slot_size
    }

    /// Takes an empty slot, or `None` when all are taken.
    pub fn claim(self: &Arc<Self>) -> Option<SecretSlot> {
        let index = self.free().pop()?;
        Some(SecretSlot {
            arena: Arc::clone(self),
            index,
            length: 0,
        })
    }

    /// A thread that panicked while it held the lock left the list whole: push and pop are its only changes.
    fn free(&self) -> MutexGuard<'_, Vec<usize>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot_start(&self, index: usize) -> *mut u8 {
        let start = self.mapping.start().as_ptr();
        // SAFETY: an index is below the number of slots, so the offset is inside the mapping of `slots * stride` bytes.
        unsafe { start.add(index * self.stride) }
    }
}

impl SecretSlot {
    /// The secret that was written, empty at first.
    pub fn expose(&self) -> &[u8] {
        // SAFETY: the slot's bytes are mapped as long as the arena, which this slot keeps, are initialised (the kernel
        // hands out zeros), and belong to this slot alone; `&self` excludes a `&mut` to them. `length <= slot_size`.
        unsafe { slice::from_raw_parts(self.arena.slot_start(self.index), self.length) }
    }

    /// Wipes the slot and has `fill` write a new secret: it gets the whole slot, zeroed, and returns how many of its
    /// first bytes are the secret (more than there are counts as all). The rest is wiped again. If it fails, nothing
    /// stays.
    pub fn write<E>(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        self.wipe();
        match fill(self.whole()) {
            Ok(length) => {
                self.length = length.min(self.arena.slot_size);
                let length = self.length;
                self.whole()[length..].zeroize();
                Ok(())
            }
            Err(error) => {
                self.wipe();
                Err(error)
            }
        }
    }

    /// Wipes the slot and copies a secret into it. Wiping the original is the caller's part.
    pub fn store(&mut self, secret: &[u8]) -> Result<(), SlotTooSmall> {
        self.write(|slot| {
            let needed = secret.len();
            let slot_size = slot.len();
            slot.get_mut(..needed)
                .ok_or(SlotTooSmall { needed, slot_size })?
                .copy_from_slice(secret);
            Ok(needed)
        })
    }

    /// Wipes the slot, which is then empty.
    pub fn wipe(&mut self) {
        self.length = 0;
        self.whole().zeroize();
    }

    fn whole(&mut self) -> &mut [u8] {
        // SAFETY: as in `expose`; `&mut self` excludes every other reference to the bytes. `slot_size <= stride`.
        unsafe { slice::from_raw_parts_mut(self.arena.slot_start(self.index), self.arena.slot_size) }
    }
}

impl Drop for SecretSlot {
    fn drop(&mut self) {
        // Wiped before it is on the list: from then on it may be another thread's.
        self.wipe();
        self.arena.free().push(self.index);
    }
}

impl fmt::Debug for SecretArena {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SecretArena")
            .field("backing", &self.backing())
            .field("slot_size", &self.slot_size)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SecretSlot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretSlot(..)")
    }
}

#[cfg(test)]
mod tests;
