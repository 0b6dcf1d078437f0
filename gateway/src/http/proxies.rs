//! Where a request comes from when it comes through a proxy. A header is believed from the proxies that the operator
//! has named, and from nobody else; of what it lists, the last address that is no such proxy is the one that a
//! trusted proxy has seen itself, and everything before that is what somebody says.

use crate::error::ApiError;
use chancel_domain::Networks;
use hyper::HeaderMap;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// The header in which the proxies say whom they have it from. A proxy that keeps one in order passes the other on as
/// its client wrote it, so that a request with both says nothing that could be believed, unless the operator has named
/// one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// Either of the two, and not both.
    #[default]
    Either,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// The proxies that are believed.
#[derive(Debug, Default)]
pub struct Proxies {
    trusted: Networks,
    header: ProxyHeader,
}

impl Proxies {
    /// Proxies in these networks, which write that header.
    pub const fn new(trusted: Networks, header: ProxyHeader) -> Self {
        Self { trusted, header }
    }

    /// Where a request comes from that `peer` has sent.
    ///
    /// # Errors
    /// [`ApiError::SourceUnknown`] when a trusted proxy says something that is no address.
    pub fn source(&self, headers: &HeaderMap, peer: IpAddr) -> Result<IpAddr, ApiError> {
        if !self.trusted.contain(peer) {
            return Ok(peer);
        }
        let standard = match self.header {
            ProxyHeader::XForwardedFor => false,
            ProxyHeader::Forwarded => true,
            ProxyHeader::Either => {
                let standard = headers.contains_key(FORWARDED);
                if standard && headers.contains_key(X_FORWARDED_FOR) {
                    return Err(ApiError::SourceUnknown);
                }
                standard
            }
        };
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = if standard {
            (FORWARDED, forwarded)
        } else {
            (X_FORWARDED_FOR, node)
        };
        let mut source = peer;
        for line in headers.get_all(name).iter().rev() {
            let line = line.to_str().map_err(|_| ApiError::SourceUnknown)?;
            // What stands in quotes is text that a client may have chosen, in which a comma separates nothing.
            let elements = outside_quotes(line, ',').ok_or(ApiError::SourceUnknown)?;
            for element in elements.into_iter().rev() {
                source = read(element.trim()).ok_or(ApiError::SourceUnknown)?;
                if !self.trusted.contain(source) {
                    return Ok(source);
                }
            }
        }
        Ok(source)
    }
}

/// The address of one element of a `Forwarded` header.
fn forwarded(element: &str) -> Option<IpAddr> {
    let pairs = outside_quotes(element, ';')?;
    let mut named = pairs.into_iter().filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.trim_end()
            .eq_ignore_ascii_case("for")
            .then_some(value.trim())
    });
    let value = named.next()?;
    // Two of them in one element: which one was meant?
    if named.next().is_some() {
        return None;
    }
    let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    node(bare.unwrap_or(value))
}

/// The parts of a text between separators that do not stand in quotes (RFC 9110 §5.6.4); `None` when a quote is not closed.
fn outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

/// An address, alone, in brackets, or with a port.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(inner) => inner.parse().ok(),
        None => text
            .parse()
            .ok()
            .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip())),
    };
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    const PROXY: &str = "10.0.0.1";
    const CLIENT: &str = "192.0.2.7";

    fn source(header: ProxyHeader, peer: &str, lines: &[(&str, &str)]) -> Result<String, ApiError> {
        let proxies = Proxies::new("10.0.0.0/8".parse().unwrap(), header);
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        let source = proxies.source(&headers, peer.parse().unwrap());
        source.map(|source| source.to_string())
    }

    #[test]
    fn what_a_client_puts_into_quotes_is_nobodys_address() {
        let proxied = |line: &str| source(ProxyHeader::Forwarded, PROXY, &[("forwarded", line)]);
        for line in [
            r#"host="a;for=10.9.9.9;b";for=192.0.2.7"#,
            r#"for=192.0.2.7;host="a,for=203.0.113.9;x""#,
            r#"for="192.0.2.7";host="\",for=203.0.113.9""#,
        ] {
            assert_eq!(proxied(line).unwrap(), CLIENT, "{line}");
        }
        for line in [r#"for=192.0.2.7;host="a"#, "for=203.0.113.9;for=192.0.2.7"] {
            assert_eq!(proxied(line), Err(ApiError::SourceUnknown), "{line}");
        }
    }

    #[test]
    fn nobody_but_a_trusted_proxy_is_believed() {
        for header in [ProxyHeader::XForwardedFor, ProxyHeader::Forwarded] {
            let lines = [("x-forwarded-for", "10.9.9.9"), ("forwarded", "for=10.9.9.9")];
            assert_eq!(source(header, CLIENT, &lines).unwrap(), CLIENT);
            assert_eq!(
                source(header, CLIENT, &[("x-forwarded-for", "?")]).unwrap(),
                CLIENT
            );
        }
        let nobody = Proxies::default();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("10.9.9.9"));
        let peer = PROXY.parse().unwrap();
        assert_eq!(nobody.source(&headers, peer), Ok(peer));
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_wins() {
        for (lines, expected) in [
            (&[("x-forwarded-for", CLIENT)][..], CLIENT),
            // What the client wrote comes first, whatever it is.
            (&[("x-forwarded-for", "198.51.100.1, 192.0.2.7")], CLIENT),
            (&[("x-forwarded-for", "not an address, 192.0.2.7")], CLIENT),
            (&[("x-forwarded-for", "10.1.1.1,192.0.2.7 , 10.0.0.2")], CLIENT),
            (
                &[("x-forwarded-for", "10.1.1.1"), ("x-forwarded-for", CLIENT)],
                CLIENT,
            ),
            // The other header is the client's own.
            (
                &[("forwarded", "for=10.1.1.1"), ("x-forwarded-for", CLIENT)],
                CLIENT,
            ),
            (&[("x-forwarded-for", "192.0.2.7:4711")], CLIENT),
            (&[("x-forwarded-for", "::ffff:192.0.2.7")], CLIENT),
            (&[("x-forwarded-for", "[2001:db8::1]:80")], "2001:db8::1"),
            (&[("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
            // All of them are proxies: the first is where it began.
            (&[("x-forwarded-for", "10.3.3.3, 10.2.2.2")], "10.3.3.3"),
            (&[], PROXY),
        ] {
            let found = source(ProxyHeader::XForwardedFor, PROXY, lines).unwrap();
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_standard_says() {
        for (value, expected) in [
            ("for=192.0.2.7", CLIENT),
            ("For=\"192.0.2.7:4711\";proto=https;by=10.0.0.1", CLIENT),
            ("proto=http;for=\"[2001:db8::1]:80\"", "2001:db8::1"),
            ("for=10.1.1.1, for=192.0.2.7, for=10.0.0.2", CLIENT),
        ] {
            let lines = [("forwarded", value), ("x-forwarded-for", "198.51.100.9")];
            assert_eq!(
                source(ProxyHeader::Forwarded, PROXY, &lines).unwrap(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn a_request_with_both_headers_is_refused_unless_one_is_named() {
        let x = [("x-forwarded-for", CLIENT)];
        assert_eq!(source(ProxyHeader::Either, PROXY, &x).unwrap(), CLIENT);
        let standard = [("forwarded", "for=192.0.2.7")];
        assert_eq!(source(ProxyHeader::Either, PROXY, &standard).unwrap(), CLIENT);
        let both = [x[0], ("forwarded", "for=10.9.9.9")];
        assert_eq!(
            source(ProxyHeader::Either, PROXY, &both),
            Err(ApiError::SourceUnknown)
        );
        assert_eq!(source(ProxyHeader::Either, CLIENT, &both).unwrap(), CLIENT);
        assert_eq!(source(ProxyHeader::XForwardedFor, PROXY, &both).unwrap(), CLIENT);
    }

    #[test]
    fn a_trusted_proxy_that_names_no_address_is_refused() {
        for value in [
            "",
            "unknown",
            "192.0.2.7,",
            "_hidden",
            "192.0.2.300",
            "192.0.2.7, unknown",
        ] {
            let lines = [("x-forwarded-for", value)];
            let refused = source(ProxyHeader::XForwardedFor, PROXY, &lines);
            assert_eq!(refused, Err(ApiError::SourceUnknown), "{value}");
        }
        for value in ["for=unknown", "for=_secret", "by=192.0.2.7", "192.0.2.7"] {
            let refused = source(ProxyHeader::Forwarded, PROXY, &[("forwarded", value)]);
            assert_eq!(refused, Err(ApiError::SourceUnknown), "{value}");
        }
    }
}
