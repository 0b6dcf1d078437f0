//! What should be where, whose, and closed to whom: derived from the configuration, so that an installation with other
//! directories is judged by its own.

use crate::host::config::{Account, Configuration};
use crate::host::credentials;
use crate::host::file::Kind;
use std::path::{Path, PathBuf};

/// Writing by anybody but the owner.
const WRITABLE: u32 = 0o022;
/// Anything by others than owner and group, and writing by the group: ledgers may be read by a group.
const OPEN: u32 = 0o027;
/// Anything by anybody but the owner.
const NOT_PRIVATE: u32 = 0o077;

/// In which check a file is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Sockets and their directories.
    Sockets,
    /// What the daemons keep.
    State,
    /// Sealed secrets.
    Credentials,
}

/// A file, directory or socket as it should be.
#[derive(Debug, Clone)]
pub struct Expected {
    /// In which check.
    pub group: Group,
    /// Where.
    pub path: PathBuf,
    /// What.
    pub kind: Kind,
    /// Whose: one of these.
    pub owners: Vec<Account>,
    /// Permission bits that it must not have.
    pub forbidden: u32,
    /// What to do when it is missing.
    pub when_missing: &'static str,
}

/// Where the daemons are met.
pub struct Sockets<'a> {
    /// keyd's.
    pub keyd: &'a Path,
    /// policyd's for operators.
    pub admin: &'a Path,
}

/// Everything that is expected.
pub fn all(config: &Path, configuration: &Configuration, sockets: &Sockets<'_>) -> Vec<Expected> {
    let keyd = || vec![configuration.keyd_account()];
    let policyd = || vec![configuration.policyd_account()];
    // systemd makes keyd's socket and hands it on; a keyd that is started otherwise makes it itself.
    let keyd_or_root = || vec![configuration.keyd_account(), Account::root()];
    let mut all = socket(
        sockets.keyd,
        keyd_or_root(),
        "systemctl start chancel-keyd.socket",
    );
    all.extend(socket(
        sockets.admin,
        policyd(),
        "systemctl start chancel-policyd",
    ));
    if let Some(found) = configuration.policyd.seen() {
        let mut gateways = socket(&found.socket, policyd(), "systemctl start chancel-policyd");
        gateways.retain(|new| all.iter().all(|old| old.path != new.path));
        all.append(&mut gateways);
        all.extend(
            found
                .database
                .parent()
                .map(|parent| directory(parent, policyd(), WRITABLE)),
        );
        all.push(Expected {
            kind: Kind::File,
            ..directory(&found.database, policyd(), NOT_PRIVATE)
        });
        all.push(directory(&found.ledger.directory, policyd(), OPEN));
    }
    if let Some(found) = configuration.keyd.seen() {
        all.push(directory(&found.key_directory, keyd(), NOT_PRIVATE));
        all.push(directory(&found.ledger.directory, keyd(), OPEN));
    }
    all.extend(credential_names(configuration).into_iter().map(|name| Expected {
        group: Group::Credentials,
        path: credentials::file(config, name),
        kind: Kind::File,
        owners: vec![Account::root()],
        forbidden: NOT_PRIVATE,
        when_missing: match name {
            credentials::TLS_KEY => "chancel tls import brings it, with its certificate",
            // Others would open nothing that these closed.
            credentials::KEK | credentials::API_KEY_SECRET => {
                "bring it back from a backup; on a host that has never run, \
                         systemctl restart chancel-credentials makes it"
            }
            _ => "systemctl restart chancel-credentials makes another",
        },
    }));
    all
}

/// Sealed secrets are how packages keep them. Who keeps them in files instead has none here.
fn credential_names(configuration: &Configuration) -> Vec<&'static str> {
    let mut names = Vec::new();
    if configuration
        .keyd
        .seen()
        .is_some_and(|keyd| keyd.kek.source == "credential")
    {
        names.extend(credentials::NAMES);
        if configuration
            .gateway
            .seen()
            .is_some_and(|gateway| gateway.tls.is_some())
        {
            names.push(credentials::TLS_KEY);
        }
    }
    names
}

/// Who may write into a socket's directory can put another socket there.
fn socket(path: &Path, owners: Vec<Account>, when_missing: &'static str) -> Vec<Expected> {
    let mut with_root = owners.clone();
    if !with_root.contains(&Account::root()) {
        with_root.push(Account::root());
    }
    let of = |path: &Path, kind, owners, forbidden| Expected {
        group: Group::Sockets,
        path: path.to_owned(),
        kind,
        owners,
        forbidden,
        when_missing,
    };
    let parent = path
        .parent()
        .map(|parent| of(parent, Kind::Directory, with_root, WRITABLE));
    let mut both: Vec<_> = parent.into_iter().collect();
    both.push(of(path, Kind::Socket, owners, 0));
    both
}

fn directory(path: &Path, owners: Vec<Account>, forbidden: u32) -> Expected {
    Expected {
        group: Group::State,
        path: path.to_owned(),
        kind: Kind::Directory,
        owners,
        forbidden,
        when_missing: "its daemon makes it when it starts; was its state moved, or its disk not mounted?",
    }
}
