package inputs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/inputs"
)

func TestRecipeInputsDescribeAnImageBuiltFromFiles(t *testing.T) {
	got := mustRead(t, map[string]string{
		"INPUT_IMAGE":            "scratch",
		"INPUT_IMAGE-FILES":      "bin/app:/usr/local/bin/app:0755\n\n  ./etc/:/etc/\n/github/workspace/site:/srv/my site",
		"INPUT_IMAGE-PLATFORMS":  "linux/amd64, linux/arm/v7",
		"INPUT_IMAGE-ENTRYPOINT": `["/usr/local/bin/app", "--name=a,b"]`,
		"INPUT_IMAGE-COMMAND":    `[]`,
		"INPUT_IMAGE-ENV":        "A=1,2\nEMPTY=\nURL=https://x/?a=b",
		"INPUT_IMAGE-USER":       "65532:65532",
		"INPUT_IMAGE-WORKDIR":    "/srv/my site",
		"INPUT_IMAGE-LABELS":     "org.opencontainers.image.title=The app\nx=",
	}).Image
	want := inputs.Recipe{
		Base:       "scratch",
		Workspace:  "/github/workspace",
		Files:      []inputs.File{{Path: "bin/app", To: "/usr/local/bin/app", Mode: 0o755}, {Path: "etc", To: "/etc/"}, {Path: "/github/workspace/site", To: "/srv/my site"}},
		Platforms:  []string{"linux/amd64", "linux/arm/v7"},
		Entrypoint: []string{"/usr/local/bin/app", "--name=a,b"},
		Command:    []string{},
		Env:        []string{"A=1,2", "EMPTY=", "URL=https://x/?a=b"},
		User:       "65532:65532",
		Workdir:    "/srv/my site",
		Labels:     map[string]string{"org.opencontainers.image.title": "The app", "x": ""},
	}
	if diff := cmp.Diff(want, got.Recipe); diff != "" {
		t.Errorf("recipe (-want +got):\n%s", diff)
	}
	if got.Source != "scratch" {
		t.Errorf("the source is %q", got.Source)
	}
}

func TestEveryInvalidRecipeInputIsReported(t *testing.T) {
	for name, test := range map[string]struct {
		inputs map[string]string
		want   string
	}{
		"malformed": {map[string]string{
			"IMAGE-FILES":      "app\napp:relative\n../app:/app\napp:/a/../../b\napp:/app:755\n/etc/passwd:/p\na:/b:0755:x",
			"IMAGE-PLATFORMS":  "amd64",
			"IMAGE-ENTRYPOINT": "/app serve",
			"IMAGE-COMMAND":    `["a", null]`,
			"IMAGE-ENV":        "TOKEN",
			"IMAGE-USER":       "a b",
			"IMAGE-WORKDIR":    "srv",
			"IMAGE-LABELS":     "=x",
		}, `
image-files "app": want path:/path/in/image or path:/path/in/image:0755, one a line
image-files "app:relative": want path:/path/in/image or path:/path/in/image:0755, one a line
image-files "app:/a/../../b": want path:/path/in/image or path:/path/in/image:0755, one a line
image-files "app:/app:755": want path:/path/in/image or path:/path/in/image:0755, one a line
image-files "a:/b:0755:x": want path:/path/in/image or path:/path/in/image:0755, one a line
image-files "../app:/app": want a path inside the workspace; copy files into it from elsewhere, such as runner.temp
image-files "/etc/passwd:/p": want a path inside the workspace; copy files into it from elsewhere, such as runner.temp
image-platforms "amd64": want platforms, as in linux/amd64 or linux/arm64
image-entrypoint "/app serve": want a JSON array of strings, as in ["/usr/local/bin/app", "serve"]
image-command "[\"a\", null]": want a JSON array of strings, as in ["/usr/local/bin/app", "serve"]
image-env "TOKEN": want NAME=value, one a line
image-user "a b": want a user, or user:group, by name or number
image-workdir "srv": want an absolute path in the image
image-labels "=x": want name=value, one a line`},
		"tags that ECR cannot let move": {map[string]string{"CREATE-REPOSITORY": "true", "IMAGE-TAGS": "latest-dev,a,b,c,d,e"}, `
image-tags "latest-dev,a,b,c,d,e": want at most 4 tags in addition to latest-*, since ECR allows no more movable tags in a repository that create-repository creates`},
		"without files": {map[string]string{"IMAGE-ENTRYPOINT": `["/app"]`, "IMAGE-ENV": "A=1", "IMAGE-LABELS": "a=b"}, `
image-entrypoint must not be set: image-files is not set, so image is pushed unchanged
image-env must not be set: image-files is not set, so image is pushed unchanged
image-labels must not be set: image-files is not set, so image is pushed unchanged`},
		"nothing on scratch": {map[string]string{"IMAGE": "scratch"}, `
image-files is missing: want path:/path/in/image or path:/path/in/image:0755, one a line, since image is scratch`},
		"nothing to run on scratch": {map[string]string{"IMAGE": "scratch", "IMAGE-FILES": "app:/app"}, `
image-entrypoint is missing: want a JSON array of strings, as in ["/usr/local/bin/app", "serve"], since image is scratch`},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{}
			for input, value := range test.inputs {
				env["INPUT_"+input] = value
			}
			if diff := cmp.Diff(strings.TrimSpace(test.want), problems(t, env)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
