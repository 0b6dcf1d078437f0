//! Who talks to policyd: a gateway with its API keys, and an operator of the host.

use crate::support::{PATIENCE, name};
use chancel_domain::{
    Algorithm, ApiKeyId, Networks, Operation, Plan, RequestId, Scopes, TenantId, TenantStatus,
};
use chancel_link::{Answer, Client};
use chancel_wire::admin::{AdminError, AdminReply, AdminRequest, TenantRecord};
use chancel_wire::policyd::{
    Ask, AskFailure, Caller, DenyReason, Explanation, NewApiKeyTerms, Outcome, PolicydReply, PolicydRequest,
    Question, Rule, TenantView, Verdict,
};
use serde::Serialize;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Where requests come from when a test says nothing else.
pub const SOURCE: &str = "192.0.2.1";

/// On a busy machine the first connection may take longer than the client's own patience with a peer that is away.
async fn connected(client: &Client) {
    let mut connections = client.connections();
    let connected = connections.wait_for(|count| *count > 0);
    timeout(PATIENCE, connected)
        .await
        .expect("in time")
        .expect("a client");
}

async fn call<T: Serialize>(client: &Client, request: &T) -> Answer {
    connected(client).await;
    client.call(request, PATIENCE).await.expect("policyd answers")
}

pub fn denied(reply: &PolicydReply) -> Option<(Rule, DenyReason)> {
    match reply {
        PolicydReply::Judged {
            verdict: Verdict::Denied { rule, reason },
            ..
        } => Some((*rule, *reason)),
        _ => None,
    }
}

pub fn is_done(reply: &PolicydReply) -> bool {
    matches!(
        reply,
        PolicydReply::Judged {
            verdict: Verdict::Done(_),
            ..
        }
    )
}

pub fn is_granted(reply: &PolicydReply) -> bool {
    matches!(
        reply,
        PolicydReply::Judged {
            verdict: Verdict::Granted { .. },
            ..
        }
    )
}

pub fn failure(reply: &PolicydReply) -> Option<AskFailure> {
    match reply {
        PolicydReply::Judged {
            verdict: Verdict::Failed(failure),
            ..
        } => Some(*failure),
        _ => None,
    }
}

/// What was carried out.
pub fn outcome(reply: PolicydReply) -> Outcome {
    match reply {
        PolicydReply::Judged {
            verdict: Verdict::Done(outcome),
            ..
        } => outcome,
        reply => panic!("not done: {reply:?}"),
    }
}

pub struct Gateway {
    client: Client,
    requests: AtomicU64,
}

impl Gateway {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            requests: AtomicU64::new(1),
        }
    }

    fn request(&self) -> RequestId {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        RequestId::from_bytes(u128::from(number).to_be_bytes())
    }

    pub async fn ask(&self, api_key: &str, ask: Ask) -> PolicydReply {
        self.ask_from(SOURCE, api_key, ask).await
    }

    pub async fn ask_from(&self, source: &str, api_key: &str, ask: Ask) -> PolicydReply {
        connected(&self.client).await;
        self.try_ask(source, api_key, ask).await.expect("policyd answers")
    }

    /// Asks under an `Idempotency-Key`.
    pub async fn ask_under(&self, key: &str, api_key: &str, ask: Ask) -> PolicydReply {
        let caller = Caller {
            api_key,
            request: self.request(),
            source: address(SOURCE),
            idempotency_key: Some(key),
        };
        let request = PolicydRequest::Ask { caller, ask };
        call(&self.client, &request).await.decode().unwrap()
    }

    /// Asks somebody who may die of it.
    pub async fn try_ask(&self, source: &str, api_key: &str, ask: Ask) -> Option<PolicydReply> {
        let caller = Caller {
            api_key,
            request: self.request(),
            source: address(source),
            idempotency_key: None,
        };
        let answer = self
            .client
            .call(&PolicydRequest::Ask { caller, ask }, PATIENCE)
            .await;
        answer.ok().map(|answer| answer.decode().unwrap())
    }

    /// Asks all at once, so that policyd reads several together.
    pub async fn ask_all(&self, api_key: &str, asks: impl IntoIterator<Item = Ask>) -> Vec<PolicydReply> {
        let mut asking = JoinSet::new();
        for ask in asks {
            let (client, api_key, request) = (self.client.clone(), api_key.to_owned(), self.request());
            asking.spawn(async move {
                let caller = Caller {
                    api_key: &api_key,
                    request,
                    source: address(SOURCE),
                    idempotency_key: None,
                };
                let request = PolicydRequest::Ask { caller, ask };
                call(&client, &request).await.decode().unwrap()
            });
        }
        asking.join_all().await
    }

    pub async fn explain(&self, api_key: &str, question: Question) -> Explanation {
        match outcome(self.ask(api_key, Ask::Explain(question)).await) {
            Outcome::Explained(explanation) => explanation,
            other => panic!("no explanation: {other:?}"),
        }
    }

    pub async fn health(&self) -> PolicydReply {
        call(&self.client, &PolicydRequest::Health)
            .await
            .decode()
            .unwrap()
    }
}

/// A question about the caller itself, here and now.
pub fn question(operation: Operation) -> Question {
    Question {
        operation,
        target: None,
        batch: None,
        algorithm: None,
        api_key: None,
        source: None,
        at_ms: None,
    }
}

pub struct Operator(Client);

impl Operator {
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    pub async fn ask(&self, request: AdminRequest) -> AdminReply {
        call(&self.0, &request).await.decode().unwrap()
    }

    pub async fn refusal(&self, request: AdminRequest) -> AdminError {
        match self.ask(request).await {
            AdminReply::Failed(error) => error,
            reply => panic!("done: {reply:?}"),
        }
    }

    pub async fn tenant(&self, called: &str, plan: Plan) -> TenantRecord {
        match self
            .ask(AdminRequest::CreateTenant {
                name: name(called),
                plan,
            })
            .await
        {
            AdminReply::Tenant(tenant) => tenant,
            reply => panic!("no tenant: {reply:?}"),
        }
    }

    pub async fn set_status(&self, tenant: TenantId, status: TenantStatus) {
        match self.ask(AdminRequest::SetTenantStatus { tenant, status }).await {
            AdminReply::Tenant(changed) => assert_eq!(changed.status, status),
            reply => panic!("not set: {reply:?}"),
        }
    }

    pub fn wanted(&self, tenant: TenantId, scopes: &str) -> AdminRequest {
        AdminRequest::CreateApiKey {
            tenant,
            terms: terms(scopes),
        }
    }

    pub async fn api_key(&self, tenant: TenantId, scopes: &str) -> (ApiKeyId, String) {
        self.api_key_of(tenant, terms(scopes)).await
    }

    /// A tenant with an API key for everything, which has made its first ML-DSA-65 key.
    pub async fn tenant_at_work(&self, gateway: &Gateway, plan: Plan) -> (TenantId, ApiKeyId, String) {
        let tenant = self.tenant("Example", plan).await.id;
        let (key, text) = self.api_key(tenant, "*").await;
        outcome(gateway.ask(&text, Ask::GenerateKey(Algorithm::MlDsa65)).await);
        (tenant, key, text)
    }

    pub async fn api_key_of(&self, tenant: TenantId, terms: NewApiKeyTerms) -> (ApiKeyId, String) {
        match self.ask(AdminRequest::CreateApiKey { tenant, terms }).await {
            AdminReply::ApiKey(record, text) => (record.id, text.0),
            reply => panic!("no API key: {reply:?}"),
        }
    }

    pub async fn api_key_until(&self, tenant: TenantId, expires_at_ms: Option<i64>) -> String {
        let terms = NewApiKeyTerms {
            expires_at_ms,
            ..terms("*")
        };
        self.api_key_of(tenant, terms).await.1
    }

    /// What a tenant has used.
    pub async fn usage(&self, tenant: TenantId) -> TenantView {
        match self.ask(AdminRequest::ReadUsage(tenant)).await {
            AdminReply::Usage(view) => view,
            reply => panic!("no usage: {reply:?}"),
        }
    }
}

/// What an API key may be, without restrictions but its scopes.
pub fn terms(scopes: &str) -> NewApiKeyTerms {
    NewApiKeyTerms {
        name: name("key"),
        scopes: scopes.parse::<Scopes>().unwrap(),
        expires_at_ms: None,
        networks: Networks::default(),
    }
}

/// An address of the documentation's networks.
pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}
