//! How long a request may still take: one budget that all hops share, so that two slow hops cannot add up to
//! more than the caller was promised.

use crate::error::ApiError;
use std::time::{Duration, Instant};

/// The moment by which a request is answered.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline that far from now.
    pub fn after(budget: Duration) -> Self {
        Self::since(Instant::now(), budget)
    }

    /// A deadline that far from when it began.
    pub fn since(began: Instant, budget: Duration) -> Self {
        Self(began + budget)
    }

    /// What is left.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when nothing is: the next hop is not begun.
    pub fn remaining(&self) -> Result<Duration, ApiError> {
        self.remaining_at(Instant::now())
    }

    fn remaining_at(&self, now: Instant) -> Result<Duration, ApiError> {
        self.0
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
            .ok_or(ApiError::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_share_one_budget_and_none_begins_when_it_is_spent() {
        let start = Instant::now();
        let deadline = Deadline(start + Duration::from_millis(800));
        let left = |after| deadline.remaining_at(start + Duration::from_millis(after));
        assert_eq!(left(0), Ok(Duration::from_millis(800)));
        assert_eq!(left(600), Ok(Duration::from_millis(200)));
        assert_eq!(left(799), Ok(Duration::from_millis(1)));
        assert_eq!(left(800), Err(ApiError::Unavailable));
        assert_eq!(left(5000), Err(ApiError::Unavailable));
    }
}
