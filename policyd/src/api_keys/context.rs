//! For whom policyd works: made from an authenticated API key and from nothing else.

use chancel_domain::{ApiKeyId, RequestId, TenantId};

/// The proof that a request carries a tenant's API key. It names the tenant, and is the only way to that
/// tenant's rows from the service socket; what the caller sent beside the API key cannot change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceContext {
    tenant: TenantId,
    api_key: ApiKeyId,
    api_key_version: u32,
    request: RequestId,
}

impl ServiceContext {
    /// States that the API key was checked. Only [`super::authenticate`] may.
    pub(super) const fn assertion(
        tenant: TenantId,
        api_key: ApiKeyId,
        api_key_version: u32,
        request: RequestId,
    ) -> Self {
        Self {
            tenant,
            api_key,
            api_key_version,
            request,
        }
    }

    /// The tenant.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The API key.
    pub const fn api_key(&self) -> ApiKeyId {
        self.api_key
    }

    /// The API key's version.
    pub const fn api_key_version(&self) -> u32 {
        self.api_key_version
    }

    /// The request.
    pub const fn request(&self) -> RequestId {
        self.request
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A context that nobody proved, for tests of what comes after the proof.
    pub(crate) const fn context_for_tests(tenant: TenantId) -> ServiceContext {
        ServiceContext::assertion(
            tenant,
            ApiKeyId::from_bytes([0xa1; 16]),
            1,
            RequestId::from_bytes([0x1d; 16]),
        )
    }
}
