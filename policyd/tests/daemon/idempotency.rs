//! `Idempotency-Key`: whatever is repeated, and however many repeat it at once, is done once and answered the same.

use crate::keyd::Keyd;
use crate::peers::{Gateway, denied, failure, is_done, outcome, terms};
use crate::support::{Installation, run};
use chancel_domain::{Algorithm, Plan};
use chancel_wire::policyd::{Ask, AskFailure, PolicydReply};

const ML_DSA: Algorithm = Algorithm::MlDsa65;

/// What was answered, secrets and all.
fn answered(reply: PolicydReply) -> Vec<u8> {
    chancel_wire::encode(&outcome(reply))
}

/// Asks, as a client does that is told that its request is under way, until there is an answer.
async fn ask_until_answered(gateway: &Gateway, key: &str, text: &str, ask: Ask) -> PolicydReply {
    loop {
        let reply = gateway.ask_under(key, text, ask.clone()).await;
        if failure(&reply) != Some(AskFailure::IdempotencyInProgress) {
            return reply;
        }
    }
}

#[test]
fn what_many_ask_for_at_once_under_one_key_is_done_once() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let keyd = Keyd::serve(&installation);
        keyd.met(&gateway).await;
        let (tenant, _, text) = operator.tenant_at_work(&gateway, Plan::Enterprise).await;
        for round in 0..30_u32 {
            for ask in [Ask::CreateApiKey(tenant, terms("verify")), Ask::RotateKey(ML_DSA)] {
                let key = format!("{round} {:?}", ask.operation());
                let again = || ask_until_answered(&gateway, &key, &text, ask.clone());
                let (a, b, c) = tokio::join!(again(), again(), again());
                let (a, b, c) = (answered(a), answered(b), answered(c));
                assert!(
                    a == b && b == c,
                    "round {round}: {:?} was done twice",
                    ask.operation()
                );
            }
            let api_keys = operator.usage(tenant).await.api_keys;
            assert_eq!(
                api_keys,
                round + 2,
                "round {round}: more API keys than were asked for"
            );
        }
    });
}

#[test]
fn a_request_that_is_repeated_gets_its_first_answer_although_that_reached_a_limit() {
    let installation = Installation::new();
    installation.write_plans("[growth]\nversions_per_key = 2\napi_keys = 2\n");
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let keyd = Keyd::serve(&installation);
        keyd.met(&gateway).await;
        let (tenant, _, text) = operator.tenant_at_work(&gateway, Plan::Growth).await;
        let asks = [
            ("rotate", Ask::RotateKey(ML_DSA)),
            ("create", Ask::CreateApiKey(tenant, terms("verify"))),
        ];
        for (key, ask) in asks {
            let first = answered(gateway.ask_under(key, &text, ask.clone()).await);
            let reply = gateway.ask_under(key, &text, ask.clone()).await;
            assert!(is_done(&reply), "{ask:?}: {reply:?}");
            assert!(answered(reply) == first);
            assert!(
                denied(&gateway.ask(&text, ask).await).is_some(),
                "the limit is reached"
            );
        }
    });
}

#[test]
fn first_answers_survive_a_kill_and_are_for_the_same_request_of_the_same_api_key() {
    let installation = Installation::new();
    let policyd = installation.start();
    let (tenant, text, weak, first) = run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        let text = operator.api_key(tenant, "*").await.1;
        let weak = operator.api_key(tenant, "create-api-key verify").await.1;
        let create = Ask::CreateApiKey(tenant, terms("*"));
        let first = answered(gateway.ask_under("key", &text, create).await);
        (tenant, text, weak, first)
    });
    policyd.kill();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let create = Ask::CreateApiKey(tenant, terms("*"));
        assert!(answered(gateway.ask_under("key", &text, create.clone()).await) == first);
        let other = Ask::CreateApiKey(tenant, terms("verify"));
        assert_eq!(
            failure(&gateway.ask_under("key", &text, other).await),
            Some(AskFailure::IdempotencyMismatch)
        );
        // An API key that may do less must not be told the secret of one that may do more.
        let reply = gateway.ask_under("key", &weak, create.clone()).await;
        assert_eq!(
            failure(&reply),
            Some(AskFailure::BeyondOwnRights),
            "{:?}",
            is_done(&reply)
        );
        let stranger = operator.tenant("Other", Plan::Enterprise).await.id;
        let theirs = operator.api_key(stranger, "*").await.1;
        let mine = Ask::CreateApiKey(stranger, terms("*"));
        assert!(answered(gateway.ask_under("key", &theirs, mine).await) != first);
        let reply = gateway.ask_under("other", &theirs, create).await;
        assert_eq!(failure(&reply), Some(AskFailure::TenantNotFound));
    });
}
