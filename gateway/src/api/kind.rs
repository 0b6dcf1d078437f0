//! The table of what can be done with a key: how each request is read, for one item and for a batch.

use super::private_item::PrivateItem;
use super::public_item::PublicItem;
use super::selection::Named;
use super::signed::Signed;
use super::{Body, Route};
use crate::error::ApiError;
use chancel_domain::{Family, Operation};
use std::sync::Arc;

/// One item of work with a key.
pub(super) enum Item {
    /// For the gateway, perhaps for another of its threads.
    Public(Arc<PublicItem>),
    /// For keyd.
    Private(PrivateItem),
}

/// Which version of a key a request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    /// The one it must name.
    Named,
    /// The active one unless it names another.
    ActiveByDefault,
}

/// One row.
pub struct Kind {
    /// As a batch names it; a route has the same name.
    pub(super) name: &'static str,
    /// What it is for policyd; a single item's own operation may be a stricter one.
    pub(super) operation: Operation,
    /// With which keys.
    pub(super) family: Family,
    pub(super) versions: Versions,
    /// Reads an item.
    pub(super) read: fn(&Body<'_>, Named) -> Result<Item, ApiError>,
}

static KINDS: [Kind; 13] = [
    kem(
        "encrypt",
        Operation::Encrypt,
        Versions::ActiveByDefault,
        |body, _| PublicItem::encrypt(body).map(public),
    ),
    kem(
        "encrypt-deterministic",
        Operation::EncryptDeterministic,
        Versions::ActiveByDefault,
        |body, _| PublicItem::encrypt_deterministic(body).map(public),
    ),
    kem("decrypt", Operation::Decrypt, Versions::Named, |body, key| {
        PrivateItem::decrypt(body, key).map(Item::Private)
    }),
    kem("encapsulate", Operation::Encapsulate, Versions::Named, |_, _| {
        Ok(public(PublicItem::Encapsulate))
    }),
    kem(
        "decapsulate",
        Operation::Decapsulate,
        Versions::Named,
        |body, key| PrivateItem::decapsulate(body, key).map(Item::Private),
    ),
    kem("wrap", Operation::Wrap, Versions::Named, |body, _| {
        PublicItem::wrap(body).map(public)
    }),
    kem("unwrap", Operation::Unwrap, Versions::Named, |body, key| {
        PrivateItem::unwrap(body, key).map(Item::Private)
    }),
    kem("rewrap", Operation::Rewrap, Versions::Named, |body, key| {
        PrivateItem::rewrap(body, key).map(Item::Private)
    }),
    signature("sign", Operation::Sign, Versions::ActiveByDefault, |body, key| {
        sign(Signed::message(body, key))
    }),
    signature(
        "sign-hash",
        Operation::SignHash,
        Versions::ActiveByDefault,
        |body, key| sign(Signed::hash(body, key)),
    ),
    signature(
        "sign-mu",
        Operation::SignMu,
        Versions::ActiveByDefault,
        |body, key| sign(Signed::mu(body, key)),
    ),
    signature("verify", Operation::Verify, Versions::Named, |body, key| {
        verify(body, Signed::message(body, key))
    }),
    signature("verify-hash", Operation::Verify, Versions::Named, |body, key| {
        verify(body, Signed::hash(body, key))
    }),
];

impl Kind {
    /// By its name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Of a route for single items, which has its row's name.
    ///
    /// # Panics
    /// For a route that does something else.
    pub fn of(route: Route) -> &'static Self {
        // NOTE(expect): the one caller names the routes, and a test asks for each of them.
        Self::named(route.name()).expect("a route for single items has a row")
    }
}

impl Item {
    /// What it is.
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::Public(item) => item.operation(),
            Self::Private(item) => item.operation,
        }
    }
}

fn public(item: PublicItem) -> Item {
    Item::Public(Arc::new(item))
}

fn sign(signed: Result<Signed, ApiError>) -> Result<Item, ApiError> {
    Ok(Item::Private(PrivateItem::sign(&signed?)))
}

fn verify(body: &Body<'_>, signed: Result<Signed, ApiError>) -> Result<Item, ApiError> {
    PublicItem::verify(body, signed?).map(public)
}

type Read = fn(&Body<'_>, Named) -> Result<Item, ApiError>;

const fn kem(name: &'static str, operation: Operation, versions: Versions, read: Read) -> Kind {
    row(name, operation, Family::Kem, versions, read)
}

const fn signature(name: &'static str, operation: Operation, versions: Versions, read: Read) -> Kind {
    row(name, operation, Family::Signature, versions, read)
}

const fn row(
    name: &'static str,
    operation: Operation,
    family: Family,
    versions: Versions,
    read: Read,
) -> Kind {
    Kind {
        name,
        operation,
        family,
        versions,
        read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_the_family_of_their_operation() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert_eq!(
                KINDS.iter().position(|other| other.name == kind.name),
                Some(index)
            );
            assert_eq!(kind.operation.family(), Some(kind.family), "{}", kind.name);
        }
    }

    #[test]
    fn the_routes_of_single_items_are_among_the_rows() {
        for route in [
            Route::Encrypt,
            Route::Decrypt,
            Route::Encapsulate,
            Route::Decapsulate,
            Route::Wrap,
            Route::Unwrap,
            Route::Rewrap,
            Route::Sign,
            Route::Verify,
            Route::SignHash,
            Route::VerifyHash,
        ] {
            assert_eq!(Kind::of(route).name, route.name());
        }
    }
}
