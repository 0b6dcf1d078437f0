//! Which serial numbers of an epoch were used: a sliding window of bits, constant in memory however many
//! permits a second are issued or hoarded.

/// Serials a permit may lag behind the newest used one: more than policyd can issue in a permit's lifetime.
const WINDOW: u64 = 1 << 20;
const WORD: u64 = 64;

/// The window: `newest` is the highest serial used, and there is a bit for each of the [`WINDOW`] serials up
/// to it. Anything older counts as used.
pub struct ReplayWindow {
    newest: u64,
    words: Box<[u64]>,
}

impl ReplayWindow {
    /// Nothing used yet.
    pub fn new() -> Self {
        let words = usize::try_from(WINDOW / WORD).unwrap_or(0);
        Self {
            newest: 0,
            words: vec![0; words].into_boxed_slice(),
        }
    }

    /// Marks a serial as used; `false` when it was used before, or is too old to tell.
    pub fn spend(&mut self, serial: u64) -> bool {
        if serial == 0 || self.newest.saturating_sub(serial) >= WINDOW {
            return false;
        }
        self.advance_to(serial);
        let mask = 1u64 << (serial % WORD);
        match self.word(serial) {
            Some(word) if *word & mask == 0 => {
                *word |= mask;
                true
            }
            _ => false,
        }
    }

    /// Moves the window up to a new highest serial, clearing the bits that now stand for other serials.
    fn advance_to(&mut self, serial: u64) {
        if serial <= self.newest {
            return;
        }
        if serial - self.newest >= WINDOW {
            self.words.fill(0);
        } else {
            for passed in self.newest + 1..=serial {
                if let Some(word) = self.word(passed) {
                    *word &= !(1 << (passed % WORD));
                }
            }
        }
        self.newest = serial;
    }

    fn word(&mut self, serial: u64) -> Option<&mut u64> {
        let index = usize::try_from((serial % WINDOW) / WORD).ok()?;
        self.words.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_serial_is_spent_once_in_any_order() {
        let mut window = ReplayWindow::new();
        for serial in [1, 3, 2, 64, 63, 65, WINDOW, WINDOW + 1, 5 * WINDOW + 7] {
            assert!(window.spend(serial), "{serial} the first time");
            assert!(!window.spend(serial), "{serial} the second time");
        }
        assert!(!window.spend(0));
        assert!(!window.spend(4), "too old to tell");
        assert!(!window.spend(4 * WINDOW + 7), "just outside the window");
        assert!(window.spend(4 * WINDOW + 8), "just inside the window");
    }

    #[test]
    fn the_largest_serial_does_not_overflow() {
        let mut window = ReplayWindow::new();
        assert!(window.spend(u64::MAX));
        assert!(!window.spend(u64::MAX));
        assert!(window.spend(u64::MAX - 1));
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(jumps in proptest::collection::vec(0u64..200_000, 1..200)) {
            let mut window = ReplayWindow::new();
            let mut used = HashSet::new();
            let mut newest = 0u64;
            for jump in jumps {
                // Half forwards, half backwards from the newest.
                let serial = if jump % 2 == 0 { newest + jump } else { newest.saturating_sub(jump) };
                let fresh = serial > 0 && serial + WINDOW > newest && !used.contains(&serial);
                prop_assert_eq!(window.spend(serial), fresh);
                if fresh {
                    used.insert(serial);
                    newest = newest.max(serial);
                }
            }
        }
    }
}
