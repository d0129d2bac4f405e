// Command publish (make publish) builds and pushes the image of this action with internal/image, attaches an SBOM and a
// provenance statement to it, and writes its digest into action.yml, so that runners pull it instead of building the
// Dockerfile. It needs Go, but neither Docker nor root. The same sources, Go toolchain and base give the same image.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/authn/github"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
)

// program is the path of the action in its image.
const program = "/atta-deploy-action"

// publication configures what to publish, and where.
type publication struct {
	version    string // 1.2.3
	repository string // host/name
	base       string // base image; empty: that of the Dockerfile
	platforms  []string
	root       string  // the root of this repository
	builder    builder // empty: not in a workflow, which provenance needs
	dryRun     bool    // build the image and pin it, but push nothing
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	p := publication{root: ".", builder: builderOf(os.Environ())}
	flag.StringVar(&p.version, "version", "", "version to publish, which CHANGELOG.md must describe, such as 1.2.3")
	flag.StringVar(&p.repository, "repository", "", "repository to push to, such as ghcr.io/org/atta-deploy-action")
	flag.StringVar(&p.base, "base", "", "base image, which must have sh, env and tail; by default, that of the Dockerfile")
	flag.BoolVar(&p.dryRun, "dry-run", false, "build the image and set it in action.yml, but push nothing")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64", "platforms to build for, of those the base image has")
	flag.Parse()
	p.platforms = strings.Split(*platforms, ",")
	uri, err := p.publishImage(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
	fmt.Println(uri)
}

// publishImage builds and pushes the image, writes its URI, host/name@sha256:…, to action.yml and returns it. Publishing the
// same content again succeeds.
func (p publication) publishImage(ctx context.Context) (string, error) {
	repository, err := name.NewRepository(strings.ToLower(p.repository), name.StrictValidation)
	if err != nil {
		err = fmt.Errorf("repository %q: %w", p.repository, err)
	}
	base, baseErr := p.baseImage()
	if err := errors.Join(p.checkVersion(), err, baseErr); err != nil {
		return "", err
	}
	folder, err := p.buildPrograms(ctx)
	if err != nil {
		return "", err
	}
	// GitHub's registry accepts the workflow's GITHUB_TOKEN; other registries use the credentials of docker login.
	keychain := authn.NewMultiKeychain(github.Keychain, authn.DefaultKeychain)
	labels := map[string]string{"org.opencontainers.image.version": p.version}
	if repository.RegistryStr() == "ghcr.io" {
		// The label connects the package to the repository, so that its workflows may write to it:
		// https://docs.github.com/en/packages/learn-github-packages/connecting-a-repository-to-a-package
		labels["org.opencontainers.image.source"] = "https://github.com/" + repository.RepositoryStr()
	}
	src, err := image.Make(ctx, inputs.Recipe{
		Base: base, Workspace: folder, Files: []inputs.File{{Path: folder + "/$TARGETARCH", To: "/"}}, Platforms: p.platforms,
		// Root, because only root may write the runner's files:
		// https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support#user
		Entrypoint: []string{program}, User: "0:0",
		Labels: labels,
	}, keychain)
	if err != nil {
		return "", err
	}
	defer src.Close()
	registry := repository.RegistryStr()
	if p.dryRun {
		host, closeRegistry, err := serveRegistry(ctx)
		if err != nil {
			return "", err
		}
		defer func() { _ = closeRegistry() }()
		registry = host
	}
	auth, err := keychain.Resolve(repository)
	if err != nil {
		return "", err
	}
	to, err := image.NewRepository(registry, repository.RepositoryStr(), auth)
	if err != nil {
		return "", err
	}
	pushed, err := to.Push(ctx, src, p.version, image.PushOptions{})
	if err != nil {
		return "", err
	}
	published := repository.Digest(pushed.Digest)
	if !p.dryRun {
		if err := checkPublic(ctx, repository, pushed); err != nil {
			return "", err
		}
		if err := p.attachStatements(ctx, published, base, folder, auth); err != nil {
			return "", err
		}
	}
	return published.Name(), p.pinImage(published.Name())
}

// checkPublic checks that runners of other users, who pull without credentials, can pull the image.
func checkPublic(ctx context.Context, repository name.Repository, pushed image.Pushed) error {
	anonymous, err := image.NewRepository(repository.RegistryStr(), repository.RepositoryStr(), authn.Anonymous)
	if err != nil {
		return err
	}
	if _, err := anonymous.Resolve(ctx, pushed.Digest); err != nil {
		return fmt.Errorf("%s was pushed, but cannot be pulled without a login; make the package public and run publish again: %w", pushed.URI, err)
	}
	return nil
}

// checkVersion reports everything that prevents publishing the version.
func (p publication) checkVersion() (err error) {
	if version, bad := semver.StrictNewVersion(p.version); bad != nil || version.Prerelease() != "" || version.Metadata() != "" {
		err = fmt.Errorf("version %q is not MAJOR.MINOR.PATCH", p.version)
	}
	changes, readErr := os.ReadFile(filepath.Join(p.root, "CHANGELOG.md"))
	if readErr == nil && !bytes.Contains(changes, []byte("\n## "+p.version+"\n")) {
		readErr = fmt.Errorf("CHANGELOG.md has no heading ## %s", p.version)
	}
	return errors.Join(err, readErr)
}

// pinImage writes the image into action.yml.
func (p publication) pinImage(uri string) error {
	file := filepath.Join(p.root, "action.yml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte("\n  image: "))
	_, after, closed := bytes.Cut(rest, []byte("\n"))
	if !ok || !closed {
		return errors.New("action.yml names no image")
	}
	return os.WriteFile(file, bytes.Join([][]byte{before, []byte("\n  image: docker://" + uri + "\n"), after}, nil), 0o600) //nolint:gosec // the folder is chosen by the person who publishes
}
