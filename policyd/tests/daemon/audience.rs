//! Whose API keys may ask for what: a tenant's for that tenant alone, an operator's for the installation, and neither for
//! what is the other's.

use crate::peers::{denied, failure, is_done, question, terms};
use crate::rules::deny_rule;
use crate::support::{Installation, name, run};
use chancel_domain::operation::{Audience, OPERATIONS};
use chancel_domain::{Algorithm, ApiKeyId, DenyRuleId, KeyVersion, Operation, Plan, TenantId, TenantStatus};
use chancel_wire::admin::{AdminError, AdminReply, AdminRequest};
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{Ask, AskFailure, DenyReason, EventFilter, PolicydReply, Rule};

const ML_KEM: Algorithm = Algorithm::MlKem768;
const ML_DSA: Algorithm = Algorithm::MlDsa65;

/// A question of every operation, complete enough to be judged.
fn any_ask_of(operation: Operation, tenant: TenantId, key: ApiKeyId) -> Ask {
    let first = KeyVersion::FIRST;
    match operation {
        Operation::Rewrap => Ask::Rewrap {
            algorithm: ML_KEM,
            version: first,
            target_algorithm: ML_KEM,
            target_version: None,
            payload: PayloadDigest::of(b"input"),
            batch: None,
        },
        Operation::Sign | Operation::SignHash | Operation::SignMu | Operation::Verify => Ask::Use {
            operation,
            algorithm: ML_DSA,
            version: Some(first),
            payload: Some(PayloadDigest::of(b"input")),
            batch: None,
        },
        Operation::Encrypt
        | Operation::EncryptDeterministic
        | Operation::Decrypt
        | Operation::Encapsulate
        | Operation::Decapsulate
        | Operation::Wrap
        | Operation::Unwrap => Ask::Use {
            operation,
            algorithm: ML_KEM,
            version: Some(first),
            payload: Some(PayloadDigest::of(b"input")),
            batch: None,
        },
        Operation::GenerateKey => Ask::GenerateKey(ML_KEM),
        Operation::RotateKey => Ask::RotateKey(ML_KEM),
        Operation::RetireKey => Ask::RetireKey(ML_KEM, first),
        Operation::ReadKey => Ask::ReadKey(ML_KEM, first),
        Operation::ListKeys => Ask::ListKeys(None, None),
        Operation::ReadTenant => Ask::ReadTenant,
        Operation::ArchiveKey => Ask::ArchiveKey(ML_KEM, first),
        Operation::RestoreKey => Ask::RestoreKey(ML_KEM, first),
        Operation::ScheduleDestruction => Ask::ScheduleDestruction(ML_KEM, first, None),
        Operation::CancelDestruction => Ask::CancelDestruction(ML_KEM, first),
        Operation::SetKeyBudget => Ask::SetKeyBudget(ML_KEM, Some(1)),
        Operation::CreateApiKey => Ask::CreateApiKey(tenant, terms("verify")),
        Operation::ListApiKeys => Ask::ListApiKeys(tenant, None),
        Operation::RotateApiKey => Ask::RotateApiKey(tenant, Some(key)),
        Operation::RevokeApiKey => Ask::RevokeApiKey(tenant, key),
        Operation::ListDenyRules => Ask::ListDenyRules,
        Operation::AddDenyRule => Ask::AddDenyRule(deny_rule("any")),
        Operation::RemoveDenyRule => Ask::RemoveDenyRule(DenyRuleId::from_bytes([1; 16])),
        Operation::ExplainPolicy => Ask::Explain(question(Operation::Sign)),
        Operation::ReadEvents => Ask::ReadEvents(EventFilter {
            limit: 10,
            ..EventFilter::default()
        }),
        Operation::CreateTenant => Ask::CreateTenant(name("Another"), Plan::Free),
        Operation::ReadTenants => Ask::ListTenants(None),
    }
}

#[test]
fn tenants_and_operators_may_ask_for_what_is_theirs_and_for_nothing_else() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        let (_, of_tenant) = operator.api_key(tenant, "*").await;
        let (_, of_operator) = operator.api_key(TenantId::OPERATORS, "*").await;
        let out_of_scope = Some((Rule::Scope, DenyReason::OutOfScope));
        for (operation, _) in OPERATIONS {
            // Added last of all, a rule of no condition would deny the rest.
            if operation == Operation::AddDenyRule {
                continue;
            }
            let audience = operation.audience();
            for (text, is_meant) in [
                (&of_tenant, audience != Audience::Operators),
                (&of_operator, audience != Audience::Tenants),
            ] {
                let victim = operator.api_key(tenant, "verify").await.0;
                let judged = denied(&gateway.ask(text, any_ask_of(operation, tenant, victim)).await);
                assert_eq!(judged, if is_meant { None } else { out_of_scope }, "{operation}");
            }
        }
        // One tenant by its id is an operation of both: a tenant finds itself and nobody else.
        let other = operator.tenant("Other", Plan::Enterprise).await.id;
        assert!(is_done(
            &gateway.ask(&of_tenant, Ask::ReadTenantById(tenant)).await
        ));
        assert!(is_done(
            &gateway.ask(&of_operator, Ask::ReadTenantById(tenant)).await
        ));
        let nobody = TenantId::from_bytes([9; 16]);
        for (text, id) in [
            (&of_tenant, other),
            (&of_tenant, nobody),
            (&of_tenant, TenantId::OPERATORS),
            (&of_operator, nobody),
        ] {
            let reply = gateway.ask(text, Ask::ReadTenantById(id)).await;
            assert_eq!(
                failure(&reply),
                Some(AskFailure::TenantNotFound),
                "{id}: {reply:?}"
            );
        }
    });
}

#[test]
fn operators_themselves_are_no_tenant_that_could_be_changed() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let (_, text) = operator.api_key(TenantId::OPERATORS, "*").await;
        let tenant = TenantId::OPERATORS;
        for request in [
            AdminRequest::DeleteTenant(tenant),
            AdminRequest::SetTenantStatus {
                tenant,
                status: TenantStatus::Suspended,
            },
            AdminRequest::SetTenantPlan {
                tenant,
                plan: Plan::Free,
            },
            AdminRequest::AddDenyRule(tenant, deny_rule("any")),
            AdminRequest::SetKeyBudget(tenant, ML_DSA, Some(1)),
        ] {
            let said = format!("{request:?}");
            assert_eq!(
                operator.refusal(request).await,
                AdminError::NotForOperators,
                "{said}"
            );
        }
        assert!(is_done(&gateway.ask(&text, Ask::ListTenants(None)).await));
        // An operator's API key makes no API keys of operators.
        for ask in [
            Ask::CreateApiKey(tenant, terms("*")),
            Ask::RotateApiKey(tenant, None),
            Ask::ListApiKeys(tenant, None),
            Ask::ReadTenantById(tenant),
        ] {
            let reply = gateway.ask(&text, ask.clone()).await;
            assert_eq!(
                failure(&reply),
                Some(AskFailure::TenantNotFound),
                "{ask:?}: {reply:?}"
            );
        }
    });
}

#[test]
fn a_tenant_is_deleted_by_deleting_and_by_nothing_else() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Starter).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        let status = TenantStatus::Deleted;
        operator
            .refusal(AdminRequest::SetTenantStatus { tenant, status })
            .await;
        assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));
        let AdminReply::Tenant(deleted) = operator.ask(AdminRequest::DeleteTenant(tenant)).await else {
            panic!("not deleted")
        };
        assert_eq!(deleted.status, TenantStatus::Deleted);
        assert!(matches!(
            gateway.ask(&text, Ask::ReadTenant).await,
            PolicydReply::Unauthenticated
        ));
        for request in [
            AdminRequest::DeleteTenant(tenant),
            AdminRequest::ReadUsage(tenant),
            operator.wanted(tenant, "*"),
        ] {
            let error = operator.refusal(request).await;
            assert!(matches!(error, AdminError::TenantNotFound), "{error:?}");
        }
        // Its name is free.
        operator.tenant("Example", Plan::Starter).await;
    });
}
