package image

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

type tokens func(context.Context) (*ecr.GetAuthorizationTokenOutput, error)

func (f tokens) GetAuthorizationToken(ctx context.Context, _ *ecr.GetAuthorizationTokenInput, _ ...func(*ecr.Options)) (*ecr.GetAuthorizationTokenOutput, error) {
	return f(ctx)
}

func token(text string, expires *time.Time) *ecr.GetAuthorizationTokenOutput {
	return &ecr.GetAuthorizationTokenOutput{AuthorizationData: []types.AuthorizationData{{
		AuthorizationToken: aws.String(base64.StdEncoding.EncodeToString([]byte(text))),
		ExpiresAt:          expires,
	}}}
}

func TestLoginFetchesTokenOnceAndRenewsBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		auth := Login(tokens(func(context.Context) (*ecr.GetAuthorizationTokenOutput, error) {
			calls++
			return token("AWS:secret:with:colons", aws.Time(time.Now().Add(12*time.Hour))), nil
		}))
		if calls != 0 {
			t.Error("a token was fetched before it was needed")
		}
		want := func(n int) {
			t.Helper()
			got, err := authn.Authorization(t.Context(), auth)
			if err != nil || got.Username != "AWS" || got.Password != "secret:with:colons" || calls != n {
				t.Errorf("%+v, %v after %d calls, want %d", got, err, calls, n)
			}
		}
		want(1)
		time.Sleep(11 * time.Hour)
		want(1)
		time.Sleep(56 * time.Minute)
		want(2)
	})
}

func TestLoginReportsWhyItHasNoToken(t *testing.T) {
	denied := errors.New("AccessDeniedException")
	for want, f := range map[string]tokens{
		"AccessDenied": func(context.Context) (*ecr.GetAuthorizationTokenOutput, error) { return nil, denied },
		"no token": func(context.Context) (*ecr.GetAuthorizationTokenOutput, error) {
			return &ecr.GetAuthorizationTokenOutput{}, nil
		},
		"user:password": func(context.Context) (*ecr.GetAuthorizationTokenOutput, error) { return token("secret", nil), nil },
		"context canceled": func(ctx context.Context) (*ecr.GetAuthorizationTokenOutput, error) {
			return nil, ctx.Err()
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := authn.Authorization(ctx, Login(f))
		if err == nil || !strings.Contains(err.Error(), "log in to ECR: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
}

func TestKeychainResolvesEachHost(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	login := func(region string) authn.Authenticator {
		return authn.FromConfig(authn.AuthConfig{Username: "AWS in " + region})
	}
	for _, c := range []struct{ own, host, want string }{
		{"", "123456789012.dkr.ecr.us-east-1.amazonaws.com", "AWS in us-east-1"},
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com", "123456789012.dkr.ecr.us-east-1.amazonaws.com", "AWS in us-east-1"},
		{"", "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "AWS in us-gov-west-1"},
		{"", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "AWS in cn-north-1"},
		{"", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "AWS in eusc-de-east-1"},
		{"", "123456789012.dkr-ecr.eu-west-1.on.aws", "AWS in eu-west-1"},
		{"", "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "AWS in cn-north-1"},
		{"", "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "AWS in us-isob-east-1"},
		{"", "123456789012.dkr.ecr.us-east-1.amazonaws.com.cn", ""},
		{"", "123456789012.dkr.ecr.us-east-1.amazonaws.eu", ""},
		{"localhost:5000", "localhost:5000", "AWS in "},
		{"localhost:5000", "localhost:5001", ""},
		{"", "ghcr.io", ""},
		{"", "123456789012.dkr.ecr.us-east-1.amazonaws.com.example.com", ""},
		{"", "example.com.dkr.ecr.us-east-1.amazonaws.com", ""},
	} {
		auth, err := Keychain{ECR: login, Host: c.own}.Resolve(must(name.NewRegistry(c.host)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := authn.Authorization(t.Context(), auth); err != nil || got.Username != c.want {
			t.Errorf("%s: %q, %v", c.host, got.Username, err)
		}
	}
}

func TestRegistryHostIsThatOfThePartition(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1":      "123456789012.dkr.ecr.us-east-1.amazonaws.com",
		"us-gov-west-1":  "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com",
		"cn-north-1":     "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
		"eusc-de-east-1": "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
		"us-isob-east-1": "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
	} {
		host := RegistryHost(t.Context(), "123456789012", region)
		if host != want || RegionOf(t.Context(), host) != region {
			t.Errorf("the registry in %s is %s, which is in %q", region, host, RegionOf(t.Context(), host))
		}
	}
}

// expiringLogin is an authenticator that counts how often its token is renewed.
type expiringLogin struct {
	mu              sync.Mutex
	number, renewed int
}

func (k *expiringLogin) Authorization() (*authn.AuthConfig, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &authn.AuthConfig{Username: "AWS", Password: fmt.Sprint(k.number)}, nil
}

func (k *expiringLogin) Renew() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.number++
	k.renewed++
}

func TestTokenThatExpiresDuringAPushIsRenewed(t *testing.T) {
	s := newServer(t)
	var seen atomic.Int64
	s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
		_, password, ok := r.BasicAuth()
		if ok && r.Method == http.MethodPatch && seen.Add(1) == 2 || ok && seen.Load() >= 2 && password == "0" || !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return true
		}
		return false
	})
	auth := &expiringLogin{}
	repo := s.repository(t, "app")
	repo.client.auth = auth
	if _, err := repo.Push(t.Context(), opened(t, savedAs(t, imageOf(90_000, 80_000, 70_000))), "1", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if auth.renewed == 0 {
		t.Error("the token was never renewed")
	}
	s.interceptWith(nil)
	s.checkIntact(t, "app:1")
}

// A token that is refused although it is new will be refused again.
func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	s := newServer(t)
	s.interceptWith(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return true
	})
	auth := &expiringLogin{}
	repo := s.repository(t, "app")
	repo.client.auth = auth
	_, err := repo.Check(t.Context(), "1")
	if err == nil || !strings.Contains(err.Error(), "refuses the credentials") || auth.renewed != 1 {
		t.Errorf("%v, after %d renewals", err, auth.renewed)
	}
}
