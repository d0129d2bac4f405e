package clients

import (
	"encoding/base64"
	"testing"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// FuzzParseClaims looks for tokens that crash the reader, or that have claims without being a JWT.
func FuzzParseClaims(f *testing.F) {
	encode := base64.RawURLEncoding.EncodeToString
	f.Add("e30." + encode([]byte(`{"sub":"repo:org/atta:environment:dev","aud":"sts.amazonaws.com"}`)) + ".x")
	f.Add("a." + encode([]byte(`{"sub":["x"],"aud":{}}`)) + ".b")
	f.Add("...")
	f.Add("e30.=.x")
	f.Fuzz(func(t *testing.T, token string) {
		claims := parseClaims(token)
		if again := parseClaims(token); again != claims {
			t.Errorf("the claims are %v, then %v", claims, again)
		}
		if claims != (rollout.Claims{}) && parseClaims("x"+token+".y") == claims {
			t.Error("four parts are read as a JWT")
		}
	})
}
