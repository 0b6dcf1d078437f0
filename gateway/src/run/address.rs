//! Listening addresses, and telling them to whoever asked for any free port.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// Why an address was not taken, or not told.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The system does not give it.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address file could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Takes an address and writes what it has become to a file, which appears whole. From here on the kernel
/// accepts connections; they wait until the gateway serves.
pub fn take(address: SocketAddr, file: Option<&Path>) -> Result<TcpListener, AddressError> {
    let listen = |source| AddressError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    if let Some(path) = file {
        let taken = listener.local_addr().map_err(listen)?;
        let mut unfinished = OsString::from(path);
        unfinished.push(".tmp");
        fs::write(&unfinished, format!("{taken}\n"))
            .and_then(|()| fs::rename(&unfinished, path))
            .map_err(|source| AddressError::File {
                path: path.to_owned(),
                source,
            })?;
    }
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_which_port_it_became() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("address");
        let listener = take(([127, 0, 0, 1], 0).into(), Some(&path)).unwrap();
        let told: SocketAddr = fs::read_to_string(&path).unwrap().trim().parse().unwrap();
        assert_eq!(told, listener.local_addr().unwrap());
        assert_ne!(told.port(), 0);
        let taken = take(told, None).unwrap_err();
        assert!(matches!(taken, AddressError::Listen { .. }));
    }
}
