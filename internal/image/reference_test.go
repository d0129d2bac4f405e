package image

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissingLoginIsTold(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, _, _ := r.BasicAuth(); user == "" {
				w.Header().Set("WWW-Authenticate", "Basic")
				w.WriteHeader(status)
			} else if r.URL.Path != "/v2/" {
				w.WriteHeader(http.StatusForbidden) // to this user
			}
		}))
		t.Cleanup(private.Close)
		ref := strings.TrimPrefix(private.URL, "http://") + "/team/app:1"
		if _, err := Open(t.Context(), ref, Keychain{}); !errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), ref) {
			t.Errorf("%d without a login: %v", status, err)
		}
		config := fmt.Sprintf(`{"auths":{%q:{"auth":"dXNlcjpwYXNz"}}}`, strings.TrimPrefix(private.URL, "http://"))
		if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), ref, Keychain{}); err == nil || errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), "the registry refuses the credentials") {
			t.Errorf("%d with a login: %v", status, err)
		}
		if err := os.Remove(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")); err != nil {
			t.Fatal(err)
		}
	}
}
