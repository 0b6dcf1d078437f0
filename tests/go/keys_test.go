package clients

import (
	"bytes"
	"testing"
	"time"

	qpher "github.com/qpher/qpher-go"
)

func TestKeysLiveFromGenerateOverRotateToRetire(t *testing.T) {
	client := tenant(t, "lifecycle")
	for algorithm, length := range map[string]int{kem: 1184, signature: 1952} {
		active := &qpher.GetActiveInput{Algorithm: algorithm}
		_, err := client.Keys.GetActive(ctx, active)
		refused(t, err, notFound, "ERR_NOT_FOUND_001", 404)
		_, err = client.Keys.Rotate(ctx, &qpher.RotateInput{Algorithm: algorithm})
		refused(t, err, notFound, "ERR_NOT_FOUND_001", 404)

		first, err := client.Keys.Generate(ctx, &qpher.GenerateInput{Algorithm: algorithm})
		done(t, err)
		equal(t, "version", first.KeyVersion, 1)
		equal(t, "algorithm", first.Algorithm, algorithm)
		equal(t, "status", first.Status, "active")
		equal(t, "public key length", len(first.PublicKey), length)
		requestID(t, first.RequestID)
		if _, err := time.Parse(time.RFC3339, first.CreatedAt); err != nil {
			t.Fatal(err)
		}
		_, err = client.Keys.Generate(ctx, &qpher.GenerateInput{Algorithm: algorithm})
		refused(t, err, noKind, "ERR_CONFLICT_002", 409)

		second, err := client.Keys.Rotate(ctx, &qpher.RotateInput{Algorithm: algorithm})
		done(t, err)
		equal(t, "version", second.KeyVersion, 2)
		equal(t, "old version", second.OldKeyVersion, 1)
		requestID(t, second.RequestID)
		if bytes.Equal(first.PublicKey, second.PublicKey) {
			t.Fatal("rotation kept the key")
		}
		old, err := client.Keys.Get(ctx, &qpher.GetKeyInput{Algorithm: algorithm, KeyVersion: 1})
		done(t, err)
		equal(t, "status", old.Status, "retired")
		if !bytes.Equal(old.PublicKey, first.PublicKey) {
			t.Fatal("another public key")
		}

		retired, err := client.Keys.Retire(ctx, &qpher.RetireInput{Algorithm: algorithm, KeyVersion: 2})
		done(t, err)
		equal(t, "status", retired.Status, "retired")
		requestID(t, retired.RequestID)
		_, err = client.Keys.GetActive(ctx, active)
		refused(t, err, notFound, "ERR_NOT_FOUND_001", 404)
		_, err = client.Keys.Retire(ctx, &qpher.RetireInput{Algorithm: algorithm, KeyVersion: 2})
		refused(t, err, noKind, "ERR_CONFLICT_003", 409)
		_, err = client.Keys.Get(ctx, &qpher.GetKeyInput{Algorithm: algorithm, KeyVersion: 9})
		refused(t, err, notFound, "ERR_NOT_FOUND_001", 404)

		third, err := client.Keys.Generate(ctx, &qpher.GenerateInput{Algorithm: algorithm})
		done(t, err)
		equal(t, "version", third.KeyVersion, 3)

		listed, err := client.Keys.List(ctx, &qpher.ListKeysInput{Algorithm: algorithm})
		done(t, err)
		equal(t, "total", listed.Total, 3)
		equal(t, "keys", len(listed.Keys), 3)
		requestID(t, listed.RequestID)
		listed, err = client.Keys.List(ctx, &qpher.ListKeysInput{Algorithm: algorithm, Status: "retired"})
		done(t, err)
		equal(t, "retired", listed.Total, 2)
	}
	listed, err := client.Keys.List(ctx, &qpher.ListKeysInput{})
	done(t, err)
	equal(t, "all", listed.Total, 6)
}

func TestUnknownAlgorithmsAndStatesAreRefused(t *testing.T) {
	client := withKeys(t, connect(t, mainKey))
	for _, algorithm := range []string{"RSA", "", "kyber768", "Kyber1024"} {
		_, err := client.Keys.Generate(ctx, &qpher.GenerateInput{Algorithm: algorithm})
		refused(t, err, validation, "ERR_KMS_001", 400)
		_, err = client.Keys.Rotate(ctx, &qpher.RotateInput{Algorithm: algorithm})
		refused(t, err, validation, "ERR_KMS_001", 400)
		_, err = client.Keys.GetActive(ctx, &qpher.GetActiveInput{Algorithm: algorithm})
		refused(t, err, validation, "ERR_KMS_001", 400)
	}
	_, err := client.Keys.List(ctx, &qpher.ListKeysInput{Status: "frozen"})
	refused(t, err, validation, "ERR_INVALID_001", 400)
	_, err = client.Keys.Retire(ctx, &qpher.RetireInput{Algorithm: kem, KeyVersion: -1})
	refused(t, err, validation, "ERR_INVALID_001", 400)
}

func TestTheFreePlanHasNoRotation(t *testing.T) {
	client := tenant(t, "free")
	_, err := client.Keys.Generate(ctx, &qpher.GenerateInput{Algorithm: kem})
	done(t, err)
	_, err = client.Keys.Rotate(ctx, &qpher.RotateInput{Algorithm: kem})
	refused(t, err, forbidden, "ERR_FORBIDDEN_001", 403)
}
