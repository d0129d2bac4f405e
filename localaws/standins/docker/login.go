package docker

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// credentials is the docker command's config.json.
type credentials struct {
	Auths map[string]auth `json:"auths"`
}

type auth struct {
	Auth string `json:"auth"`
}

// configFile is where the docker command keeps logins: in DOCKER_CONFIG, or in
// the home of root, which is who runs deployments on an instance.
func (e *engine) configFile() string {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = e.call.Path("/root/.docker")
	}
	return filepath.Join(dir, "config.json")
}

func (e *engine) login(args []string) error {
	options, rest, err := parse(args, "username,u= password,p= password-stdin", true)
	if err != nil {
		return err
	}
	if err := needArguments("login", rest, 1, 1); err != nil {
		return err
	}
	password := options.Last("password")
	if options.Has("password-stdin") {
		if options.Last("username") == "" {
			return fmt.Errorf("Must provide --username with --password-stdin")
		}
		body, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		password = strings.TrimRight(string(body), "\r\n")
	}
	if password == "" {
		return fmt.Errorf("Error: Password Required")
	}
	if err := e.checkLogin(rest[0], options.Last("username"), password); err != nil {
		return err
	}
	return e.editCredentials(func(c *credentials) {
		c.Auths[rest[0]] = auth{base64.StdEncoding.EncodeToString([]byte(options.Last("username") + ":" + password))}
		fmt.Fprintf(os.Stderr, "WARNING! Your credentials are stored unencrypted in '%s'.\n", e.configFile())
		fmt.Println("Login Succeeded")
	})
}

func (e *engine) checkLogin(host, username, password string) error {
	registry, err := name.NewRegistry(host)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	url := fmt.Sprintf("%s://%s/v2/", registry.Scheme(), host)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(username, password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return daemonError("%w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		return daemonError("Get %q: unauthorized: login attempt failed with status: %s", url, resp.Status)
	}
	if resp.StatusCode != http.StatusOK {
		return daemonError("login attempt to %s failed with status: %s", url, resp.Status)
	}
	return nil
}

func (e *engine) logout(args []string) error {
	_, rest, err := parse(args, "", true)
	if err != nil {
		return err
	}
	if err := needArguments("logout", rest, 1, 1); err != nil {
		return err
	}
	return e.editCredentials(func(c *credentials) {
		delete(c.Auths, rest[0])
		fmt.Println("Removing login credentials for", rest[0])
	})
}

func (e *engine) editCredentials(edit func(*credentials)) error {
	config := credentials{}
	if err := instance.ReadJSON(e.configFile(), &config); err != nil {
		return err
	}
	if config.Auths == nil {
		config.Auths = map[string]auth{}
	}
	edit(&config)
	if err := instance.WriteJSON(e.configFile(), config); err != nil {
		return err
	}
	return os.Chmod(e.configFile(), 0o600)
}

// Resolve implements authn.Keychain with the logins of config.json.
func (e *engine) Resolve(registry authn.Resource) (authn.Authenticator, error) {
	config := credentials{}
	if err := instance.ReadJSON(e.configFile(), &config); err != nil {
		return nil, err
	}
	login, ok := config.Auths[registry.RegistryStr()]
	if !ok {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(authn.AuthConfig{Auth: login.Auth}), nil
}
