//! The id of a request: the caller's when it is a UUID in its usual form, so that its logs and ours can be
//! joined, and a fresh one otherwise. It proves nothing and grants nothing.

use chancel_domain::RequestId;
use hyper::HeaderMap;
use uuid::Uuid;

/// The header it comes in and goes out with.
pub const HEADER: &str = "x-request-id";

const HYPHENATED_LEN: usize = 36;

/// Takes or makes the id of a request.
pub fn of(headers: &HeaderMap) -> RequestId {
    let mut sent = headers.get_all(HEADER).iter();
    let given = match (sent.next(), sent.next()) {
        (Some(value), None) => value.to_str().ok().filter(|text| text.len() == HYPHENATED_LEN),
        _ => None,
    };
    given.and_then(|text| text.parse().ok()).unwrap_or_else(fresh)
}

/// A new id, random.
pub fn fresh() -> RequestId {
    RequestId::from_bytes(Uuid::new_v4().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn uuids_are_taken_over_and_everything_else_is_replaced() {
        let of_values = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
            }
            of(&headers).to_string()
        };
        let given = "0b5f8e4a-7a33-4c5b-9d0e-0123456789ab";
        assert_eq!(of_values(&[given.as_bytes()]), given);
        let twice = [given.as_bytes(), given.as_bytes()];
        let single = [
            "",
            "1",
            "0b5f8e4a7a334c5b9d0e0123456789ab",
            "{0b5f8e4a-7a33-4c5b-9d0e-0123456789ab}",
            "../../../../../../../../../../../../",
        ];
        let single = single.map(|text| vec![text.as_bytes()]);
        for wrong in single.iter().chain([&Vec::new(), &twice.to_vec()]) {
            let made = of_values(wrong);
            assert_ne!(made, given);
            assert_eq!(made.as_bytes()[14], b'4', "a version 4 UUID: {made}");
        }
    }
}
