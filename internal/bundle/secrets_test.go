package bundle_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/test/tier"
)

// Names of files, and whether the package and the script refuse them.
var secretNames = map[string]bool{
	".env.prod": true, "conf/.env.local": true, "tls.key": true, "certs/ca.pem": true, "a.p12": true, "a.pfx": true, "a.jks": true,
	"id_ed25519": true, ".netrc": true, ".pgpass": true, ".git-credentials": true,
	".env.sample": false, ".env.template": false, ".env.dist": false, "id_ed25519.pub": false, "docker.env": false, "keys.txt": false, "idle.sh": false,
}

func TestBuildRefusesFilesNamedLikeSecretsUnlessAllowed(t *testing.T) {
	t.Parallel()
	for name, refused := range secretNames {
		dir := folder(t, own{name, "x", 0o644})
		_, err := bundle.Build(dir, atta(t), "", "other")
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("%s: %v", name, err)
		}
		allowed, err := bundle.Build(dir, atta(t), "", "other", name)
		if err != nil || !slices.ContainsFunc(unpack(t, allowed.Content), func(f packed) bool { return f.Name == "deploy/"+name }) {
			t.Errorf("%s is allowed: %v", name, err)
		}
	}
}

func TestBuildScriptRefusesFilesNamedLikeSecrets(t *testing.T) {
	t.Parallel()
	var all []own
	arguments := []string{"0.1.30-dev", "--allow=other"}
	for name, refused := range tier.Some(secretNames) {
		all = append(all, own{name, "x", 0o644})
		if refused {
			arguments = append(arguments, "--allow="+name)
			if _, printed, err := script(t, "0.1.30-dev", "--allow=other", "--path="+folder(t, own{name, "x", 0o644})); err == nil || !strings.Contains(printed, "--allow='"+name+"'") {
				t.Errorf("%s: %v: %s", name, err, printed)
			}
		}
	}
	if _, printed, err := script(t, append(arguments, "--path="+folder(t, all...))...); err != nil {
		t.Errorf("%v: %s", err, printed)
	}
}
