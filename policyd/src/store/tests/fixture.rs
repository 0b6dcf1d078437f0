//! A database in a directory of its own, and ways to fill it.

use crate::admin::Operator;
use crate::api_keys::{ApiKeyHasher, ApiKeySecretText, ServiceContext, authenticate};
use crate::identifier;
use crate::store::{NewApiKeyRow, ReadView, Store, StoreError, WriteView};
use chancel_domain::tenant::Name;
use chancel_domain::{
    Algorithm, ApiKeyId, DenyRule, KeyHandle, KeyVersion, Networks, Plan, RequestId, Scopes, TenantId,
    TenantStatus,
};
use chancel_wire::admin::TenantRecord;
use chancel_wire::keyd::KeyIdentity;
use rusqlite::Connection;
use std::path::PathBuf;
use tempfile::TempDir;

pub(crate) struct Fixture {
    directory: TempDir,
    pub(crate) store: Store,
    pub(crate) hasher: ApiKeyHasher,
}

/// Runs a future that needs no drivers.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn name(text: &str) -> Name {
    Name::try_from(text.to_owned()).unwrap()
}

/// A rule that denies everything.
pub(crate) fn deny_rule(called: &str) -> DenyRule {
    DenyRule {
        name: name(called),
        operations: Vec::new(),
        algorithms: Vec::new(),
        window: None,
        sources: None,
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    pub(crate) fn open(directory: TempDir) -> Self {
        let store = Store::open(&directory.path().join("chancel.db"))
            .unwrap()
            .start()
            .unwrap();
        let hasher = ApiKeyHasher::new(&[9; 32]);
        Self {
            directory,
            store,
            hasher,
        }
    }

    pub(crate) fn close(self) -> TempDir {
        let Store {
            reader,
            writer,
            writer_thread,
        } = self.store;
        drop((reader, writer));
        writer_thread.finish().unwrap();
        self.directory
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("chancel.db")
    }

    /// A connection that knows nothing of scopes: what an attacker with the file has.
    pub(crate) fn raw(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    pub(crate) fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(WriteView<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        run(self.store.writer.change(work)).unwrap()
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(ReadView<'_>) -> T) -> T {
        self.store
            .reader
            .look(|view| Ok::<_, StoreError>(look(view)))
            .unwrap()
    }

    /// A tenant with one API key.
    pub(crate) fn tenant(&self, called: &str) -> (TenantRecord, ApiKeySecretText) {
        let tenant = TenantRecord {
            id: TenantId::from_bytes(identifier::fresh()),
            name: name(called),
            plan: Plan::Starter,
            status: TenantStatus::Active,
            created_at_ms: 1,
        };
        let secret = ApiKeySecretText::generate();
        let hashes = self.hasher.hashes(tenant.id, &secret);
        let row = NewApiKeyRow {
            id: ApiKeyId::from_bytes(identifier::fresh()),
            name: name("key"),
            scopes: Scopes::all(),
            expires_at_ms: None,
            networks: Networks::default(),
            created_at_ms: 1,
        };
        let (stored, operator) = (tenant.clone(), Operator::for_tests());
        self.change(move |view| {
            assert!(view.operators(&operator).insert_tenant(&stored)?);
            let (_, scope) = view.operators(&operator).scope(stored.id)?.unwrap();
            scope.insert_api_key(&row, &hashes)
        });
        (tenant, secret)
    }

    /// Whom an API key stands for.
    pub(crate) fn context(&self, secret: &ApiKeySecretText) -> Option<ServiceContext> {
        self.look(|view| self.context_in(view, secret))
    }

    /// Whom an API key stands for, within a look.
    pub(crate) fn context_in(&self, view: ReadView<'_>, secret: &ApiKeySecretText) -> Option<ServiceContext> {
        let request = RequestId::from_bytes([1; 16]);
        let known = authenticate(
            &view.authentication(),
            &self.hasher,
            secret.expose_text(),
            request,
        );
        known.unwrap().map(|caller| caller.context)
    }

    /// The first key of an algorithm, active.
    pub(crate) fn key(&self, context: ServiceContext, algorithm: Algorithm) -> KeyIdentity {
        let handle = KeyHandle::from_bytes(identifier::fresh());
        self.change(move |view| {
            let scope = view.tenant(&context);
            let key = scope.reserve_key(algorithm, KeyVersion::FIRST, handle, context.api_key(), 1)?;
            assert!(scope.activate_key(&key, b"public key")?);
            Ok(key)
        })
    }
}
