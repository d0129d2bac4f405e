//go:build !offline

package docker

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

func (e *engine) login(args []string) error {
	options, rest, err := parseOptions(args, "username,u= password,p= password-stdin", true)
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
	if helper := e.detectHelper(); helper != "" {
		return storeWith(helper, rest[0], options.Last("username"), password)
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
