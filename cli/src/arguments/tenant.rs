//! `chancel tenant …`, `chancel key-budget …`, `chancel plans …`

use super::value::{algorithm, name, plan};
use chancel_domain::tenant::Name;
use chancel_domain::{Algorithm, Plan, TenantId};
use clap::Subcommand;
use std::str::FromStr;

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant
    Create {
        /// Its name, unique in the installation
        #[arg(value_parser = name)]
        name: Name,
        /// Its plan: free, starter, growth, pro or enterprise
        #[arg(long, default_value = "free", value_parser = plan)]
        plan: Plan,
    },
    /// List all tenants
    List,
    /// Deny a tenant everything, keeping its keys
    Suspend {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        id: TenantId,
    },
    /// Lift a tenant's suspension
    Resume {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        id: TenantId,
    },
    /// Put a tenant on another plan; what it has beyond the new limits stays, more is denied
    SetPlan {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        id: TenantId,
        /// free, starter, growth, pro or enterprise
        #[arg(value_parser = plan)]
        plan: Plan,
    },
    /// Delete a tenant: its API keys die at once, its keys are destroyed when their date comes
    Delete {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        id: TenantId,
        /// Do not ask for the tenant's name
        #[arg(long)]
        yes: bool,
    },
    /// Show what a tenant uses of what its plan allows
    Usage {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        id: TenantId,
    },
}

/// What to do with budgets.
#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    /// Set how often the private key may be used in a day (UTC)
    Set {
        /// Whose key
        #[arg(value_name = "TENANT_ID")]
        tenant: TenantId,
        /// The key's algorithm, for example ML-DSA-65
        #[arg(value_parser = algorithm)]
        algorithm: Algorithm,
        /// A number of uses, or none for no limit
        #[arg(value_name = "N|none")]
        uses: Uses,
    },
}

/// What to do with plans.
#[derive(Debug, Subcommand)]
pub enum PlansCommand {
    /// Show the terms that are in force
    Show,
}

/// Uses in a day; `None` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses(pub Option<u32>);

/// The text is no number of uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a number of uses a day, or none for no limit")]
pub struct NotANumber;

impl FromStr for Uses {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        match text {
            "none" => Ok(Self(None)),
            number => number.parse().map(Some).map(Self).map_err(|_| NotANumber),
        }
    }
}
