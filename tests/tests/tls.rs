//! TLS as a client meets it: 1.3 with a post-quantum key exchange where the client offers one, 1.2 still, nothing
//! older, and plain HTTP nowhere but on loopback.

use chancel_tests::{Daemon, Installation, Options, certificates};
use nix::sys::signal::Signal;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    version,
};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

fn address(system: &Installation) -> String {
    fs::read_to_string(system.layout().path("run/gateway/address"))
        .expect("where the gateway listens")
        .trim()
        .to_owned()
}

fn config(
    system: &Installation,
    versions: &[&'static SupportedProtocolVersion],
    groups: &[NamedGroup],
) -> ClientConfig {
    let mut provider = aws_lc_rs::default_provider();
    if !groups.is_empty() {
        provider.kx_groups.retain(|group| groups.contains(&group.name()));
    }
    let mut roots = RootCertStore::empty();
    let authority = fs::read(certificates::authority_file(system.layout())).expect("the authority");
    roots
        .add(CertificateDer::from_pem_slice(&authority).expect("a certificate"))
        .expect("an authority");
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Shakes hands and makes one request; returns version and key exchange.
fn negotiated(system: &Installation, config: ClientConfig) -> (ProtocolVersion, NamedGroup) {
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut socket = TcpStream::connect(address(system)).expect("a connection");
    let mut stream = rustls::Stream::new(&mut client, &mut socket);
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    let group = client
        .negotiated_key_exchange_group()
        .expect("a key exchange")
        .name();
    (client.protocol_version().expect("a version"), group)
}

#[test]
fn tls_1_3_with_a_post_quantum_key_exchange_is_preferred_and_1_2_is_served() {
    let system = Installation::with(Options {
        tls: true,
        ..Options::default()
    });
    let both = [&version::TLS13, &version::TLS12];
    let preferred = negotiated(&system, config(&system, &both, &[]));
    assert_eq!(preferred, (ProtocolVersion::TLSv1_3, NamedGroup::X25519MLKEM768));
    let classical = negotiated(&system, config(&system, &both, &[NamedGroup::X25519]));
    assert_eq!(classical, (ProtocolVersion::TLSv1_3, NamedGroup::X25519));
    let older = negotiated(
        &system,
        config(&system, &[&version::TLS12], &[NamedGroup::X25519]),
    );
    assert_eq!(older, (ProtocolVersion::TLSv1_2, NamedGroup::X25519));

    // A ClientHello of TLS 1.1: record and handshake version 0x0302, one cipher suite, no extensions.
    let mut hello = vec![0x16, 3, 2, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let mut socket = TcpStream::connect(address(&system)).expect("a connection");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time-out");
    socket.write_all(&hello).expect("a hello");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert_eq!(
        answer.first(),
        Some(&0x15),
        "an alert and no ServerHello: {answer:?}"
    );

    let mut socket = TcpStream::connect(address(&system)).expect("a connection");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time-out");
    socket
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("plain HTTP");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(
        !answer.starts_with(b"HTTP/"),
        "plain HTTP is not answered on a TLS port"
    );
}

#[test]
fn plain_http_beyond_loopback_is_refused_unless_the_operator_insists() {
    let system = Installation::prepare(Options::default());
    let config = system.layout().path("etc/gateway.toml");
    let text = fs::read_to_string(&config).expect("the configuration");
    let open = text.replace("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"");
    assert_ne!(open, text);
    fs::write(&config, open).expect("the configuration is writable");
    system.spawn(Daemon::Gateway);
    let status = system.wait_end(Daemon::Gateway);
    assert_eq!(status.code(), Some(1));
    assert!(
        system.log(Daemon::Gateway).contains("plain"),
        "{}",
        system.log(Daemon::Gateway)
    );
}

#[test]
fn the_gateway_finishes_what_is_under_way_when_it_is_told_to_stop() {
    let system = Installation::new();
    let (_, api_key) = system.tenant_with_api_key("stopping");
    system.api(&api_key).first_key("Dilithium3");
    let body = br#"{"message":"aGVsbG8="}"#;
    let mut socket = TcpStream::connect(address(&system)).expect("a connection");
    let head = format!(
        "POST /api/v1/signature/sign HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\n\r\n",
        api_key.text,
        body.len()
    );
    socket.write_all(head.as_bytes()).expect("a head");
    // That the gateway asks for the body shows that the request is under way.
    let mut go_on = [0; 25];
    socket.read_exact(&mut go_on).expect("leave to send the body");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(&body[..5]).expect("a part of the body");
    system.signal(Daemon::Gateway, Signal::SIGTERM);
    system.until("the gateway to stop accepting", || {
        TcpStream::connect(address(&system)).is_err().then_some(())
    });
    socket.write_all(&body[5..]).expect("the rest of the body");
    let mut answer = String::new();
    socket
        .read_to_string(&mut answer)
        .expect("an answer, and then the end");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"signature\""));
    assert!(system.wait_end(Daemon::Gateway).success());
}

/// A connection that has shaken hands and stays open.
struct Open(rustls::StreamOwned<ClientConnection, TcpStream>);

impl Open {
    fn new(system: &Installation) -> Result<Self, std::io::Error> {
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let config = config(system, &[&version::TLS13], &[]);
        let client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut open = Self(rustls::StreamOwned::new(
            client,
            TcpStream::connect(address(system))?,
        ));
        open.ask().map(|()| open)
    }

    fn ask(&mut self) -> Result<(), std::io::Error> {
        self.0.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")?;
        let mut answer = Vec::new();
        // Up to the end of the envelope: the connection stays open.
        while !answer.ends_with(b"Z\"}") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        Ok(())
    }
}

#[test]
fn a_new_certificate_is_read_on_sighup_and_no_connection_is_dropped() {
    let system = Installation::with(Options {
        tls: true,
        ..Options::default()
    });
    let mut before = Open::new(&system).expect("a connection");
    // Another authority, which does not vouch for the certificate that is served.
    certificates::make(system.layout(), system.account(Daemon::Gateway));
    assert!(Open::new(&system).is_err(), "the old certificate is still served");
    system.signal(Daemon::Gateway, Signal::SIGHUP);
    system.until("the new certificate", || Open::new(&system).ok());
    before.ask().expect("the old connection goes on");

    // One that cannot be used changes nothing.
    let key = system.layout().path("gateway/tls.key");
    let good = fs::read(&key).expect("the key");
    fs::write(&key, b"no key").expect("written");
    system.signal(Daemon::Gateway, Signal::SIGHUP);
    system.until("a word about it", || {
        system
            .log(Daemon::Gateway)
            .contains("the certificate was not read again")
            .then_some(())
    });
    Open::new(&system).expect("the certificate before goes on");
    fs::write(&key, good).expect("written");
    before.ask().expect("and so does the first connection");
}
