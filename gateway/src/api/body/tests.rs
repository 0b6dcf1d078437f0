//! What bodies are taken, and what is said of those that are not.

use super::*;

fn refused(text: &str) -> ApiError {
    match Body::parse(text.as_bytes()) {
        Err(error) => error,
        Ok(_) => panic!("accepted: {text}"),
    }
}

#[test]
fn fields_come_out_typed_and_unknown_ones_are_skipped() {
    let text = r#" {"tenant_id": "x", "message": "aGk=", "key_version": 3, "x": [{"y": [1.5, null]}], "aad": null,
                    "algorithm": "Dilithium3", "signature": "", "x": 2} "#;
    let body = Body::parse(text.as_bytes()).unwrap();
    assert_eq!(**body.bytes(Field::Message).unwrap(), *b"hi");
    assert_eq!(**body.bytes(Field::Signature).unwrap(), *b"");
    assert_eq!(body.optional_bytes(Field::Aad).unwrap(), None);
    assert_eq!(body.number(Field::KeyVersion), Ok(Some(3)));
    assert_eq!(body.text(Field::Algorithm), Ok(Some("Dilithium3")));
    assert_eq!(
        body.bytes(Field::Plaintext).unwrap_err(),
        ApiError::MissingField(Field::Plaintext)
    );
}

#[test]
fn escaped_text_means_what_it_says() {
    let body = Body::parse(br#"{"message": "\/\u002f8=", "mess\u0061ge2": 1}"#).unwrap();
    assert_eq!(**body.bytes(Field::Message).unwrap(), [0xff, 0xff]);
}

#[test]
fn what_is_not_json_is_refused() {
    let deep = format!("{{\"x\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [
        "",
        " ",
        "{",
        "{\"message\"",
        "{\"message\": \"aGk=\"",
        "{} {}",
        "{}x",
        "{'message': 1}",
        "{\"a\": 01}",
        "{\"a\": 1e999}",
        "{\"a\": NaN}",
        "{\"a\": \"\u{1}\"}",
        "{\"a\": \"\\ud800\"}",
        "nul",
        &deep,
    ] {
        assert!(matches!(refused(text), ApiError::NotJson { .. }), "{text:.40}");
    }
    assert!(matches!(
        Body::parse(b"{\"message\": \"\xff\"}"),
        Err(ApiError::NotJson { .. })
    ));
}

#[test]
fn what_is_no_object_is_refused() {
    for text in ["[]", "[{}]", "1", "-1", "1.5", "true", "null", "\"{}\""] {
        assert_eq!(refused(text), ApiError::NotAnObject, "{text}");
    }
}

#[test]
fn a_known_field_counts_once() {
    for text in [
        r#"{"message": "YQ==", "message": "YQ=="}"#,
        r#"{"message": null, "message": "YQ=="}"#,
        r#"{"message": "YQ==", "mess\u0061ge": "Yg=="}"#,
    ] {
        assert_eq!(refused(text), ApiError::DuplicateField(Field::Message), "{text}");
    }
}

#[test]
fn wrong_types_are_reported_by_name_and_without_the_value() {
    for value in ["1", "true", "[]", "{}", "1.5"] {
        let text = format!("{{\"message\": {value}, \"key_version\": 1}}");
        let error = Body::parse(text.as_bytes())
            .unwrap()
            .bytes(Field::Message)
            .unwrap_err();
        assert_eq!(error.to_string(), "Field 'message' must be a string", "{value}");
    }
    for value in [
        "-1",
        "1.0",
        "\"1\"",
        "true",
        "[1]",
        "4294967296",
        "99999999999999999999999",
    ] {
        let text = format!("{{\"key_version\": {value}}}");
        let error = Body::parse(text.as_bytes())
            .unwrap()
            .number(Field::KeyVersion)
            .unwrap_err();
        let expected = "Field 'key_version' must be an integer from 0 to 4294967295";
        assert_eq!(error.to_string(), expected, "{value}");
    }
}

#[test]
fn base64_is_standard_padded_and_canonical() {
    for text in ["aGk", "aGk==", "aG k=", "aGk=\\n", "_-8=", "aGl=", "=", "ä"] {
        let body = format!("{{\"message\": \"{text}\"}}");
        let error = Body::parse(body.as_bytes())
            .unwrap()
            .bytes(Field::Message)
            .unwrap_err();
        assert_eq!(error, ApiError::NotBase64(Field::Message), "{text}");
    }
}

#[test]
fn each_field_has_its_code_for_text_that_is_not_base64() {
    for (field, code) in [
        (Field::Plaintext, "ERR_KEM_001"),
        (Field::SymmetricKey, "ERR_KEM_001"),
        (Field::Aad, "ERR_KEM_001"),
        (Field::Ciphertext, "ERR_KEM_003"),
        (Field::KemCiphertext, "ERR_KEM_003"),
        (Field::WrappedKey, "ERR_KEM_011"),
        (Field::Message, "ERR_SIG_001"),
        (Field::Signature, "ERR_SIG_002"),
    ] {
        assert_eq!(ApiError::NotBase64(field).code().name(), code, "{field}");
    }
}
