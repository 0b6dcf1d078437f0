package clients

import (
	"errors"
	"net"
	"testing"
	"time"

	qpher "github.com/qpher/qpher-go"
)

// calls is one call of each route.
func calls(client *qpher.Client) map[string]func() error {
	return map[string]func() error{
		"encrypt": func() error { _, err := client.KEM.Encrypt(ctx, &qpher.EncryptInput{}); return err },
		"decrypt": func() error {
			_, err := client.KEM.Decrypt(ctx, &qpher.DecryptInput{KeyVersion: 1})
			return err
		},
		"encapsulate": func() error {
			_, err := client.KEM.Encapsulate(ctx, &qpher.EncapsulateInput{KeyVersion: 1})
			return err
		},
		"decapsulate": func() error {
			_, err := client.KEM.Decapsulate(ctx, &qpher.DecapsulateInput{KEMCiphertext: make([]byte, 1088), KeyVersion: 1})
			return err
		},
		"wrap": func() error {
			_, err := client.KEM.Wrap(ctx, &qpher.KeyWrapInput{SymmetricKey: make([]byte, 32), KeyVersion: 1})
			return err
		},
		"unwrap": func() error {
			_, err := client.KEM.Unwrap(ctx, &qpher.KeyUnwrapInput{WrappedKey: make([]byte, 1156), KeyVersion: 1})
			return err
		},
		"sign": func() error { _, err := client.Signatures.Sign(ctx, &qpher.SignInput{}); return err },
		"verify": func() error {
			_, err := client.Signatures.Verify(ctx, &qpher.VerifyInput{Signature: make([]byte, 3309), KeyVersion: 1})
			return err
		},
		"generate": func() error {
			_, err := client.Keys.Generate(ctx, &qpher.GenerateInput{Algorithm: kem})
			return err
		},
		"rotate": func() error {
			_, err := client.Keys.Rotate(ctx, &qpher.RotateInput{Algorithm: kem})
			return err
		},
		"retire": func() error {
			_, err := client.Keys.Retire(ctx, &qpher.RetireInput{Algorithm: kem, KeyVersion: 1})
			return err
		},
		"active": func() error {
			_, err := client.Keys.GetActive(ctx, &qpher.GetActiveInput{Algorithm: kem})
			return err
		},
		"get": func() error {
			_, err := client.Keys.Get(ctx, &qpher.GetKeyInput{Algorithm: kem, KeyVersion: 1})
			return err
		},
		"list": func() error { _, err := client.Keys.List(ctx, &qpher.ListKeysInput{}); return err },
	}
}

func TestAPIKeysThatAreNotValid(t *testing.T) {
	for _, key := range []string{"qph_", "qph_live_nobody", keys["revoked"], keys["expired"], keys["rotated"]} {
		for _, call := range calls(connect(t, key)) {
			refused(t, call(), authentication, "ERR_AUTH_001", 401)
		}
	}
}

func TestASuspendedTenantMayDoNothing(t *testing.T) {
	for _, call := range calls(tenant(t, "suspended")) {
		refused(t, call(), forbidden, "ERR_POLICY_001", 403)
	}
}

func TestAKeyForVerifyingDoesNothingElse(t *testing.T) {
	withKeys(t, connect(t, mainKey))
	for name, call := range calls(tenant(t, "verify_only")) {
		if name == "verify" {
			done(t, call())
		} else {
			refused(t, call(), forbidden, "ERR_POLICY_001", 403)
		}
	}
}

func TestVersionsThatDoNotExist(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	_, err := client.KEM.Encrypt(ctx, &qpher.EncryptInput{KeyVersion: 99})
	refused(t, err, notFound, "ERR_KEM_005", 404)
	_, err = client.Signatures.Sign(ctx, &qpher.SignInput{KeyVersion: 99})
	refused(t, err, notFound, "ERR_SIG_003", 404)
	_, err = tenant(t, "empty").KEM.Encrypt(ctx, &qpher.EncryptInput{})
	refused(t, err, notFound, "ERR_KEM_005", 404)
	_, err = client.KEM.Encrypt(ctx, &qpher.EncryptInput{KeyVersion: -1})
	refused(t, err, validation, "ERR_INVALID_001", 400)
	_, err = client.KEM.Decrypt(ctx, &qpher.DecryptInput{Ciphertext: make([]byte, 1200)})
	refused(t, err, validation, "ERR_INVALID_001", 400)
}

func TestAShortSaltIsRefused(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	_, err := client.KEM.Encrypt(ctx, &qpher.EncryptInput{Mode: "deterministic", Salt: make([]byte, 31)})
	refused(t, err, validation, "ERR_KEM_002", 400)
}

func TestTheRateLimitIsATypedError(t *testing.T) {
	client := tenant(t, "limited")
	list := func() error { _, err := client.Keys.List(ctx, &qpher.ListKeysInput{}); return err }
	// The SDK retries by itself; many at once exhaust even that.
	answers := make(chan error)
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		for i := 0; i < 60; i++ {
			go func() { answers <- list() }()
		}
		var limited error
		for i := 0; i < 60; i++ {
			if err := <-answers; err != nil {
				limited = err
			}
		}
		if limited != nil {
			refused(t, limited, rateLimit, "ERR_RATE_001", 429)
			return
		}
	}
	t.Fatal("never limited")
}

func TestNobodyListensThere(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	done(t, err)
	nowhere := "http://" + free.Addr().String()
	done(t, free.Close())
	client, err := qpher.NewClient(mainKey, &qpher.ClientOptions{BaseURL: nowhere, MaxRetries: 1})
	done(t, err)
	_, err = client.Keys.List(ctx, &qpher.ListKeysInput{})
	var answer *qpher.Error
	if !errors.As(err, &answer) || !answer.IsConnectionError() {
		t.Fatalf("got %v", err)
	}
}
