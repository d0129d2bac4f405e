package docker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

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

// detectHelper returns the credential helper that the docker command uses without being told to: one
// that is installed, where config.json has no login yet.
// https://github.com/docker/cli/blob/master/cli/config/config.go
func (e *engine) detectHelper() string {
	config := credentials{}
	if err := instance.ReadJSON(e.configFile(), &config); err != nil || len(config.Auths) > 0 {
		return ""
	}
	helper := "docker-credential-secretservice"
	if _, err := exec.LookPath("pass"); err == nil {
		helper = "docker-credential-pass"
	}
	path, _ := exec.LookPath(helper)
	return path
}

// storeWith gives a login to a credential helper.
// https://github.com/docker/docker-credential-helpers#development
func storeWith(helper, registry, username, password string) error {
	cmd := exec.Command(helper, "store")
	body, err := json.Marshal(map[string]string{"ServerURL": registry, "Username": username, "Secret": password})
	if err != nil {
		return err
	}
	cmd.Stdin = bytes.NewReader(body)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("Error saving credentials: error storing credentials - err: %w, out: `%s`", err, bytes.TrimSpace(out))
	}
	fmt.Println("Login Succeeded")
	return nil
}

func (e *engine) logout(args []string) error {
	_, rest, err := parseOptions(args, "", true)
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
