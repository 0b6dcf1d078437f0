//! An account of the host, as configuration files name it: a uid or a user name.

use nix::unistd::User;
use serde::Deserialize;
use serde::de::{Error as _, Unexpected};

/// An account. A name is resolved when the file is read; one that does not exist is an error of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account(u32);

impl Account {
    /// Its uid.
    pub const fn uid(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a uid or a user name")]
        enum Written {
            Uid(u32),
            Name(String),
        }
        let unusable = |found, wanted: &str| D::Error::invalid_value(Unexpected::Other(found), &wanted);
        match Written::deserialize(deserializer)? {
            Written::Uid(uid) => Ok(Self(uid)),
            Written::Name(name) => match User::from_name(&name) {
                Ok(Some(user)) => Ok(Self(user.uid.as_raw())),
                Ok(None) => Err(unusable(
                    "a name without account",
                    "the name of an existing account",
                )),
                Err(_) => Err(unusable("a name", "a readable account database, or a uid")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        account: Account,
    }

    #[test]
    fn uids_and_existing_names_are_accounts() {
        assert_eq!(
            toml::from_str::<File>("account = 61000").unwrap().account.uid(),
            61000
        );
        assert_eq!(
            toml::from_str::<File>("account = \"root\"")
                .unwrap()
                .account
                .uid(),
            0
        );
        assert!(toml::from_str::<File>("account = \"no-such-account\"").is_err());
        assert!(toml::from_str::<File>("account = -1").is_err());
    }
}
