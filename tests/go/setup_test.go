// Package clients drives the unmodified Go SDK against a running Chancel.
//
// What to talk to comes from the environment: CHANCEL_TEST_URL, CHANCEL_TEST_KEY (an API key of an enterprise tenant),
// CHANCEL_TEST_KEYS (a JSON object of further API keys by what they are, as tests/python/conftest.py lists them) and,
// for TLS with a private authority, SSL_CERT_FILE.
package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"

	qpher "github.com/qpher/qpher-go"
)

const (
	kem       = "Kyber768"
	signature = "Dilithium3"
)

var (
	url     = os.Getenv("CHANCEL_TEST_URL")
	mainKey = os.Getenv("CHANCEL_TEST_KEY")
	keys    map[string]string

	uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	ctx  = context.Background()
)

func TestMain(m *testing.M) {
	if url == "" || mainKey == "" {
		fmt.Fprintln(os.Stderr, "CHANCEL_TEST_URL and CHANCEL_TEST_KEY are not set: these tests need a running Chancel")
		os.Exit(2)
	}
	if err := json.Unmarshal([]byte(os.Getenv("CHANCEL_TEST_KEYS")), &keys); err != nil {
		fmt.Fprintln(os.Stderr, "CHANCEL_TEST_KEYS:", err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func connect(t *testing.T, key string) *qpher.Client {
	t.Helper()
	// One retry: the SDK takes 0 for its default of three.
	client, err := qpher.NewClient(key, &qpher.ClientOptions{BaseURL: url, MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// tenant is a client of one of the further API keys.
func tenant(t *testing.T, name string) *qpher.Client {
	t.Helper()
	key, found := keys[name]
	if !found {
		t.Fatalf("CHANCEL_TEST_KEYS has no %q", name)
	}
	return connect(t, key)
}

// withKeys is a client of a tenant that has a first, active key of each algorithm.
func withKeys(t *testing.T, client *qpher.Client) *qpher.Client {
	t.Helper()
	for _, algorithm := range []string{kem, signature} {
		_, err := client.Keys.GetActive(ctx, &qpher.GetActiveInput{Algorithm: algorithm})
		if err != nil {
			_, err = client.Keys.Generate(ctx, &qpher.GenerateInput{Algorithm: algorithm})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return client
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func requestID(t *testing.T, id string) {
	t.Helper()
	if !uuid.MatchString(id) {
		t.Fatalf("request id %q", id)
	}
}

// kind is one of the SDK's own ways of telling errors apart.
type kind struct {
	name string
	is   func(*qpher.Error) bool
}

var (
	validation     = kind{"validation", (*qpher.Error).IsValidationError}
	authentication = kind{"authentication", (*qpher.Error).IsAuthenticationError}
	forbidden      = kind{"forbidden", (*qpher.Error).IsForbiddenError}
	notFound       = kind{"not found", (*qpher.Error).IsNotFoundError}
	rateLimit      = kind{"rate limit", (*qpher.Error).IsRateLimitError}
	server         = kind{"server", (*qpher.Error).IsServerError}
	noKind         = kind{"none", func(e *qpher.Error) bool {
		return !e.IsValidationError() && !e.IsAuthenticationError() && !e.IsForbiddenError() &&
			!e.IsNotFoundError() && !e.IsRateLimitError() && !e.IsServerError()
	}}
)

// refused checks that an error is the SDK's own, of that kind, code and status, with a message and a request id.
func refused(t *testing.T, err error, kind kind, code string, status int) {
	t.Helper()
	var answer *qpher.Error
	if !errors.As(err, &answer) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if answer.Code != code || answer.StatusCode != status || !kind.is(answer) {
		t.Fatalf("got %v, want %s (%d), kind %s", answer, code, status, kind.name)
	}
	if answer.Message == "" {
		t.Fatal("no message")
	}
	requestID(t, answer.RequestID)
}
