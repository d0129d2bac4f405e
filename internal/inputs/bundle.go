package inputs

import (
	"cmp"
	"strings"
)

func (p *parser) parseBundle(task Task, workspace string) Bundle {
	switch phases := task.Phases; {
	case phases.Bundle:
		p.forbidInput("bundle-sha256", "the bundle phase determines it")
	case task.Operation == "deploy" && phases.Rollout:
		p.requireInput("bundle-sha256", bundleSHA256.description)
	}
	if task.Phases.Bundle || task.Phases.Rollout {
		p.requireInput("deploy-bucket", bucket.description)
	}
	prefix := cmp.Or(p.parseText("bundle-prefix", keyPrefix), task.Release.BundlePrefix())
	return Bundle{
		Path:   p.parsePath("bundle-path", workspace),
		Allow:  p.parseList("bundle-allow", bundleFile),
		Bucket: p.parseText("deploy-bucket", bucket),
		Prefix: strings.TrimSuffix(prefix, "/") + "/",
		Mode:   p.parseText("mode", oneOf("job", "service")),
		KMSKey: p.parseText("kms-key-id", kmsKey),
		SHA256: p.parseText("bundle-sha256", bundleSHA256),
	}
}
