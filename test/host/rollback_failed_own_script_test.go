//go:build !e2e

package host_test

import (
	"slices"
	"testing"
)

// A repository may have its own ec2_deploy.sh (docs/instance.md). It knows of no mark, and its result line says that its rollback failed.
func TestARollbackThatFailedInAScriptOfOnesOwnIsNotInSync(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", daemon())
	script := `#!/bin/bash
[[ $1 != check ]] || exit 0
printf 'ATTA_RESULT {"v":1,"deployment":"%s","service":"atta","outcome":"rollback-failed","code":41,"reason":"unhealthy","phase":"health","wanted":"0.0.2-dev","version":"0.0.1-dev","digest":"","verified":true,"evidence":"running","before":"0.0.1-dev","generation":0,"unit":"active","result":"success","exit":0,"ms":{},"message":"0.0.1-dev is back and not healthy"}\n' "$ATTA_DEPLOYMENT"
exit 41
`
	m.expect(m.deploy("0.0.2-dev", daemon(), own("ec2_deploy.sh", script)), "rollback-failed", 41, "")
	if a := m.ask(); !slices.Contains(a.Drift, "last-deploy") {
		t.Errorf("the rollback failed, and the drift is %q: %s", a.Drift, a.Message)
	}
}
