//! Stage 2: the API key comes in the `x-api-key` header, once. A key in the URL is refused even beside a good
//! header, so that whoever sends it learns that it is exposed.

use crate::api::{Field, Query};
use crate::error::ApiError;
use chancel_domain::ApiKeyId;
use chancel_wire::limits::MAX_API_KEY;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Uri};

/// What every API key begins with.
const PREFIX: &str = "qph_";

/// Refuses a request whose URL holds an API key, wherever in it.
///
/// # Errors
/// [`ApiError::ApiKeyInUrl`].
pub fn refuse_in_url(url: &Uri, query: Query<'_>) -> Result<(), ApiError> {
    let before_query = [url.authority().map(Authority::as_str), Some(url.path())];
    // Decoded as a query's text is, so that no spelling of the prefix is missed.
    let elsewhere = before_query.into_iter().any(|part| {
        Query::new(part)
            .pairs()
            .any(|(name, value)| name.contains(PREFIX) || value.contains(PREFIX))
    });
    let in_query = || {
        query.pairs().any(|(name, value)| {
            is_key_name(&name) && !is_id(&value)
                || name.starts_with(PREFIX)
                || value.starts_with(PREFIX) && !is_of_bytes(&name)
        })
    };
    if elsewhere || in_query() {
        Err(ApiError::ApiKeyInUrl)
    } else {
        Ok(())
    }
}

/// Takes the API key from the headers.
///
/// # Errors
/// [`ApiError::Unauthenticated`] when there is none, more than one, or one that cannot be a key.
pub fn take(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all("x-api-key").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::Unauthenticated);
    };
    let key = value.to_str().map_err(|_| ApiError::Unauthenticated)?;
    let possible = key.len() <= MAX_API_KEY
        && key.starts_with(PREFIX)
        && key.bytes().all(|byte| byte.is_ascii_graphic());
    if possible {
        Ok(key)
    } else {
        Err(ApiError::Unauthenticated)
    }
}

/// Values that are any bytes in base64url, three of which spell the prefix.
fn is_of_bytes(name: &str) -> bool {
    [Field::Aad, Field::Context]
        .iter()
        .any(|field| field.name() == name)
}

/// An API key's id, by which events can be asked for, is no secret.
fn is_id(value: &str) -> bool {
    value.parse::<ApiKeyId>().is_ok()
}

/// `x-api-key`, `api_key`, `ApiKey` and the like.
fn is_key_name(name: &str) -> bool {
    let letters = name.bytes().filter(|byte| byte.is_ascii_alphanumeric());
    let letters: Vec<u8> = letters.map(|byte| byte.to_ascii_lowercase()).collect();
    letters == b"apikey" || letters == b"xapikey"
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn exactly_one_possible_key_is_taken() {
        let taken = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-api-key", HeaderValue::from_bytes(value).unwrap());
            }
            take(&headers).map(str::to_owned)
        };
        assert_eq!(taken(&[b"qph_abc"]), Ok("qph_abc".to_owned()));
        let longest = [b"qph_".as_slice(), &[b'x'; MAX_API_KEY - 4]].concat();
        assert!(taken(&[&longest]).is_ok());
        let too_long = [longest.as_slice(), b"x"].concat();
        let twice = [b"qph_abc".as_slice(), b"qph_abc"];
        for wrong in [&[], twice.as_slice()] {
            assert_eq!(taken(wrong), Err(ApiError::Unauthenticated), "{wrong:?}");
        }
        for wrong in [
            b"".as_slice(),
            b"abc",
            b"QPH_abc",
            b"qph_a b",
            b"qph_a\xff",
            &too_long,
        ] {
            assert_eq!(taken(&[wrong]), Err(ApiError::Unauthenticated), "{wrong:?}");
        }
    }

    #[test]
    fn keys_in_paths_are_refused_however_written() {
        let judged = |url| refuse_in_url(&Uri::from_static(url), Query::new(None));
        for url in [
            "/api/v1/kms/keys/qph_abc",
            "/%71ph_abc",
            "/qph%5Fabc/x",
            "http://qph_abc@host/",
        ] {
            assert_eq!(judged(url), Err(ApiError::ApiKeyInUrl), "{url}");
        }
        assert_eq!(judged("/api/v1/kms/keys/1"), Ok(()));
    }

    #[test]
    fn keys_in_queries_are_refused_however_written() {
        for query in [
            "x-api-key=1",
            "api_key=",
            "apikey",
            "API-Key=x",
            "algorithm=Kyber768&k=qph_abc",
            "k=%71ph_abc",
            "x%2Dapi%2Dkey=1",
            "qph_abc",
        ] {
            assert_eq!(
                refuse_in_url(&Uri::from_static("/api"), Query::new(Some(query))),
                Err(ApiError::ApiKeyInUrl),
                "{query}"
            );
        }
        for query in [
            "",
            "algorithm=Kyber768",
            "key=1",
            "status=active&algorithm=ML-DSA-65",
            "api_key=0b5f8e4a-7a33-4c5b-9d0e-0123456789ab",
        ] {
            assert_eq!(
                refuse_in_url(&Uri::from_static("/api"), Query::new(Some(query))),
                Ok(()),
                "{query}"
            );
        }
    }
}
