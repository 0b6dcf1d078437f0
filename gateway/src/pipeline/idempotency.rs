//! The `Idempotency-Key` header: a client that asks again under the same one hears the first answer, and nothing is
//! done again. What it means is policyd's; here it is one piece of bounded text or an error.

use crate::error::ApiError;
use hyper::HeaderMap;

/// Characters of a key.
const LONGEST: usize = 255;

/// Takes the key from the headers; none is none.
///
/// # Errors
/// [`ApiError::IdempotencyKey`].
pub fn take(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| ApiError::IdempotencyKey)?;
    let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits && values.next().is_none() {
        Ok(Some(text))
    } else {
        Err(ApiError::IdempotencyKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn a_key_is_one_piece_of_bounded_text() {
        let taken = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("idempotency-key", HeaderValue::from_bytes(value).unwrap());
            }
            take(&headers).map(|key| key.map(str::to_owned))
        };
        assert_eq!(taken(&[]), Ok(None));
        assert_eq!(taken(&[b"a-1"]), Ok(Some("a-1".to_owned())));
        assert!(taken(&[&[b'x'; 255]]).is_ok());
        for wrong in [
            &[b"".as_slice()][..],
            &[&[b'x'; 256]],
            &[b"a b"],
            &[b"a\tb"],
            &[b"\xc3\xa4"],
            &[b"a", b"a"],
        ] {
            assert_eq!(taken(wrong), Err(ApiError::IdempotencyKey), "{wrong:?}");
        }
    }
}
