//! A use of a private key that may be done: [`VerifiedUse`], which every operation takes and nobody else can make.
//!
//! There are two ways to one, and each asks for a proof of its own: [`Believed`], a permit's claims, which only the permit
//! book makes; and [`Open`], which break-glass hands out while it is open.

use crate::break_glass::Open;
use crate::permit::Believed;
use chancel_domain::{ApiKeyId, BatchSize, Operation, RequestId, TenantId};
use chancel_wire::keyd::{BreakGlassClaims, KeyIdentity, KeydError, UseInput};
use chancel_wire::limits::MAX_FRAME_BODY;
use chancel_wire::permit::{PayloadDigest, PermitClaims};

/// A private-key operation that may be done: the key to use and the input to use it on, checked against each other.
pub struct VerifiedUse<'a> {
    key: KeyIdentity,
    target: Option<KeyIdentity>,
    caller: Caller,
    payload: PayloadDigest,
    operation: Operation,
    inputs: Inputs<'a>,
    authority: Authority,
}

/// What a key is used on.
pub enum Inputs<'a> {
    /// One input.
    One(UseInput<'a>),
    /// Some, all of one operation; the use has a result for each.
    Batch(Vec<UseInput<'a>>),
}

impl<'a> Inputs<'a> {
    /// Reads what a permit, or a claim in break-glass, says is one input or a batch of so many.
    ///
    /// # Errors
    /// `Malformed` for anything else.
    pub(crate) fn decode(bytes: &'a [u8], batch: Option<BatchSize>) -> Result<Self, KeydError> {
        match batch {
            // What is larger than any single input is a batch, or nothing.
            None if bytes.len() > MAX_FRAME_BODY => return Err(KeydError::Malformed),
            None => chancel_wire::decode(bytes).map(Self::One),
            Some(size) => chancel_wire::decode_list(bytes, size.number().into()).map(Self::Batch),
        }
        .map_err(|_| KeydError::Malformed)
    }

    /// Whether all of them are inputs of an operation that a key takes.
    pub(crate) fn suit(&self, operation: Operation, key: &KeyIdentity) -> bool {
        operation.family() == Some(key.algorithm.family())
            && self.as_slice().iter().all(|input| input.operation() == operation)
    }

    /// All of them.
    pub const fn as_slice(&self) -> &[UseInput<'a>] {
        match self {
            Self::One(input) => std::slice::from_ref(input),
            Self::Batch(inputs) => inputs.as_slice(),
        }
    }

    /// How many, when they are a batch.
    pub const fn batch(&self) -> Option<usize> {
        match self {
            Self::One(_) => None,
            Self::Batch(inputs) => Some(inputs.len()),
        }
    }
}

/// On whose behalf.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The API key.
    pub api_key: ApiKeyId,
    /// Its version.
    pub api_key_version: u32,
    /// The HTTP request.
    pub request: RequestId,
}

/// By what a use may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// A permit, which is spent.
    Permit {
        /// Its permit key's number.
        epoch: u64,
        /// Its own.
        serial: u64,
    },
    /// Break-glass was open.
    BreakGlass,
}

impl<'a> VerifiedUse<'a> {
    /// What a believed permit permits.
    pub(crate) fn by_permit(Believed(claims): Believed, inputs: Inputs<'a>) -> Self {
        Self {
            key: key_of(&claims),
            target: claims.target.map(|target| KeyIdentity {
                tenant: claims.tenant,
                algorithm: target.algorithm,
                version: target.version,
                handle: target.key,
            }),
            caller: Caller {
                api_key: claims.api_key,
                api_key_version: claims.api_key_version,
                request: claims.request,
            },
            payload: claims.payload,
            operation: claims.operation,
            inputs,
            authority: Authority::Permit {
                epoch: claims.epoch,
                serial: claims.serial,
            },
        }
    }

    /// What the gateway claims while break-glass is open. All but the permit is checked as with one; a rewrap, whose
    /// second key only a permit can name, is not to be had.
    ///
    /// # Errors
    /// `Malformed` for an input that is none, `PermitForOtherOperation` for one that the key does not take, and
    /// `KeyNotFound` for another tenant's key.
    pub(crate) fn in_break_glass(
        _open: &Open<'_>,
        claims: &BreakGlassClaims,
        input: &'a [u8],
    ) -> Result<Self, KeydError> {
        let payload = PayloadDigest::of(input);
        let inputs = Inputs::decode(input, claims.batch)?;
        // A batch has an input.
        let operation = inputs.as_slice().first().ok_or(KeydError::Malformed)?.operation();
        if operation == Operation::Rewrap || !inputs.suit(operation, &claims.key) {
            return Err(KeydError::PermitForOtherOperation);
        }
        if claims.key.tenant != claims.tenant {
            return Err(KeydError::KeyNotFound);
        }
        Ok(Self {
            key: claims.key,
            target: None,
            caller: Caller {
                api_key: claims.api_key,
                api_key_version: claims.api_key_version,
                request: claims.request,
            },
            payload,
            operation,
            inputs,
            authority: Authority::BreakGlass,
        })
    }

    /// The key.
    pub const fn key(&self) -> &KeyIdentity {
        &self.key
    }

    /// The key that a rewrapped ciphertext shall be for; another one of the same tenant.
    pub const fn target(&self) -> Option<&KeyIdentity> {
        self.target.as_ref()
    }

    /// The tenant keyd works for.
    pub const fn tenant(&self) -> TenantId {
        self.key.tenant
    }

    /// On whose behalf.
    pub const fn caller(&self) -> Caller {
        self.caller
    }

    /// The digest of the input as it came.
    pub const fn payload(&self) -> &PayloadDigest {
        &self.payload
    }

    /// What is done.
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// On what.
    pub const fn inputs(&self) -> &Inputs<'a> {
        &self.inputs
    }

    /// By what it may be done.
    pub const fn authority(&self) -> Authority {
        self.authority
    }
}

/// The key a permit is for, all of it from the claims.
pub(crate) const fn key_of(claims: &PermitClaims) -> KeyIdentity {
    KeyIdentity {
        tenant: claims.tenant,
        algorithm: claims.algorithm,
        version: claims.key_version,
        handle: claims.key,
    }
}
