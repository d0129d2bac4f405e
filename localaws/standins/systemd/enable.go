package systemd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

const unitDir = "/etc/systemd/system"

// installLinks are the symbolic links that enable a unit.
func (m *manager) installLinks(u *unit) []string {
	var links []string
	for key, suffix := range map[string]string{"WantedBy": ".wants", "RequiredBy": ".requires"} {
		for _, line := range u.settings["Install."+key] {
			for _, target := range strings.Fields(line) {
				links = append(links, filepath.Join(unitDir, target+suffix, u.name))
			}
		}
	}
	slices.Sort(links)
	return links
}

func (m *manager) enableUnit(name string, options instance.Options) error {
	path, text := m.onDisk(name)
	if path == "" {
		return fmt.Errorf("Failed to enable unit: Unit file %s does not exist.", name)
	}
	links := m.installLinks(parseUnit(name, path, text))
	if len(links) == 0 {
		fmt.Fprintln(os.Stderr, "The unit files have no installation config (WantedBy=, RequiredBy=, Also=,\nAlias= settings in the [Install] section, and DefaultInstance= for template\nunits). This means they are not meant to be enabled using systemctl.")
	}
	for _, link := range links {
		real := m.call.Path(link)
		if _, err := os.Lstat(real); err == nil {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(real), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("../"+filepath.Base(path), real); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		fmt.Fprintf(os.Stderr, "Created symlink %s → %s.\n", link, path)
	}
	if err := m.reloadUnits(); err != nil || !options.Has("now") {
		return err
	}
	return m.startUnit(name, options)
}

func (m *manager) disableUnit(name string, options instance.Options) error {
	found, err := m.enablingLinks(name)
	if err != nil {
		return err
	}
	if len(found) == 0 && m.unitPath(name) == "" {
		return fmt.Errorf("Failed to disable unit: Unit file %s does not exist.", name)
	}
	for _, link := range found {
		if err := os.Remove(link); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "Removed \"%s\".\n", strings.TrimPrefix(link, m.call.Root))
	}
	if err := m.reloadUnits(); err != nil || !options.Has("now") {
		return err
	}
	return m.stopUnit(name, options)
}

func (m *manager) enablingLinks(name string) ([]string, error) {
	wanted, err := filepath.Glob(m.call.Path(filepath.Join(unitDir, "*.wants", name)))
	if err != nil {
		return nil, err
	}
	required, err := filepath.Glob(m.call.Path(filepath.Join(unitDir, "*.requires", name)))
	return append(wanted, required...), err
}

// enabledUnits are the units that a boot starts.
func (m *manager) enabledUnits() []string {
	links, _ := m.enablingLinks("*")
	var names []string
	for _, link := range links {
		if name := filepath.Base(link); m.unitPath(name) != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fileState is UnitFileState: enabled, disabled, static, or "" without a file.
func (m *manager) fileState(name string) string {
	if name == "docker.service" {
		return "enabled"
	}
	path, text := m.onDisk(name)
	if path == "" {
		return ""
	}
	if links, _ := m.enablingLinks(name); len(links) > 0 {
		return "enabled"
	}
	if len(m.installLinks(parseUnit(name, path, text))) == 0 {
		return "static"
	}
	return "disabled"
}
