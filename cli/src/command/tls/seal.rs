//! Sealing the gateway's key with systemd-creds. The key goes there and back through pipes, and is in no file and no
//! argument.

use crate::failure::Failure;
use crate::host::credentials::TLS_KEY;
use crate::host::program;
use std::ops::Deref;
use zeroize::Zeroizing;

/// A sealed credential.
pub struct Sealed {
    /// What goes into the file.
    pub text: Zeroizing<Vec<u8>>,
    /// With which kind of key.
    pub with: String,
}

/// Seals with the kind of key that the other credentials are sealed with, or with the best that systemd finds.
///
/// # Errors
/// [`Failure::NotSealed`], also when it cannot be opened again.
pub fn tls_key(key: &[u8], others: Option<&str>) -> Result<Sealed, Failure> {
    let with = with_key(others);
    // To a PCR that nothing extends, in place of the usual 7: a new boot loader changes that one, and the gateway would
    // not start after it. None at all would say the same, but systemd 252 cannot open what it has sealed so.
    let arguments = [
        "encrypt",
        &format!("--with-key={with}"),
        "--tpm2-pcrs=16",
        &format!("--name={TLS_KEY}"),
        "-",
        "-",
    ];
    let text = program::run("systemd-creds", &arguments, key)?;
    // What cannot be opened now would be missed at the next start of the gateway.
    let opened = program::run(
        "systemd-creds",
        &["decrypt", &format!("--name={TLS_KEY}"), "-", "-"],
        &text,
    )?;
    if opened.deref() != key {
        return Err(Failure::SealedOtherwise);
    }
    Ok(Sealed {
        text,
        with: with.to_owned(),
    })
}

/// `sealed-by` is a file: what it says becomes an argument only when it is a word that systemd-creds knows.
fn with_key(others: Option<&str>) -> &str {
    others
        .filter(|word| ["host", "tpm2", "host+tpm2"].contains(word))
        .unwrap_or("auto")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_key_is_that_of_the_others_or_systemds_choice() {
        assert_eq!(with_key(Some("tpm2")), "tpm2");
        assert_eq!(with_key(Some("host")), "host");
        assert_eq!(with_key(None), "auto");
        assert_eq!(with_key(Some("null")), "auto", "null would not seal at all");
        assert_eq!(with_key(Some("host --quiet")), "auto");
    }
}
