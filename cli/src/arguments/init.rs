//! `chancel init`

use super::value::{name, plan};
use chancel_domain::tenant::Name;
use chancel_domain::{Plan, Scopes};
use clap::Args;

/// What the first tenant and its API key shall be.
#[derive(Debug, Args)]
pub struct InitArguments {
    /// The tenant's name
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = name)]
    pub tenant: Name,
    /// Its plan: free, starter, growth, pro or enterprise
    #[arg(long, default_value = "enterprise", value_parser = plan)]
    pub plan: Plan,
    /// What its API key may do: OPERATION or OPERATION:ALGORITHM, separated by spaces, * for all of either
    #[arg(long, visible_alias = "scope", default_value = "*")]
    pub scopes: Scopes,
}
