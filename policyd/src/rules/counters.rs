//! What has been used so far, as the rules compare it. What an operation's rules do not need is not loaded; a rule
//! that needs what is not there errs, and so denies.

/// Counts at the moment of the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of the tenant in this calendar month.
    pub calls: Option<u64>,
    /// Keys, where one is to be made.
    pub keys: Option<KeyCounts>,
    /// API keys that are not revoked, where one is to be made.
    pub api_keys: Option<u32>,
    /// Private-key uses of the algorithm's key on this day, where a private key is to be used.
    pub uses: Option<u64>,
    /// How many the day may have; the inner `None` is "no limit".
    pub budget: Option<Option<u32>>,
}

/// A tenant's keys, seen from an algorithm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Keys of the algorithm's family: algorithms with a version that is active or retired.
    pub in_family: u32,
    /// Versions of the algorithm's own key that are active or retired.
    pub versions: u32,
}
