//! Listening addresses, and telling them to whoever asked for any free port.

use crate::config::Config;
use chancel_sandbox::inherited;
use chancel_service::manager::Manager;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
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
    /// The service manager cannot be told to keep the socket.
    #[error("service manager: {0}")]
    Keep(#[source] io::Error),
    /// The address file could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where the gateway listens.
pub struct Listening {
    pub api: TcpListener,
    pub monitor: Option<TcpListener>,
}

/// Takes both addresses: the sockets of the process before this one, which the service manager has kept, or new ones for it to
/// keep. So who connects while the gateway is started anew waits in line, and nobody else on the host comes to listen there.
/// Somebody may have before: without its monitor the gateway serves all the same.
pub fn take_both(config: &Config, manager: &Manager) -> Result<Listening, AddressError> {
    let addresses = [config.listen, config.monitor_listen].map(|address| possible(address, has_ipv6));
    let [api, monitor] = addresses;
    let [kept_api, kept_monitor] = inherited::tcp_listeners(addresses)
        .map_err(|source| AddressError::Listen { address: api, source })?;
    let take = |name, kept, address, file: &Option<PathBuf>| {
        let listener = match kept {
            Some(listener) => listener,
            None => new(name, address, manager)?,
        };
        told(listener, address, file.as_deref())
    };
    Ok(Listening {
        api: take("api", kept_api, api, &config.address_file)?,
        monitor: take("monitor", kept_monitor, monitor, &config.monitor_address_file)
            .inspect_err(
                |error| tracing::error!(%error, "no monitor: neither health nor metrics can be asked for"),
            )
            .ok(),
    })
}

/// From here on the kernel accepts connections; they wait until the gateway serves.
fn new(name: &str, address: SocketAddr, manager: &Manager) -> Result<TcpListener, AddressError> {
    let listener = TcpListener::bind(address).map_err(|source| AddressError::Listen { address, source })?;
    manager.keep(name, &listener).map_err(AddressError::Keep)?;
    Ok(listener)
}

/// `[::]`, which is every address of both families, comes to every one of IPv4 on a kernel that has no other. An address of
/// IPv6 that was named is another matter: whoever named it would wait there in vain.
fn possible(address: SocketAddr, has_ipv6: impl FnOnce() -> bool) -> SocketAddr {
    if address.is_ipv4() || !address.ip().is_unspecified() || has_ipv6() {
        return address;
    }
    let every = (Ipv4Addr::UNSPECIFIED, address.port()).into();
    tracing::warn!(listen = %every, "this kernel has no IPv6: every address is every one of IPv4");
    every
}

fn has_ipv6() -> bool {
    let tried = socket(
        AddressFamily::Inet6,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    );
    !matches!(tried, Err(Errno::EAFNOSUPPORT))
}

/// Writes what an address has become to a file, which appears whole.
fn told(
    listener: TcpListener,
    address: SocketAddr,
    file: Option<&Path>,
) -> Result<TcpListener, AddressError> {
    let failed = |source| AddressError::Listen { address, source };
    listener.set_nonblocking(true).map_err(failed)?;
    if let Some(path) = file {
        let taken = listener.local_addr().map_err(failed)?;
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
    fn without_ipv6_every_address_is_every_one_of_ipv4_and_no_other_is_changed() {
        for (address, with, without) in [
            ("[::]:8443", "[::]:8443", "0.0.0.0:8443"),
            ("[::1]:8443", "[::1]:8443", "[::1]:8443"),
            ("0.0.0.0:8443", "0.0.0.0:8443", "0.0.0.0:8443"),
        ] {
            let on = |has_ipv6| possible(address.parse().unwrap(), || has_ipv6).to_string();
            assert_eq!((on(true).as_str(), on(false).as_str()), (with, without));
        }
    }

    #[test]
    fn the_file_says_which_port_it_became() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("address");
        let (manager, any) = (Manager::connect().unwrap(), ([127, 0, 0, 1], 0).into());
        let listener = told(new("api", any, &manager).unwrap(), any, Some(&path)).unwrap();
        let told: SocketAddr = fs::read_to_string(&path).unwrap().trim().parse().unwrap();
        assert_eq!(told, listener.local_addr().unwrap());
        assert_ne!(told.port(), 0);
        let taken = new("api", told, &manager).unwrap_err();
        assert!(matches!(taken, AddressError::Listen { .. }));
    }
}
