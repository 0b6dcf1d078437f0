package clients

import (
	"bytes"
	"crypto/rand"
	"testing"

	qpher "github.com/qpher/qpher-go"
)

var sizes = []int{0, 1, 15, 16, 17, 1 << 10, 64 << 10, 1 << 20}

func random(t *testing.T, size int) []byte {
	t.Helper()
	data := make([]byte, size)
	_, err := rand.Read(data)
	done(t, err)
	return data
}

func flipped(data []byte, at int) []byte {
	changed := bytes.Clone(data)
	changed[at] ^= 1
	return changed
}

func TestEncryptAndDecryptRoundTrip(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	for _, size := range sizes {
		plaintext := random(t, size)
		// A version of 0 is what the SDK sends for "the active one".
		for _, version := range []int{0, 1} {
			encrypted, err := client.KEM.Encrypt(ctx, &qpher.EncryptInput{Plaintext: plaintext, KeyVersion: version})
			done(t, err)
			equal(t, "version", encrypted.KeyVersion, 1)
			equal(t, "algorithm", encrypted.Algorithm, kem)
			requestID(t, encrypted.RequestID)
			decrypted, err := client.KEM.Decrypt(ctx, &qpher.DecryptInput{Ciphertext: encrypted.Ciphertext, KeyVersion: 1, Algorithm: kem})
			done(t, err)
			requestID(t, decrypted.RequestID)
			if !bytes.Equal(decrypted.Plaintext, plaintext) {
				t.Fatalf("another plaintext at %d bytes", size)
			}
		}
	}
}

func TestTooLargePlaintextsGetATypedAnswer(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	for _, excess := range []int{1, 1 << 20, 9 << 20} {
		_, err := client.KEM.Encrypt(ctx, &qpher.EncryptInput{Plaintext: make([]byte, 1<<20+excess)})
		refused(t, err, validation, "ERR_INVALID_004", 400)
	}
}

func TestChangedCiphertextsDoNotDecrypt(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	encrypted, err := client.KEM.Encrypt(ctx, &qpher.EncryptInput{Plaintext: []byte("unchanged"), KeyVersion: 1})
	done(t, err)
	sealed := encrypted.Ciphertext
	changed := [][]byte{{}, sealed[:len(sealed)-1], append(bytes.Clone(sealed), 0)}
	for at := range sealed {
		// Each byte of header, IV, body and tag, and samples of the KEM ciphertext.
		if at < 8 || at >= 8+1088 || at%61 == 0 {
			changed = append(changed, flipped(sealed, at))
		}
	}
	for _, ciphertext := range changed {
		_, err := client.KEM.Decrypt(ctx, &qpher.DecryptInput{Ciphertext: ciphertext, KeyVersion: 1})
		refused(t, err, validation, "ERR_KEM_003", 400)
	}
	other := withKeys(t, tenant(t, "other"))
	_, err = other.KEM.Decrypt(ctx, &qpher.DecryptInput{Ciphertext: sealed, KeyVersion: 1})
	refused(t, err, validation, "ERR_KEM_003", 400)
	_, err = tenant(t, "empty").KEM.Decrypt(ctx, &qpher.DecryptInput{Ciphertext: sealed, KeyVersion: 1})
	refused(t, err, notFound, "ERR_KEM_005", 404)
}

func TestEncapsulateAndDecapsulate(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	made, err := client.KEM.Encapsulate(ctx, &qpher.EncapsulateInput{KeyVersion: 1})
	done(t, err)
	equal(t, "ciphertext length", len(made.KEMCiphertext), 1088)
	equal(t, "secret length", len(made.SharedSecret), 32)
	requestID(t, made.RequestID)
	found, err := client.KEM.Decapsulate(ctx, &qpher.DecapsulateInput{KEMCiphertext: made.KEMCiphertext, KeyVersion: 1, Algorithm: kem})
	done(t, err)
	if !bytes.Equal(found.SharedSecret, made.SharedSecret) {
		t.Fatal("another secret")
	}
	rejected, err := client.KEM.Decapsulate(ctx, &qpher.DecapsulateInput{KEMCiphertext: flipped(made.KEMCiphertext, 500), KeyVersion: 1})
	done(t, err)
	if bytes.Equal(rejected.SharedSecret, made.SharedSecret) {
		t.Fatal("the same secret for a changed ciphertext")
	}
	_, err = client.KEM.Decapsulate(ctx, &qpher.DecapsulateInput{KEMCiphertext: made.KEMCiphertext[1:], KeyVersion: 1})
	refused(t, err, validation, "ERR_KEM_003", 400)
	_, err = client.KEM.Encapsulate(ctx, &qpher.EncapsulateInput{KeyVersion: 9})
	refused(t, err, notFound, "ERR_KEM_005", 404)
	_, err = client.KEM.Encapsulate(ctx, &qpher.EncapsulateInput{})
	refused(t, err, validation, "ERR_INVALID_001", 400)
	_, err = client.KEM.Encapsulate(ctx, &qpher.EncapsulateInput{KeyVersion: 9, Algorithm: "X-Wing"})
	refused(t, err, notFound, "ERR_KEM_005", 404)
}

func TestLocalEncryption(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	for _, size := range []int{0, 17, 3 << 20} {
		plaintext := random(t, size)
		envelope, err := client.KEM.EncryptLocal(ctx, &qpher.EncryptLocalInput{Plaintext: plaintext, KeyVersion: 1})
		done(t, err)
		opened, err := client.KEM.DecryptLocal(ctx, envelope)
		done(t, err)
		if !bytes.Equal(opened, plaintext) {
			t.Fatalf("another plaintext at %d bytes", size)
		}
		envelope.AESCiphertext = flipped(envelope.AESCiphertext, len(envelope.AESCiphertext)-1)
		if _, err := client.KEM.DecryptLocal(ctx, envelope); err == nil {
			t.Fatal("a changed envelope opened")
		}
	}
}

func TestWrapAndUnwrap(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	for _, length := range []int{16, 24, 32, 48, 64} {
		secret := random(t, length)
		wrapped, err := client.KEM.Wrap(ctx, &qpher.KeyWrapInput{SymmetricKey: secret, KeyVersion: 1})
		done(t, err)
		equal(t, "method", wrapped.WrappingMethod, "KEM-DEM")
		requestID(t, wrapped.RequestID)
		unwrapped, err := client.KEM.Unwrap(ctx, &qpher.KeyUnwrapInput{WrappedKey: wrapped.WrappedKey, KeyVersion: 1, Algorithm: kem})
		done(t, err)
		if !bytes.Equal(unwrapped.SymmetricKey, secret) {
			t.Fatal("another key")
		}
		for _, at := range []int{0, 7, 8, 1095, 1096, 1108, len(wrapped.WrappedKey) - 1} {
			_, err = client.KEM.Unwrap(ctx, &qpher.KeyUnwrapInput{WrappedKey: flipped(wrapped.WrappedKey, at), KeyVersion: 1})
			refused(t, err, validation, "ERR_KEM_011", 400)
		}
	}
	for _, length := range []int{0, 15, 33, 65} {
		_, err := client.KEM.Wrap(ctx, &qpher.KeyWrapInput{SymmetricKey: make([]byte, length), KeyVersion: 1})
		refused(t, err, validation, "ERR_KEM_010", 400)
	}
	_, err := client.KEM.Wrap(ctx, &qpher.KeyWrapInput{SymmetricKey: make([]byte, 32), KeyVersion: 9})
	refused(t, err, notFound, "ERR_KEM_005", 404)
}

func TestRetiredKEMKeysOpenAndDoNotSeal(t *testing.T) {
	client := withKeys(t, tenant(t, "retired_kem"))
	encrypted, err := client.KEM.Encrypt(ctx, &qpher.EncryptInput{Plaintext: []byte("kept"), KeyVersion: 1})
	done(t, err)
	_, err = client.Keys.Rotate(ctx, &qpher.RotateInput{Algorithm: kem})
	done(t, err)
	_, err = client.KEM.Encrypt(ctx, &qpher.EncryptInput{Plaintext: []byte("x"), KeyVersion: 1})
	refused(t, err, notFound, "ERR_KEM_005", 404)
	_, err = client.KEM.Decrypt(ctx, &qpher.DecryptInput{Ciphertext: encrypted.Ciphertext, KeyVersion: 2})
	refused(t, err, validation, "ERR_KEM_003", 400)
	decrypted, err := client.KEM.Decrypt(ctx, &qpher.DecryptInput{Ciphertext: encrypted.Ciphertext, KeyVersion: 1})
	done(t, err)
	equal(t, "plaintext", string(decrypted.Plaintext), "kept")
}
