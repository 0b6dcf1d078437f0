//! The secrets of an installation as the test knows them, and the search for them in a process's memory.

use chancel_domain::{Algorithm, KeyVersion};
use chancel_keyd::config::KekConfig;
use chancel_keyd::kek::Kek;
use chancel_keyd::{crypto, keyfile};
use chancel_sandbox::SecretArena;
use chancel_tests::Installation;
use chancel_wire::keyd::KeyIdentity;
use nix::unistd::{Pid, getegid, geteuid};
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::Path;

/// Bytes of a piece that is searched for. A copy of twice as many bytes of a secret holds at least one whole piece.
pub const PIECE: usize = 32;

/// Pieces of secrets, found by their first eight bytes.
#[derive(Default)]
pub struct Needles {
    by_prefix: HashMap<u64, Vec<(String, Vec<u8>)>>,
    /// Whether any piece begins with these two bytes: nearly all positions are done with here.
    begins: Vec<bool>,
}

impl Needles {
    pub fn new() -> Self {
        Self {
            by_prefix: HashMap::new(),
            begins: vec![false; 1 << 16],
        }
    }

    /// Adds a secret of at least a piece's length, piece by piece.
    pub fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= PIECE, "{name} is too short to be searched for");
        for (index, piece) in secret.chunks_exact(PIECE).enumerate() {
            self.begins[usize::from(u16::from_le_bytes([piece[0], piece[1]]))] = true;
            self.by_prefix
                .entry(prefix(piece))
                .or_default()
                .push((format!("{name}, bytes from {}", index * PIECE), piece.to_vec()));
        }
    }

    /// How many pieces there are.
    pub fn len(&self) -> usize {
        self.by_prefix.values().map(Vec::len).sum()
    }

    fn search(&self, haystack: &[u8], base: u64, found: &mut Vec<String>) {
        for (offset, window) in haystack.windows(PIECE).enumerate() {
            if !self.begins[usize::from(u16::from_le_bytes([window[0], window[1]]))] {
                continue;
            }
            for (name, piece) in self.by_prefix.get(&prefix(window)).into_iter().flatten() {
                if window == piece {
                    found.push(format!("{name}, at {:#x}", base + offset as u64));
                }
            }
        }
    }
}

fn prefix(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

/// What a search went through, and what it found.
#[derive(Debug, Default)]
pub struct Searched {
    pub bytes: usize,
    pub found: Vec<String>,
    /// Mappings that the kernel does not let even root read.
    pub unreadable: Vec<String>,
}

/// Searches all of a process's memory that root can read.
pub fn search(pid: Pid, needles: &Needles) -> Searched {
    search_but(&[], pid, needles)
}

/// Searches all but the stacks of a process's threads. What a library leaves of a key on a stack lies there until the next
/// call overwrites it, which SECURITY.md says (U-5).
pub fn search_but_stacks(pid: Pid, needles: &Needles) -> Searched {
    // The second last word: the stack pointer of a thread that waits in the kernel; `running` for one that does not.
    let pointer = |line: String| {
        let word = line.split_ascii_whitespace().rev().nth(1)?.to_owned();
        u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
    };
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process's threads");
    let pointers: Vec<u64> = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("syscall")).ok())
        .filter_map(pointer)
        .collect();
    assert!(!pointers.is_empty(), "no thread waits");
    search_but(&pointers, pid, needles)
}

/// Searches the mappings that hold none of some addresses.
fn search_but(addresses: &[u64], pid: Pid, needles: &Needles) -> Searched {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process's mappings");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the process's memory");
    let mut searched = Searched::default();
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        let (from, to) = range.split_once('-').expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (from, to) = (address(from), address(to));
        let special = ["[vvar]", "[vvar_vclock]", "[vsyscall]"];
        let is_left_out = addresses.iter().any(|at| (from..to).contains(at));
        if is_left_out || !rights.starts_with('r') || special.iter().any(|name| line.ends_with(name)) {
            continue;
        }
        let mut bytes = vec![0; (to - from) as usize];
        match memory.read_exact_at(&mut bytes, from) {
            Ok(()) => {
                searched.bytes += bytes.len();
                needles.search(&bytes, from, &mut searched.found);
            }
            Err(_) => searched.unreadable.push(line.to_owned()),
        }
    }
    searched
}

/// The key-encryption key.
pub fn kek(system: &Installation) -> Vec<u8> {
    fs::read(system.layout().path("keyd/kek")).expect("the key-encryption key")
}

/// What is secret of every private key: its seed and the secret parts of its expanded form, from its file, opened as keyd
/// opens it.
pub fn private_keys(system: &Installation) -> Vec<(String, Vec<u8>)> {
    let arena = SecretArena::new(1, 8192).expect("locked memory");
    let kek = own_kek(system, &arena);
    let mut secrets = Vec::new();
    for (identity, file) in key_files(&system.layout().key_directory()) {
        let seed = keyfile::open(&kek, &identity, &file).expect("a key file that opens");
        let name = format!("{} of {}", identity.algorithm, identity.tenant);
        secrets.push((format!("seed of {name}"), seed.expose().to_vec()));
        let mut expanded = vec![0; identity.algorithm.spec().private_key_len];
        crypto::expand(identity.algorithm, &seed, &mut expanded).expect("an expanded key");
        for (part, range) in secret_parts(identity.algorithm) {
            secrets.push((format!("{part} of {name}"), expanded[range].to_vec()));
        }
    }
    secrets
}

/// The parts of an expanded private key that no public key contains.
fn secret_parts(algorithm: Algorithm) -> Vec<(&'static str, std::ops::Range<usize>)> {
    let length = algorithm.spec().private_key_len;
    match algorithm {
        // FIPS 203 algorithm 16: dk_PKE ‖ ek ‖ H(ek) ‖ z.
        Algorithm::MlKem512 | Algorithm::MlKem768 | Algorithm::MlKem1024 => {
            let public = algorithm.spec().public_key_len + 32;
            vec![("dk_PKE", 0..length - 32 - public), ("z", length - 32..length)]
        }
        // FIPS 204 algorithm 24: rho ‖ K ‖ tr ‖ s1 ‖ s2 ‖ t0.
        Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => {
            vec![("K", 32..64), ("s1, s2 and t0", 128..length)]
        }
        // The same of ML-DSA-65, and the scalar.
        Algorithm::CompositeMlDsa65EcdsaP256 => vec![
            ("K", 32..64),
            ("s1, s2 and t0", 128..4032),
            ("scalar", 4032..length),
        ],
        Algorithm::XWing => vec![("decapsulation key", 0..length)],
        // FIPS 205 §9.1: SK.seed ‖ SK.prf ‖ PK.seed ‖ PK.root.
        _ => vec![("SK.seed and SK.prf", 0..length / 2)],
    }
}

/// The key-encryption key as keyd holds it, from a copy that belongs to this process.
fn own_kek(system: &Installation, arena: &std::sync::Arc<SecretArena>) -> Kek {
    let path = system.layout().path("kek-of-the-test");
    fs::write(&path, kek(system)).expect("a copy");
    chown(&path, Some(geteuid().as_raw()), Some(getegid().as_raw())).expect("its owner");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    let config = KekConfig::File { path, generation: 1 };
    Kek::obtain(&config, arena).expect("a key-encryption key")
}

/// All key files: which key each is, by its name, and its bytes.
fn key_files(directory: &Path) -> Vec<(KeyIdentity, Vec<u8>)> {
    let mut files = Vec::new();
    for tenant in fs::read_dir(directory).expect("the key directory") {
        let tenant = tenant.expect("an entry");
        // The audit key lies beside the tenants' directories.
        if tenant.path().is_file() {
            continue;
        }
        for file in fs::read_dir(tenant.path()).expect("a tenant's directory") {
            let file = file.expect("an entry");
            let name = file.file_name().into_string().expect("text");
            let parts: Vec<_> = name.split('.').collect();
            let [algorithm, version, handle, "key"] = parts[..] else {
                panic!("not a key file: {name}");
            };
            let identity = KeyIdentity {
                tenant: tenant
                    .file_name()
                    .to_str()
                    .expect("text")
                    .parse()
                    .expect("a tenant"),
                algorithm: Algorithm::from_name(algorithm).expect("an algorithm"),
                version: KeyVersion::new(version.parse().expect("a number")).expect("not 0"),
                handle: handle.parse().expect("a handle"),
            };
            files.push((identity, fs::read(file.path()).expect("a key file")));
        }
    }
    files
}
