//! Scopes of an API key: which operations it may ask for, with keys of which algorithm. A grant is the
//! text `operation` or `operation:algorithm`, with `*` for all of either; a set of grants is joined by
//! spaces. What no grant covers is denied.

use crate::{Algorithm, Operation};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One grant: `None` stands for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    operation: Option<Operation>,
    algorithm: Option<Algorithm>,
}

/// The grants of an API key. Never empty: a key that may do nothing is refused when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes(Vec<Grant>);

/// The text is no set of grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScopes {
    /// No grant in it.
    #[error("at least one scope is needed")]
    Empty,
    /// More grants than operations times algorithms can need.
    #[error("too many scopes")]
    TooMany,
    /// An operation that does not exist.
    #[error("a scope names an unknown operation")]
    UnknownOperation,
    /// An algorithm that does not exist.
    #[error("a scope names an unknown algorithm")]
    UnknownAlgorithm,
}

const MOST_GRANTS: usize = 256;

impl Scopes {
    /// Every operation with every algorithm: `*`.
    pub fn all() -> Self {
        Self(vec![Grant {
            operation: None,
            algorithm: None,
        }])
    }

    /// Whether some grant covers the operation with a key of the algorithm. Operations that name no
    /// algorithm (the tenant, all keys) are covered only by grants for every algorithm.
    pub fn cover(&self, operation: Operation, algorithm: Option<Algorithm>) -> bool {
        self.0.iter().any(|grant| {
            grant.operation.is_none_or(|granted| granted == operation)
                && grant.algorithm.is_none_or(|granted| Some(granted) == algorithm)
        })
    }

    /// Whether every grant of `other` lies in a grant of this set: what somebody with these scopes may hand on.
    pub fn contain(&self, other: &Self) -> bool {
        other.0.iter().all(|asked| {
            self.0.iter().any(|own| {
                (own.operation.is_none() || own.operation == asked.operation)
                    && (own.algorithm.is_none() || own.algorithm == asked.algorithm)
            })
        })
    }
}

impl FromStr for Scopes {
    type Err = InvalidScopes;

    fn from_str(text: &str) -> Result<Self, InvalidScopes> {
        let mut grants = Vec::new();
        for word in text.split_ascii_whitespace() {
            if grants.len() == MOST_GRANTS {
                return Err(InvalidScopes::TooMany);
            }
            let (operation, algorithm) = word.split_once(':').unwrap_or((word, "*"));
            grants.push(Grant {
                operation: match operation {
                    "*" => None,
                    name => Some(Operation::from_name(name).map_err(|_| InvalidScopes::UnknownOperation)?),
                },
                algorithm: match algorithm {
                    "*" => None,
                    name => Some(Algorithm::from_name(name).map_err(|_| InvalidScopes::UnknownAlgorithm)?),
                },
            });
        }
        if grants.is_empty() {
            return Err(InvalidScopes::Empty);
        }
        grants.sort_unstable();
        grants.dedup();
        Ok(Self(grants))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, grant) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let operation = grant.operation.map_or("*", Operation::name);
            match grant.algorithm {
                None => write!(f, "{space}{operation}")?,
                Some(algorithm) => write!(f, "{space}{operation}:{algorithm}")?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Scopes {
    type Error = InvalidScopes;

    fn try_from(text: String) -> Result<Self, InvalidScopes> {
        text.parse()
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_grant_covers_is_denied() {
        let scopes: Scopes = "sign:Dilithium3 verify".parse().unwrap();
        assert!(scopes.cover(Operation::Sign, Some(Algorithm::MlDsa65)));
        assert!(scopes.cover(Operation::Verify, Some(Algorithm::MlDsa65)));
        assert!(!scopes.cover(Operation::Sign, None));
        assert!(!scopes.cover(Operation::Decrypt, Some(Algorithm::MlKem768)));
        assert!(!scopes.cover(Operation::ReadTenant, None));
        assert!(Scopes::all().cover(Operation::ReadTenant, None));
    }

    #[test]
    fn text_form_round_trips_and_unknown_words_are_refused() {
        let scopes: Scopes = "verify sign:ML-DSA-65 *:Kyber768 verify".parse().unwrap();
        assert_eq!(scopes.to_string().parse::<Scopes>().unwrap(), scopes);
        assert_eq!("".parse::<Scopes>(), Err(InvalidScopes::Empty));
        assert_eq!("root".parse::<Scopes>(), Err(InvalidScopes::UnknownOperation));
        assert_eq!("sign:RSA".parse::<Scopes>(), Err(InvalidScopes::UnknownAlgorithm));
    }
}
