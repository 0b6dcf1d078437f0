//! Secrets and the certificate.

use super::files;
use crate::command::doctor::expected::Group;
use crate::command::doctor::facts::Facts;
use crate::command::doctor::finding::Finding;
use crate::host::Look;
use crate::host::credentials::TLS_KEY;

/// A certificate is warned about in its last two weeks, or the last third of a short life: those who renew by themselves
/// are done before.
const WARNED_DAYS: i64 = 14;

/// Whether all secrets are there, sealed, and with what.
pub fn check(facts: &Facts) -> Vec<Finding> {
    let Some(keyd) = facts.configuration.keyd.seen() else {
        return vec![Finding::skip("keyd's configuration does not say where they are")];
    };
    if keyd.kek.source != "credential" {
        return vec![Finding::warn(
            format!(
                "not sealed: the key-encryption key comes from source = \"{}\"",
                keyd.kek.source
            ),
            "seal it (source = \"credential\"), or see to it that the disk is encrypted",
        )];
    }
    let mut findings = files::of(Group::Credentials, facts);
    findings.push(match &facts.sealed_by {
        Look::Unseen(reason) => Finding::skip(format!("what they are sealed by: {reason}")),
        Look::Seen(word) if word.contains("tpm2") => {
            Finding::ok(format!("sealed by '{word}': on another machine they do not open"))
        }
        Look::Seen(word) if facts.has_tpm => Finding::warn(
            format!("sealed by '{word}', and this machine has a TPM"),
            "/usr/libexec/chancel/credentials reseal seals them with it too: a copy of this disk opens them as they are",
        ),
        Look::Seen(word) => Finding::ok(format!(
            "sealed by '{word}': whoever has a copy of the whole disk can open them; this machine has no TPM"
        )),
    });
    findings
}

/// Whether a credential was looked for and is not there.
fn is_missing(name: &str, facts: &Facts) -> bool {
    facts.files.iter().any(|(expected, found)| {
        expected.group == Group::Credentials
            && expected.path.file_stem() == Some(name.as_ref())
            && *found == Look::Seen(None)
    })
}

/// Whether the certificate counts, and for how long.
pub fn certificate(facts: &Facts) -> Vec<Finding> {
    const RENEW: &str = "have it renewed, then chancel tls import";
    if facts
        .configuration
        .gateway
        .seen()
        .is_some_and(|gateway| gateway.tls.is_none())
    {
        return vec![Finding::ok(
            "none: gateway.toml has no [tls], the API is plain HTTP",
        )];
    }
    let chain = match &facts.certificate {
        Look::Unseen(reason) => {
            return vec![Finding::fail(
                reason,
                "chancel tls import brings one that can be read",
            )];
        }
        // The gateway's unit makes a self-signed pair where it finds neither, and refuses half of one.
        Look::Seen(None) if is_missing(TLS_KEY, facts) => {
            return vec![Finding::fail(
                "there is none, and no key",
                "systemctl restart chancel-gateway makes both, self-signed; chancel tls import brings others",
            )];
        }
        Look::Seen(None) => {
            return vec![Finding::fail(
                "there is none",
                "chancel tls import brings one, with its key",
            )];
        }
        Look::Seen(Some(chain)) => chain,
    };
    let own = chain.own();
    let days = own.days_left(facts.now);
    let line = chain.shown(facts.now).line();
    let mut findings = vec![if facts.now.as_second() > own.not_after {
        Finding::fail(line, RENEW)
    } else if facts.now.as_second() < own.not_before {
        Finding::fail(
            "it does not count yet",
            "is the clock right (timedatectl)? else wait, or import another",
        )
    } else if days < WARNED_DAYS.min(own.lifetime_days() / 3) {
        Finding::warn(line, RENEW)
    } else {
        Finding::ok(line)
    }];
    // An issuer's end is the chain's.
    findings.extend(
        chain
            .all()
            .skip(1)
            .filter(|issuer| facts.now.as_second() > issuer.not_after)
            .map(|issuer| {
                Finding::warn(
                    format!("{} in its chain has expired", issuer.subject),
                    "ask its issuer for the current chain, then chancel tls import",
                )
            }),
    );
    findings
}
