//! The other end of policyd's connection to keyd, as far as policyd can see it: it makes permit keys, says that it
//! made and destroyed keys, and counts what it was asked. The real one is in the whole-system tests.

use crate::peers::Gateway;
use crate::support::{Installation, KEYD_TOKEN, until};
use chancel_link::{
    Admission, AuthenticatedPeer, Expected, Handled, Handler, Incoming, Listener, Refusals, Reply,
};
use chancel_wire::hello::{Role, ServiceToken};
use chancel_wire::keyd::{
    BreakGlassState, InventoryEntry, KeyIdentity, KeydError, KeydHealth, KeydReply, KeydRequest,
    PermitKeyGrant,
};
use chancel_wire::permit::PermitKey;
use chancel_wire::policyd::PolicydReply;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub struct Keyd {
    files: Mutex<BTreeSet<KeyIdentity>>,
    epochs: AtomicU64,
    asked: AtomicU64,
}

impl Keyd {
    /// Serves keyd's socket for as long as the runtime stands.
    pub fn serve(installation: &Installation) -> Arc<Self> {
        let socket = installation.path("run/keyd.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = Listener::bind(&socket, 0o666).unwrap();
        let keyd = Arc::new(Self::default());
        let admission = Admission::Services(vec![Expected {
            role: Role::Policyd,
            uid: installation.account(),
            token: ServiceToken::from_bytes(KEYD_TOKEN),
        }]);
        let serving = listener.serve(
            admission,
            keyd.clone(),
            Arc::new(Refusals::new()),
            std::future::pending(),
        );
        tokio::spawn(serving);
        keyd
    }

    /// Waits until policyd has met it.
    pub async fn met(&self, gateway: &Gateway) {
        until("policyd meets keyd", async || {
            matches!(gateway.health().await, PolicydReply::Healthy)
        })
        .await;
    }

    /// Requests that were about a key.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Handler for Keyd {
    type Turn = ();

    fn handle(&self, _peer: &AuthenticatedPeer, request: Incoming<'_>, (): &mut ()) -> Handled {
        let mut files = self.files.lock().unwrap();
        match chancel_wire::decode(request.body).unwrap() {
            KeydRequest::Generate(key) => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                if !files.insert(key) {
                    return Handled::now(&KeydReply::Refused(KeydError::KeyExists));
                }
                let public_key = vec![7; key.algorithm.spec().public_key_len];
                Handled::now(&KeydReply::Generated {
                    public_key: &public_key,
                })
            }
            KeydRequest::Destroy(key) => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                files.remove(&key);
                Handled::now(&KeydReply::Destroyed)
            }
            KeydRequest::RenewPermitKey => Handled::now(&KeydReply::PermitKey(PermitKeyGrant {
                epoch: self.epochs.fetch_add(1, Ordering::SeqCst) + 1,
                key: PermitKey::from_bytes([8; 32]),
                now_ms: 1_000,
            })),
            KeydRequest::Inventory { after } => {
                let files = files
                    .iter()
                    .filter(|key| after.is_none_or(|after| **key > after))
                    .map(|key| InventoryEntry {
                        key: *key,
                        damage: None,
                    })
                    .collect();
                Handled::now(&KeydReply::Inventory { files, more: false })
            }
            KeydRequest::Health => Handled::now(&KeydReply::Healthy(KeydHealth {
                kek_source: "file".to_owned(),
                secret_memory: "locked pages".to_owned(),
                version: "0.0.0".to_owned(),
                break_glass: BreakGlassState {
                    remaining_ms: 0,
                    uses: 0,
                    longest_ms: 300_000,
                },
                ledger: "writable".to_owned(),
            })),
            _ => Handled::now(&KeydReply::Refused(KeydError::NotForThisPeer)),
        }
    }

    fn overloaded(&self) -> Reply {
        Reply::new(&KeydReply::Refused(KeydError::Overloaded))
    }
}
