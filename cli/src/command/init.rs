//! `chancel init`: the first tenant, an API key for it, and how to try it. Once: afterwards there is a command for each.

mod example;

use super::doctor;
use super::{api_key, tenant};
use crate::arguments::{InitArguments, Places};
use crate::client::Policyd;
use crate::failure::Failure;
use crate::host::config::Configuration;
use crate::output::{Output, Table};
use chancel_domain::tenant::Name;
use chancel_domain::{Networks, TenantStatus};
use chancel_wire::policyd::NewApiKeyTerms;
use example::{Endpoint, Example};
use serde::Serialize;
use std::path::PathBuf;

/// What the API key is called.
const API_KEY_NAME: &str = "first";

/// What was made, in JSON.
#[derive(Serialize)]
struct Made {
    tenant_id: String,
    tenant: String,
    plan: &'static str,
    api_key_id: String,
    scopes: String,
    /// Its text, this once.
    api_key: String,
    url: String,
    /// What `curl` must be given to trust the gateway, or null.
    ca_file: Option<PathBuf>,
    /// Lines for a shell that has the API key in `CHANCEL_API_KEY`.
    try_it: Vec<String>,
}

pub(super) async fn run(
    policyd: &Policyd,
    places: &Places,
    output: Output,
    arguments: InitArguments,
) -> Result<(), Failure> {
    let existing = tenant::all(policyd).await?;
    if let Some(first) = existing
        .iter()
        .find(|tenant| tenant.status != TenantStatus::Deleted)
    {
        return Err(Failure::AlreadyInitialised {
            tenant: first.name.to_string(),
            id: first.id,
        });
    }
    let name = Name::try_from(API_KEY_NAME.to_owned()).expect("a word is a name");
    let tenant = tenant::create(policyd, arguments.tenant, arguments.plan).await?;
    let terms = NewApiKeyTerms {
        name,
        scopes: arguments.scopes.clone(),
        expires_at_ms: None,
        networks: Networks::default(),
    };
    let (record, text) = api_key::create(policyd, tenant.id, terms)
        .await
        .map_err(|source| Failure::HalfInitialised {
            tenant: tenant.id,
            source: Box::new(source),
        })?;
    let configuration = Configuration::read(&places.config_directory);
    let chain = doctor::certificate(&places.config_directory);
    let endpoint = Endpoint::new(
        configuration.gateway.seen(),
        chain.seen().and_then(Option::as_ref),
        &places.config_directory,
    );
    let made = Made {
        tenant_id: tenant.id.to_string(),
        tenant: tenant.name.to_string(),
        plan: tenant.plan.name(),
        api_key_id: record.id.to_string(),
        scopes: record.scopes.to_string(),
        api_key: text.0,
        try_it: Example::new(&endpoint, &arguments.scopes).into_lines(),
        url: endpoint.url,
        ca_file: endpoint.ca_file,
    };
    output.print(&made, || made.text())?;
    eprintln!("warning: the API key is not shown again; keep it now");
    Ok(())
}

impl Made {
    fn text(&self) -> String {
        let mut table = Table::without_heading();
        table.row(&["tenant", &format!("{} ({})", self.tenant, self.tenant_id)]);
        table.row(&["plan", self.plan]);
        table.row(&["scopes", &self.scopes]);
        table.row(&["api key", &self.api_key]);
        table.row(&["url", &self.url]);
        let mut text = table.to_string();
        if !self.try_it.is_empty() {
            text.push_str(
                "\nTo try it, first this line, and paste the API key (so it gets into no history and no list of processes):\n  \
                 read -rs CHANCEL_API_KEY\nthen:\n",
            );
            for line in &self.try_it {
                text.push_str(&format!("  {line}\n"));
            }
        }
        text
    }
}
