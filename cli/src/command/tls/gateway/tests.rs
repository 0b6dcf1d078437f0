//! A listener with TLS, and what is found out about it.

use super::*;
use crate::certificate::certificates;
use crate::test_certificates::{Authority, Made};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ServerConfig, ServerConnection};
use std::io::Read;
use std::net::TcpListener;

/// Shakes hands once with each of these, in their order.
fn serving(pairs: Vec<(String, String)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (chain, key) in pairs {
            let config =
                ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_no_client_auth()
                    .with_single_cert(
                        certificates(chain.as_bytes()).unwrap(),
                        PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                    )
                    .unwrap();
            let (mut connection, _) = listener.accept().unwrap();
            let mut server = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = rustls::Stream::new(&mut server, &mut connection);
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "a hand is shaken and no more");
        }
    });
    address
}

fn pair(made: &Made) -> (String, String) {
    (made.chain.clone(), made.key.clone())
}

fn asked(listen: SocketAddr, chain: &str, patience: Duration) -> Result<(), String> {
    serves(listen, &certificates(chain.as_bytes()).unwrap(), patience)
}

#[test]
fn the_whole_chain_is_compared_and_not_its_first_certificate() {
    let authority = Authority::new();
    let made = authority.issue(&["localhost"]);
    let whole = (format!("{}{}", made.chain, authority.pem()), made.key.clone());
    let listen = serving(vec![whole.clone(), whole.clone()]);
    asked(listen, &whole.0, Duration::ZERO).unwrap();
    assert_eq!(
        asked(listen, &made.chain, Duration::ZERO),
        Err("serves another".to_owned())
    );
}

#[test]
fn a_gateway_that_is_still_at_the_old_one_is_asked_again() {
    let (old, new) = (
        Made::self_signed(&["localhost"]),
        Made::self_signed(&["localhost"]),
    );
    let listen = serving(vec![pair(&old), pair(&old), pair(&new)]);
    asked(listen, &new.chain, PATIENCE).unwrap();
}

#[test]
fn nobody_there_is_told_from_somebody_with_another() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = listener.local_addr().unwrap();
    drop(listener);
    let made = Made::self_signed(&["localhost"]);
    let why = asked(listen, &made.chain, Duration::ZERO).unwrap_err();
    assert!(why.starts_with("does not answer: "), "{why}");
}

#[test]
fn where_it_listens_is_what_its_configuration_says() {
    let directory = tempfile::tempdir().unwrap();
    let said = |text: &str| {
        std::fs::write(directory.path().join("gateway.toml"), text).unwrap();
        listen(directory.path())
    };
    assert_eq!(
        said("listen = \"[::]:8443\"\n[tls]\n"),
        Ok("127.0.0.1:8443".parse().unwrap())
    );
    assert!(
        said("listen = \"127.0.0.1:80\"")
            .unwrap_err()
            .contains("no [tls]")
    );
    assert!(said("listen = 1").unwrap_err().contains("line 1"));
}
