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
	encryption := p.parseText("server-side-encryption", oneOf("AES256", "aws:kms", "aws:kms:dsse"))
	if encryption == "AES256" {
		p.forbidInput("kms-key-id", "server-side-encryption is AES256, which has no such key")
	} else if p.rawValue("kms-key-id") != "" {
		encryption = cmp.Or(encryption, "aws:kms")
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

		Owner:      p.parseText("bucket-owner", ownerID),
		Encryption: encryption,
	}
}
