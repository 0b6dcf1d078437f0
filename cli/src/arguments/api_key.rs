//! `chancel api-key …`, `chancel operator-key …`

use super::value::{expiry, name, network};
use crate::when::Expiry;
use chancel_domain::network::Network;
use chancel_domain::tenant::Name;
use chancel_domain::{ApiKeyId, Scopes, TenantId};
use clap::{Args, Subcommand};

/// What to do with a tenant's API keys.
#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Make an API key; its text is printed this once
    Create {
        /// The tenant it is for
        #[arg(long, value_name = "TENANT_ID")]
        tenant: TenantId,
        /// What it shall be
        #[command(flatten)]
        key: NewKey,
    },
    /// List a tenant's API keys
    List {
        /// The tenant
        #[arg(long, value_name = "TENANT_ID")]
        tenant: TenantId,
    },
    /// Replace an API key's text; the old one is dead at once, the new one is printed this once
    Rotate {
        /// The tenant it belongs to
        #[arg(long, value_name = "TENANT_ID")]
        tenant: TenantId,
        /// The API key
        #[arg(long, value_name = "API_KEY_ID")]
        id: ApiKeyId,
    },
    /// Revoke an API key for good
    Revoke {
        /// The tenant it belongs to
        #[arg(long, value_name = "TENANT_ID")]
        tenant: TenantId,
        /// The API key
        #[arg(long, value_name = "API_KEY_ID")]
        id: ApiKeyId,
    },
}

/// What to do with operators' API keys.
#[derive(Debug, Subcommand)]
pub enum OperatorKeyCommand {
    /// Make an operator's API key; its text is printed this once
    Create {
        /// What it shall be
        #[command(flatten)]
        key: NewKey,
    },
    /// List operators' API keys
    List,
    /// Replace an API key's text; the old one is dead at once, the new one is printed this once
    Rotate {
        /// The API key
        #[arg(long, value_name = "API_KEY_ID")]
        id: ApiKeyId,
    },
    /// Revoke an API key for good
    Revoke {
        /// The API key
        #[arg(long, value_name = "API_KEY_ID")]
        id: ApiKeyId,
    },
}

/// What a new API key shall be.
#[derive(Debug, Args)]
pub struct NewKey {
    /// What it is called
    #[arg(long, value_parser = name)]
    pub name: Name,
    /// What it may do: OPERATION or OPERATION:ALGORITHM, separated by spaces, * for all of either
    #[arg(long, visible_alias = "scope", default_value = "*")]
    pub scopes: Scopes,
    /// When it stops working: an RFC 3339 time, or a number of days (30d) or hours (12h) from now
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    pub expires: Option<Expiry>,
    /// Where it may be used, for example 192.0.2.0/24; may be given more than once; everywhere when it is not
    #[arg(long = "network", value_name = "NETWORK", value_parser = network)]
    pub networks: Vec<Network>,
}
