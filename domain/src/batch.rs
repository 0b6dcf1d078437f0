//! Batches: many inputs of one operation with one key, under one decision.

use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;

/// Items of a batch at most.
pub const MAX_BATCH: u16 = 1000;

/// Signatures of a slow algorithm in a batch at most: each takes up to seconds, and all of them one deadline.
pub const MAX_SLOW_BATCH: u16 = 4;

/// The same of verifications: each takes up to ten milliseconds.
pub const MAX_SLOW_VERIFICATIONS: u16 = 64;

/// How many items a batch has, from 1 to [`MAX_BATCH`]: as many calls, and as many uses of a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct BatchSize(NonZeroU16);

/// No batch has so many items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a batch has from 1 to {MAX_BATCH} items")]
pub struct NoBatchSize;

impl BatchSize {
    /// The number.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<u16> for BatchSize {
    type Error = NoBatchSize;

    fn try_from(number: u16) -> Result<Self, NoBatchSize> {
        NonZeroU16::new(number)
            .filter(|number| number.get() <= MAX_BATCH)
            .map(Self)
            .ok_or(NoBatchSize)
    }
}

impl TryFrom<usize> for BatchSize {
    type Error = NoBatchSize;

    fn try_from(number: usize) -> Result<Self, NoBatchSize> {
        u16::try_from(number).map_err(|_| NoBatchSize)?.try_into()
    }
}

impl From<BatchSize> for u16 {
    fn from(size: BatchSize) -> Self {
        size.number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_an_item_and_no_more_than_the_most() {
        for (number, is_one) in [
            (0, false),
            (1, true),
            (1000, true),
            (1001, false),
            (70_000, false),
        ] {
            let size = BatchSize::try_from(number);
            assert_eq!(size.is_ok(), is_one, "{number}");
            assert_eq!(
                size.map_or(0, |size| usize::from(size.number())),
                if is_one { number } else { 0 }
            );
        }
    }
}
