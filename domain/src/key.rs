//! Key versions and the one table that says what a key in each state may do and become.

use crate::Operation;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;

/// Version of a key: 1 for the first of an algorithm in a tenant, then one more at each rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyVersion(NonZeroU32);

impl KeyVersion {
    /// The first version.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// A version from a number; `None` for 0, which clients use to say "the active one".
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The version's number.
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// The version after this one; `None` when numbers have run out.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyState {
    /// The one version used for new work.
    Active,
    /// Reads what was made before: decrypt, unwrap, decapsulate, verify.
    Retired,
    /// Does nothing.
    Archived,
    /// Does nothing, and is destroyed on a date that is set.
    PendingDestruction,
    /// Gone: the private key was overwritten, its handle stays taken.
    Destroyed,
}

/// All states with the name that the API and the database use.
pub const KEY_STATES: [(KeyState, &str); 5] = [
    (KeyState::Active, "active"),
    (KeyState::Retired, "retired"),
    (KeyState::Archived, "archived"),
    (KeyState::PendingDestruction, "pending_destruction"),
    (KeyState::Destroyed, "destroyed"),
];

/// The table of transitions: each change of state there is, with the operation that makes it; `None` for what the
/// service does itself when a date has come. What is not in the table is refused.
pub const TRANSITIONS: [(KeyState, KeyState, Option<Operation>); 8] = [
    (KeyState::Active, KeyState::Retired, Some(Operation::RetireKey)),
    (KeyState::Active, KeyState::Retired, Some(Operation::RotateKey)),
    (KeyState::Retired, KeyState::Archived, Some(Operation::ArchiveKey)),
    (KeyState::Archived, KeyState::Retired, Some(Operation::RestoreKey)),
    (
        KeyState::Retired,
        KeyState::PendingDestruction,
        Some(Operation::ScheduleDestruction),
    ),
    (
        KeyState::Archived,
        KeyState::PendingDestruction,
        Some(Operation::ScheduleDestruction),
    ),
    (
        KeyState::PendingDestruction,
        KeyState::Archived,
        Some(Operation::CancelDestruction),
    ),
    (KeyState::PendingDestruction, KeyState::Destroyed, None),
];

/// A name that is no key state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown key state")]
pub struct UnknownKeyState;

impl KeyState {
    /// Looks a name up.
    ///
    /// # Errors
    /// [`UnknownKeyState`] when no state has that name.
    pub fn from_name(name: &str) -> Result<Self, UnknownKeyState> {
        KEY_STATES
            .iter()
            .find(|(_, n)| *n == name)
            .map(|(state, _)| *state)
            .ok_or(UnknownKeyState)
    }

    /// Its name in the API and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Archived => "archived",
            Self::PendingDestruction => "pending_destruction",
            Self::Destroyed => "destroyed",
        }
    }

    /// Whether a key in this state may be used so. Metadata is readable in every state.
    pub const fn permits(self, operation: Operation) -> bool {
        match operation {
            Operation::Encrypt
            | Operation::EncryptDeterministic
            | Operation::Encapsulate
            | Operation::Wrap
            | Operation::Sign
            | Operation::SignHash
            | Operation::SignMu => matches!(self, Self::Active),
            Operation::Decrypt
            | Operation::Decapsulate
            | Operation::Unwrap
            | Operation::Rewrap
            | Operation::Verify => {
                matches!(self, Self::Active | Self::Retired)
            }
            _ => true,
        }
    }

    /// What an operation makes of a key in this state; `None` when it may not.
    pub fn after(self, operation: Operation) -> Option<Self> {
        TRANSITIONS
            .iter()
            .find(|(from, _, by)| *from == self && *by == Some(operation))
            .map(|(_, to, _)| *to)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (state, name) in KEY_STATES {
            assert_eq!(state.name(), name);
            assert_eq!(KeyState::from_name(name), Ok(state));
        }
    }

    #[test]
    fn retired_keys_read_but_do_not_write_and_archived_keys_do_neither() {
        assert!(KeyState::Retired.permits(Operation::Decrypt));
        assert!(KeyState::Retired.permits(Operation::Verify));
        assert!(!KeyState::Retired.permits(Operation::Encrypt));
        assert!(!KeyState::Retired.permits(Operation::Sign));
        assert!(!KeyState::Archived.permits(Operation::Decrypt));
        assert!(!KeyState::Archived.permits(Operation::Verify));
    }

    #[test]
    fn nothing_becomes_active_again_and_nothing_comes_back_from_destruction() {
        for (from, to, _) in TRANSITIONS {
            assert_ne!(to, KeyState::Active, "{from}");
            assert_ne!(from, KeyState::Destroyed, "{to}");
        }
    }

    #[test]
    fn each_operation_leads_from_a_state_to_one_state_at_most() {
        for (state, _) in KEY_STATES {
            for (operation, _) in crate::operation::OPERATIONS {
                let rows = TRANSITIONS
                    .iter()
                    .filter(|(from, _, by)| *from == state && *by == Some(operation));
                assert!(rows.count() <= 1, "{state} {operation}");
            }
        }
    }
}
