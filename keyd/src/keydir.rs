//! The key directory: where the file of a key is, and how a file comes and goes so that a power cut at any
//! instant leaves it whole or absent.
//!
//! `KEY_DIRECTORY/<tenant>/<algorithm>.<version>.<handle>.key`, and `KEY_DIRECTORY/audit.key`, which is no tenant's.
//! Written as a temporary file, fsync, rename, fsync of the directory. Names are made from domain types, never from text
//! that somebody sent.

use crate::keyfile::{MAX_LEN, WrappedKey};
use aws_lc_rs::rand;
use chancel_domain::{Algorithm, KeyVersion, TenantId};
use chancel_wire::keyd::KeyIdentity;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A key directory that exists and belongs to this process alone.
#[derive(Debug)]
pub struct KeyDirectory {
    root: PathBuf,
    /// The root, opened: it carries the lock by which no other process uses the directory.
    lock: File,
}

/// Why a key directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyDirectoryError {
    /// It cannot be made or read.
    #[error("key directory {0}: {1}")]
    Io(PathBuf, io::Error),
    /// Somebody else could read or change it.
    #[error("key directory {0} must belong to this account and grant nothing to group and others")]
    NotPrivate(PathBuf),
    /// Another process has it: what one destroys, the other would keep in memory.
    #[error("key directory {0} is in use by another process")]
    InUse(PathBuf),
}

impl KeyDirectory {
    /// Opens the directory, making it where it is missing, and removes what interrupted writes left.
    ///
    /// # Errors
    /// [`KeyDirectoryError`]; a directory that others can reach is refused, not repaired.
    pub fn open(root: &Path) -> Result<Self, KeyDirectoryError> {
        let io = |error| KeyDirectoryError::Io(root.to_owned(), error);
        if make_directory(root).map_err(io)?
            && let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty())
        {
            sync_directory(parent).map_err(io)?;
        }
        let meta = fs::metadata(root).map_err(io)?;
        if !meta.is_dir() || meta.uid() != nix::unistd::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
            return Err(KeyDirectoryError::NotPrivate(root.to_owned()));
        }
        let lock = File::open(root).map_err(io)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => KeyDirectoryError::InUse(root.to_owned()),
            TryLockError::Error(error) => io(error),
        })?;
        let directory = Self {
            root: root.to_owned(),
            lock,
        };
        directory.remove_leftovers().map_err(io)?;
        Ok(directory)
    }

    /// Where the directory is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Stores the file of a new key; when this returns, it is on disk. Not to be called twice at once for one
    /// handle.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one, and whatever the file system says; nothing new is left then.
    pub fn store(&self, key: &KeyIdentity, file: &WrappedKey) -> io::Result<()> {
        let directory = self.tenant_directory(key.tenant);
        make_directory(&directory)?;
        // Also when it existed: whoever made it may not have come to this.
        self.lock.sync_all()?;
        put(
            &directory,
            &self.path(key),
            &key.handle.to_string(),
            file.as_bytes(),
        )
    }

    /// Stores the file of the audit key; when this returns, it is on disk.
    ///
    /// # Errors
    /// As [`KeyDirectory::store`].
    pub fn store_audit_key(&self, file: &WrappedKey) -> io::Result<()> {
        put(&self.root, &self.root.join(AUDIT_KEY), AUDIT_KEY, file.as_bytes())
    }

    /// Reads the file of the audit key.
    ///
    /// # Errors
    /// As [`KeyDirectory::read`].
    pub fn read_audit_key(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        read_bounded(&self.root.join(AUDIT_KEY))
    }

    /// The name of the file with the check value of a generation of the key-encryption key.
    pub fn check_name(generation: u32) -> String {
        format!("kek-{generation}.check")
    }

    /// Stores the check value of a generation of the key-encryption key; when this returns, it is on disk.
    ///
    /// # Errors
    /// As [`KeyDirectory::store`].
    pub fn store_check(&self, generation: u32, value: &[u8]) -> io::Result<()> {
        let name = Self::check_name(generation);
        put(&self.root, &self.root.join(&name), &name, value)
    }

    /// Reads the check value of a generation of the key-encryption key.
    ///
    /// # Errors
    /// As [`KeyDirectory::read`].
    pub fn read_check(&self, generation: u32) -> io::Result<Zeroizing<Vec<u8>>> {
        read_bounded(&self.root.join(Self::check_name(generation)))
    }

    /// Reads the file of a key.
    ///
    /// # Errors
    /// `NotFound` when there is none, `FileTooLarge` when it cannot be a key file, and whatever the file
    /// system says.
    pub fn read(&self, key: &KeyIdentity) -> io::Result<Zeroizing<Vec<u8>>> {
        read_bounded(&self.path(key))
    }

    /// Overwrites the file of a key with random bytes, then removes it; no file is no error.
    ///
    /// # Errors
    /// Whatever the file system says; the file may then still be there.
    pub fn destroy(&self, key: &KeyIdentity) -> io::Result<()> {
        let path = self.path(key);
        let file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let length = usize::try_from(file.metadata()?.len())
            .unwrap_or(MAX_LEN)
            .min(MAX_LEN);
        let mut noise = vec![0; length];
        rand::fill(&mut noise).map_err(|_| io::ErrorKind::Other)?;
        file.write_all_at(&noise, 0)?;
        file.sync_all()?;
        fs::remove_file(&path)?;
        sync_directory(&self.tenant_directory(key.tenant))
    }

    /// All keys that have a file, by name, in the order of [`KeyIdentity`]; names of another form are passed
    /// over.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn list(&self) -> io::Result<Vec<KeyIdentity>> {
        let mut keys = Vec::new();
        for (tenant, directory) in self.tenants()? {
            for entry in fs::read_dir(directory)? {
                keys.extend(
                    entry?
                        .file_name()
                        .to_str()
                        .and_then(|name| parse_name(tenant, name)),
                );
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    fn tenants(&self) -> io::Result<Vec<(TenantId, PathBuf)>> {
        let mut tenants = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if let Some(tenant) = entry.file_name().to_str().and_then(parse_tenant) {
                tenants.push((tenant, entry.path()));
            }
        }
        Ok(tenants)
    }

    fn remove_leftovers(&self) -> io::Result<()> {
        let tenants = self.tenants()?.into_iter().map(|(_, directory)| directory);
        for directory in tenants.chain([self.root.clone()]) {
            for entry in fs::read_dir(directory)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == TEMPORARY) {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }

    fn tenant_directory(&self, tenant: TenantId) -> PathBuf {
        self.root.join(tenant.to_string())
    }

    fn path(&self, key: &KeyIdentity) -> PathBuf {
        let name = format!("{}.{}.{}.{KEY}", key.algorithm, key.version, key.handle);
        self.tenant_directory(key.tenant).join(name)
    }
}

const KEY: &str = "key";
const TEMPORARY: &str = "tmp";
const AUDIT_KEY: &str = "audit.key";

/// Writes a file that is whole or absent.
fn put(directory: &Path, path: &Path, temporary: &str, file: &[u8]) -> io::Result<()> {
    if path.try_exists()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let temporary = directory.join(format!("{temporary}.{TEMPORARY}"));
    let written = write_new(&temporary, file)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_directory(directory));
    if written.is_err() {
        // Best effort: a leftover is removed at the next start, too, and a key without a row is reported.
        let _ = fs::remove_file(&temporary);
        let _ = fs::remove_file(path);
    }
    written
}

fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
    let limit = u64::try_from(MAX_LEN).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_LEN {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Makes a directory where there is none; says whether it did.
fn make_directory(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Only in the form in which it is written: a UUID has others, and files there would be found by no key.
fn parse_tenant(name: &str) -> Option<TenantId> {
    name.parse()
        .ok()
        .filter(|tenant: &TenantId| tenant.to_string() == name)
}

fn parse_name(tenant: TenantId, name: &str) -> Option<KeyIdentity> {
    let mut parts = name.split('.');
    let (algorithm, version, handle) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next()? != KEY || parts.next().is_some() {
        return None;
    }
    let key = KeyIdentity {
        tenant,
        algorithm: Algorithm::from_name(algorithm).ok()?,
        version: KeyVersion::new(version.parse().ok()?)?,
        handle: handle.parse().ok()?,
    };
    // One file, one name: `01` or an alias would give two names to one identity.
    (format!("{}.{}.{}.{KEY}", key.algorithm, key.version, key.handle) == name).then_some(key)
}
