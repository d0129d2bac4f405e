package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// canary returns a secret for a place. It has characters that an encoding changes.
func canary(place string) string { return "canary/" + place + "+4711=open&sesame" }

// carriers are the parts of a request that have to contain a credential.
var carriers = regexp.MustCompile(`(?mi)^(Authorization|X-Amz-Security-Token): .*$|WebIdentityToken=[^&\s]*`)

// masks tell the runner what to hide.
var masks = regexp.MustCompile(`(?m)^::add-mask::.*$`)

// canaries are secrets in every place where secrets live, and what has been seen of the runs that could contain them.
type canaries struct {
	*stage
	secrets map[string]string // by the place where it lives

	mu   sync.Mutex
	seen map[string]string
}

// record adds a text that must contain no secret.
func (c *canaries) record(what, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[fmt.Sprintf("%s (%d)", what, len(c.seen))] = text
}

func newCanaries(t *testing.T) *canaries {
	t.Helper()
	c := &canaries{seen: map[string]string{}, secrets: map[string]string{}}
	for _, place := range []string{"settings", "environment", "login", "workspace", "parameters"} {
		c.secrets[place] = canary(place)
	}
	c.stage = begin(t, true, localaws.Options{Observe: func(request []byte) { c.record("a request", carriers.ReplaceAllString(string(request), "")) }})
	c.createDocuments()
	c.aws.PutParameter(localaws.Parameter{Name: "/atta/dev/API_KEY", Value: c.secrets["parameters"], Type: "SecureString"})
	write(t, c.host.Path("opt/atta/.env"), "TOKEN="+c.secrets["settings"]+"\nGREETING=hi\n")
	wrapper, err := os.ReadFile(c.host.Path("../bin/aws"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`(AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN)=(\w+)`).FindAllStringSubmatch(string(wrapper), -1) {
		c.secrets[found[1]+" of the instance"] = found[2]
	}
	c.file(".env", "TOKEN="+c.secrets["workspace"])
	c.file("docker/config.json", `{"auths":{"registry.example.com":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("me:"+c.secrets["login"]))+`"}}}`)
	return c
}

// runWithSecrets runs an operation at the debug level, with credentials of the kind, and records what it leaves behind.
func (c *canaries) runWithSecrets(operation, kind string, settings ...string) outcome {
	c.t.Helper()
	temp := c.t.TempDir()
	settings = append(settings, "RUNNER_DEBUG=1", "ACTIONS_STEP_DEBUG=true", "TMPDIR="+temp, "MY_TOKEN="+c.secrets["environment"], "DOCKER_CONFIG="+filepath.Join(c.workspace, "docker"))
	if kind == "OIDC" {
		settings = append(settings, "role-to-assume=arn:aws:iam::"+accountID+":role/atta-"+roleOf(map[string]string{"operation": operation})+"-dev")
	}
	p := c.step(append(append([]string{}, operationSettings[operation]...), settings...)...)
	if kind == "OIDC" {
		p.withoutKeys()
		p.Env = append(p.Env, c.aws.OIDCEnv()...)
	}
	for _, entry := range p.Env {
		if name, value, _ := strings.Cut(entry, "="); name == "AWS_SECRET_ACCESS_KEY" || name == "AWS_SESSION_TOKEN" || name == "ACTIONS_ID_TOKEN_REQUEST_TOKEN" {
			c.secrets[name+" of "+operation] = value
		}
	}
	out := p.run()
	what := operation + " with " + kind
	c.record("the log of "+what, masks.ReplaceAllString(out.log, ""))
	for file, name := range map[string]string{p.outputs: "outputs", p.summary: "summary", p.state: "state"} {
		text, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		c.record("the "+name+" of "+what, string(text))
	}
	c.recordFiles(temp)
	return out
}

// recordFiles records the files in a folder, except those where a secret lives.
func (c *canaries) recordFiles(folder string) (count int) {
	c.t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || path == c.host.Path("opt/atta/.env") || entry.Name() == "settings.env" {
			return err
		}
		text, err := os.ReadFile(path)
		c.record(path, string(text))
		count++
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return count
}

// wantNoTrace checks everything that was recorded.
func (c *canaries) wantNoTrace() {
	c.t.Helper()
	c.record("the commands", strings.Join(c.scripts, "\n"))
	for _, folder := range []string{"opt", "var/log", "run", "etc", "../commands"} {
		if c.recordFiles(c.host.Path(folder)) == 0 && folder != "run" {
			c.t.Errorf("no file in %s", folder)
		}
	}
	if len(c.seen) < 200 || len(c.secrets) < 15 {
		c.t.Errorf("looked for %d secrets in %d texts only", len(c.secrets), len(c.seen))
	}
	for what, text := range c.seen {
		text += unpacked(text)
		for place, secret := range c.secrets {
			for _, form := range formsOf(secret) {
				if strings.Contains(text, form) {
					c.t.Errorf("%.80s holds the secret in %s, as %.12s…", what, place, form)
				}
			}
		}
	}
}

// unpacked returns the content of the first gzip stream in a text, which is a bundle or a layer.
func unpacked(text string) string {
	at := strings.Index(text, "\x1f\x8b\x08")
	if at < 0 {
		return ""
	}
	stream, err := gzip.NewReader(strings.NewReader(text[at:]))
	if err != nil {
		return ""
	}
	content, _ := io.ReadAll(stream)
	return string(content)
}

// formsOf returns a secret as it is, encoded for a URL, and in base64, as it is in the middle of a longer text.
func formsOf(secret string) (forms []string) {
	forms = []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	for before := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
			forms = append(forms, text[4*min(before, 1):len(text)-4])
		}
	}
	return forms
}

func TestSecretsAreNotDisclosed(t *testing.T) {
	c := newCanaries(t)
	c.build("0.1.0-dev")
	c.runWithSecrets("doctor", "keys").wants("success")
	c.runWithSecrets("deploy", "keys").wants("success")
	if c.greeting() != "hi from 0.1.0-dev" {
		t.Errorf("the job did not see the settings: %q", c.greeting())
	}
	c.build("0.1.1-dev", sample.WithExitCode(3))
	c.runWithSecrets("plan", "keys", "version=0.1.1-dev")
	more := []string{"settings-from=/atta/dev", "log-group=" + logGroup}
	c.runWithSecrets("deploy", "OIDC", append(more, "version=0.1.1-dev")...).wants("rolled-back")
	c.build("0.1.2-dev")
	c.runWithSecrets("deploy", "OIDC", append(more, "version=0.1.2-dev")...).wants("success")
	if installed, err := os.ReadFile(c.host.Path("opt/atta/current/settings.env")); err != nil || !strings.Contains(string(installed), c.secrets["parameters"]) {
		t.Errorf("the settings of the release are %q, %v", installed, err)
	}
	c.runWithSecrets("rollback", "OIDC").wants("success")
	c.runWithSecrets("status", "OIDC").wants("success")
	c.wantNoTrace()

	refused := strings.Join(errorsIn(c.run("operation=undo").log), "\n")
	_, known, _ := strings.Cut(refused, "want ")
	for operation := range operationSettings {
		known = strings.Replace(known, operation, "", 1)
	}
	if left := regexp.MustCompile(`[a-z]{3,}`).FindString(strings.ReplaceAll(known, "want", "")); left != "" {
		t.Errorf("this test does not run the operation %s: %s", left, refused)
	}
}

func TestCanariesAreFoundInEachForm(t *testing.T) {
	secret := canary("test")
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write([]byte("x" + secret + "y"))
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"plain": secret, "query": "a=" + url.QueryEscape(secret), "path": "/" + url.PathEscape(secret), "gzip": unpacked("PUT /\n\n" + zipped.String()),
		"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "in base64": base64.StdEncoding.EncodeToString([]byte("me:" + secret + "\n")),
		"in base64 of two": base64.StdEncoding.EncodeToString([]byte("mm" + secret)), "in base64 for a URL": base64.URLEncoding.EncodeToString([]byte(`{"k":"` + secret + `"}`)),
	} {
		found := false
		for _, form := range formsOf(secret) {
			found = found || strings.Contains(text, form)
		}
		if !found {
			t.Errorf("%s is not found", name)
		}
	}
}
