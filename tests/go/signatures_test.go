package clients

import (
	"testing"

	qpher "github.com/qpher/qpher-go"
)

func TestSignAndVerifyRoundTrip(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	for _, size := range sizes {
		message := random(t, size)
		for _, version := range []int{0, 1} {
			signed, err := client.Signatures.Sign(ctx, &qpher.SignInput{Message: message, KeyVersion: version})
			done(t, err)
			equal(t, "signature length", len(signed.Signature), 3309)
			equal(t, "version", signed.KeyVersion, 1)
			equal(t, "algorithm", signed.Algorithm, signature)
			requestID(t, signed.RequestID)
			verified, err := client.Signatures.Verify(ctx, &qpher.VerifyInput{Message: message, Signature: signed.Signature, KeyVersion: 1, Algorithm: signature})
			done(t, err)
			equal(t, "valid", verified.Valid, true)
			requestID(t, verified.RequestID)
		}
	}
	_, err := client.Signatures.Sign(ctx, &qpher.SignInput{Message: make([]byte, 1<<20+1)})
	refused(t, err, validation, "ERR_INVALID_004", 400)
}

func TestChangedSignaturesAreInvalidAndNoError(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	message := []byte("what was signed")
	signed, err := client.Signatures.Sign(ctx, &qpher.SignInput{Message: message, KeyVersion: 1})
	done(t, err)
	signatures := [][]byte{{}, signed.Signature[1:], append(signed.Signature[:3309:3309], 0)}
	for at := 0; at < 3309; at += 97 {
		signatures = append(signatures, flipped(signed.Signature, at))
	}
	for _, changed := range signatures {
		verified, err := client.Signatures.Verify(ctx, &qpher.VerifyInput{Message: message, Signature: changed, KeyVersion: 1})
		done(t, err)
		equal(t, "valid", verified.Valid, false)
	}
	verified, err := client.Signatures.Verify(ctx, &qpher.VerifyInput{Message: flipped(message, 3), Signature: signed.Signature, KeyVersion: 1})
	done(t, err)
	equal(t, "valid", verified.Valid, false)
	other := withKeys(t, tenant(t, "other"))
	verified, err = other.Signatures.Verify(ctx, &qpher.VerifyInput{Message: message, Signature: signed.Signature, KeyVersion: 1})
	done(t, err)
	equal(t, "valid for another tenant", verified.Valid, false)
}

func TestRetiredSignatureKeysVerifyAndDoNotSign(t *testing.T) {
	client := withKeys(t, tenant(t, "retired_signature"))
	signed, err := client.Signatures.Sign(ctx, &qpher.SignInput{Message: []byte("kept"), KeyVersion: 1})
	done(t, err)
	_, err = client.Keys.Rotate(ctx, &qpher.RotateInput{Algorithm: signature})
	done(t, err)
	_, err = client.Signatures.Sign(ctx, &qpher.SignInput{Message: []byte("x"), KeyVersion: 1})
	refused(t, err, notFound, "ERR_SIG_003", 404)
	verified, err := client.Signatures.Verify(ctx, &qpher.VerifyInput{Message: []byte("kept"), Signature: signed.Signature, KeyVersion: 1})
	done(t, err)
	equal(t, "valid", verified.Valid, true)
}
