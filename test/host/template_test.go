//go:build !e2e

package host_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// templates are the disks of instances after their first deploys, one for each list of
// versions. Each is made once, and copied to the tests that start from it.
var templates struct {
	sync.Mutex
	made map[string]func() string
}

// bootDeployed boots an instance on which these versions of a job were deployed, in order, from
// another repository: deploying one of them again would be another image.
func bootDeployed(t *testing.T, versions ...string) standin {
	t.Helper()
	return bootTemplate(t, "job", versions)
}

// bootServing boots an instance on which these versions of a service were deployed. The last
// one runs, as after a boot.
func bootServing(t *testing.T, versions ...string) standin {
	t.Helper()
	m := bootTemplate(t, "service", versions, daemon())
	m.output(`rm -rf $ATTA_ROOT/run && mkdir -p $ATTA_ROOT/run/lock && systemctl start $s && until [[ -n $(docker ps --quiet) ]]; do sleep 0.02; done`)
	return m
}

func bootTemplate(t *testing.T, kind string, versions []string, changes ...change) standin {
	t.Helper()
	name := kind + "-" + strings.Join(versions, "-")
	templates.Lock()
	if templates.made[name] == nil {
		if templates.made == nil {
			templates.made = map[string]func() string{}
		}
		templates.made[name] = sync.OnceValue(func() string {
			m := boot(t)
			for _, version := range versions {
				m.deployed(version, changes...)
			}
			m.settled()
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			folder := filepath.Join(filepath.Dir(tools), name)
			m.copy(m.Root(), folder)
			return folder
		})
	}
	template := templates.made[name]
	templates.Unlock()
	m := boot(t)
	m.copy(template(), m.Root())
	return m
}
