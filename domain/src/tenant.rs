//! A tenant's name and standing.

use serde::{Deserialize, Serialize};

/// Whether a tenant may use the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TenantStatus {
    /// In good standing.
    Active,
    /// Every request is denied; keys and data are kept.
    Suspended,
    /// Deleted: its keys are destroyed when their date has come, nothing else of it is left.
    Deleted,
}

impl TenantStatus {
    /// Its name in the API and the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    /// Looks a name up; `None` when it is no status.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Deleted]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// A display name: 1 to 255 characters, none of them a control character, no space at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The text breaks a rule of [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 255 characters, no control characters and no space at either end")]
pub struct InvalidName;

impl Name {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let length = text.chars().count();
        if length == 0 || length > 255 || text.trim() != text || text.chars().any(char::is_control) {
            return Err(InvalidName);
        }
        Ok(Self(text))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_printable_text() {
        assert!(Name::try_from("Ärzte GmbH".to_owned()).is_ok());
        for bad in ["", " a", "a\n", "a\u{1b}[2J"] {
            assert_eq!(Name::try_from(bad.to_owned()), Err(InvalidName), "{bad:?}");
        }
        assert!(Name::try_from("x".repeat(255)).is_ok());
        assert!(Name::try_from("x".repeat(256)).is_err());
    }
}
