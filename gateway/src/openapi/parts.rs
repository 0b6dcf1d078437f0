//! What several routes take, or have in their answers.

use super::names::algorithm;
use super::objects::{ANY, API_KEY, VERSION};
use super::operation::{Answer, Body};
use super::schema::Schema::{Bytes, Constant, List, Named, Number, OneOf, Text};
use super::schema::{Property, Schema, Takes, always, may, may_be, must, sometimes};
use crate::api::Field;
use chancel_domain::Family;
use chancel_domain::network::MOST_NETWORKS;

/// Algorithms of KEM keys.
pub const KEM: Schema = Named(algorithm(Family::Kem));

/// Algorithms of signature keys.
pub const SIG: Schema = Named(algorithm(Family::Signature));

/// A version of a key, or 0 for the active one.
pub const OR_ACTIVE: Schema = Number(0, u32::MAX as u64);

/// A list of networks.
pub const NETWORKS: Schema = List(&Text, MOST_NETWORKS);

/// What something new is called.
pub const NAME: Takes = must(Field::Name, Text);

/// Of which algorithm a key is.
pub const KEY_OF: Takes = must(Field::Algorithm, Named("Algorithm"));

/// In which form a key is wanted.
pub const IN_FORMAT: Takes = may(Field::Format, Named("KeyFormat"));

/// A step in a key's life.
pub const STEP: Body = Body::Fields(&[KEY_OF, must(Field::KeyVersion, VERSION)]);

/// What encrypt takes.
pub const ENCRYPT: [Takes; 4] = [
    must(Field::Plaintext, Bytes),
    may(Field::Aad, Bytes),
    may_be(Field::Mode, OneOf(&["standard", "deterministic"]), "standard"),
    may(Field::Salt, Bytes),
];

/// What opens a ciphertext.
pub const SEALED: [Takes; 2] = [must(Field::Ciphertext, Bytes), may(Field::Aad, Bytes)];

/// What is signed, or was.
pub const MESSAGE: [Takes; 3] = [
    must(Field::Message, Bytes),
    may(Field::Context, Bytes),
    may_be(Field::MessageType, OneOf(&["RAW", "EXTERNAL_MU"]), "RAW"),
];

/// A digest that is signed, or was.
pub const DIGEST: [Takes; 3] = [
    must(Field::Hash, Bytes),
    must(Field::HashAlgorithm, Named("HashAlgorithm")),
    may(Field::Context, Bytes),
];

/// What belongs to a message.
pub const SIGNED_BY: Takes = must(Field::Signature, Bytes);

/// What encrypt and rewrap make.
pub const CIPHERTEXT: [Property; 1] = [always("ciphertext", Bytes)];

/// What sign makes.
pub const SIGNATURE: Property = always("signature", Bytes);

/// What verify finds.
pub const VALID: Property = always("valid", Schema::Boolean);

/// By what a digest was made. A long stream may be signed by its digest, too.
pub const HASHED_BY: Property = always("hash_algorithm", Named("HashAlgorithm"));

/// That a signature is over a digest.
pub const DETACHED: Property = always("signature_type", Constant("detached"));

/// A key.
pub const A_KEY: Answer = Answer::Named("Key");

/// An API key with its text.
pub const WITH_TEXT: Answer = Answer::Of(&[&API_KEY, &[always("api_key", Text)]]);

/// A list that is no page of anything.
pub const fn list(name: &'static str, of: &'static Schema) -> Property {
    always(name, List(of, ANY))
}

/// The same property where it does not always apply.
pub const fn maybe(property: Property) -> Property {
    sometimes(property.name, property.schema)
}
