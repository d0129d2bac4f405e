//go:build !e2e

package host_test

import (
	"archive/tar"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// Amazon Linux 2023's minimal images have no find, Photon and Flatcar had releases without cmp:
// https://github.com/amazonlinux/amazon-linux-2023/issues/355, https://github.com/vmware/photon/issues/1012
func TestCaseAHostWithoutFindOrCmpIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.untouched(func() {
		a := m.deploy("0.1.1-dev", m.without("gzip", "find", "xargs", "cmp", "diff"))
		if m.expect(a, "refused", deploy.ExitPreflight, "not installed on this host: gzip find xargs cmp diff"); a.Reason != deploy.ReasonToolMissing {
			t.Errorf("reason %s", a.Reason)
		}
	})
}

// Before 5.1, bash writes every here-document to a file in TMPDIR or /tmp:
// https://github.com/SUSE/SAPHanaSR-ScaleOut/pull/96
func TestCaseADeployNeedsNoTemporaryFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir() // with a path so long that a file in it has none
	for len(folder) < 4090 {
		folder += "/" + strings.Repeat("x", min(200, 4089-len(folder)))
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	full := []string{"TMPDIR=" + folder, "BASH_COMPAT=5.0"}
	probe := exec.Command("bash", "-c", "cat <<<text")
	probe.Env = append(os.Environ(), full...)
	if out, err := probe.CombinedOutput(); err == nil {
		t.Fatalf("bash has found a place for a here-document: %s", out)
	}
	m := bootDeployed(t, "0.1.0-dev")
	m.deployed("0.1.2-dev", environment(full))
	m.deployed("0.1.3-dev", environment(full), daemon(), parameter("health-command", "true"))
	m.untouched(func() {
		m.expect(m.deploy("0.1.1-dev", environment(full)), "refused", deploy.ExitPreflight, "0.1.1-dev is older than 0.1.3-dev")
		a := m.deploy("0.1.4-dev", environment(full), holding(t, tar.Header{Name: "deploy/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd", Mode: 0o777}))
		m.expect(a, "refused", deploy.ExitIntegrity, "holds more than plain files")
	})
}

// What hides systemd's messages about a unit hides that its run has finished:
// https://github.com/systemd/systemd/issues/9328, https://github.com/systemd/systemd/issues/1291
func TestCaseAJournalWithoutSystemdsMessagesDoesNotSpeakAgainstARun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ setting, hide string }{
		"LogLevelMax=":                  {"LogLevelMax=notice", "true"},
		"the journal is not kept":       {"Nice=1", "rm $ATTA_ROOT/var/log/journal/journal.json"},
		"messages of other units alone": {"Nice=1", `sed -i '/"Unit":"atta.service"/d' $ATTA_ROOT/var/log/journal/journal.json`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.1.0-dev", own("systemd/atta.service", unitWith(t, c.setting)), parameter("run-on-deploy", "false"))
			m.output("systemctl start $s; " + c.hide)
			if a := m.status(); a.Evidence != deploy.EvidenceSucceeded || !a.Verified {
				t.Errorf("%s, verified %t: %s", a.Evidence, a.Verified, a.Message)
			}
			m.deployed("0.1.1-dev", parameter("run-on-deploy", "false"))
			m.expect(m.send([]string{"rollback", "--service=atta", "--deployment=back", "--not-after=99999999999"}), "deployed", deploy.ExitOK, "0.1.0-dev")
		})
	}
}

// unitWith returns the built-in unit of a job with one more setting.
func unitWith(t *testing.T, setting string) string {
	t.Helper()
	unit, err := deploy.Files.ReadFile("systemd/atta.service")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(unit), "[Service]\n", "[Service]\n"+setting+"\n", 1)
}

// With userns-remap, root in a container has other IDs on the host: https://github.com/moby/moby/issues/21130
func TestCaseTheOutputFolderBelongsToTheRemappedUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ user, want string }{{"", "165536:231072"}, {"1234:5678", "166770:236750"}, {"sample", "166536:232073"}} {
		t.Run(c.user, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.write("var/lib/docker/userns", "165536.231072", 0o644)
			m.wrap("chown", `printf '%s %s' "$1" "${2##*/}" >$ATTA_ROOT/given`) // only root gives folders away
			m.deployed("0.1.0-dev", image(sample.WithUser(c.user)))
			m.want("cat $ATTA_ROOT/given; stat -c ' %a' $ATTA_ROOT/opt/$s/output", c.want+" .output.new 750")
		})
	}
}

// ECR throttles when many instances pull at once: https://github.com/mitogen-hq/mitogen/pull/790
func TestCaseAThrottledPullIsTriedAgain(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.write("var/lib/docker/throttled", "once\ntwice\n", 0o644)
	m.deployed("0.1.1-dev")
	m.write("var/lib/docker/throttled", strings.Repeat("always\n", 9), 0o644)
	m.untouched(func() {
		m.expect(m.deploy("0.1.2-dev"), "refused", deploy.ExitPreflight, "toomanyrequests: Rate exceeded")
	})
	m.write("var/lib/docker/throttled", "", 0o644)
	m.replace("docker", "case $1 in pull) echo pull >>$ATTA_ROOT/pulls; echo 'Error response from daemon: manifest unknown' >&2; exit 1 ;; esac\n"+m.passOn("docker"))
	m.expect(m.deploy("0.1.3-dev"), "refused", deploy.ExitPreflight, "manifest unknown")
	if pulls := m.text("pulls"); pulls != "pull\n" {
		t.Errorf("what no attempt changes was tried again: %q", pulls)
	}
}

// The login to ECR may hang: https://github.com/buildkite-plugins/ecr-buildkite-plugin/issues/66
func TestCaseALoginThatHangsIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.replace("aws", `[ "$1" != ecr ] || exec sleep 9`+"\n"+m.awsWithKeys())
	m.wrap("timeout", `case "$*" in *" 120 aws ecr "*) exec /usr/bin/timeout --foreground 1 aws ecr ;; esac`)
	m.untouched(func() {
		m.expect(m.deploy("0.1.1-dev"), "refused", deploy.ExitPreflight, "aws did not answer within 120 s")
	})
}

// Containerd may list an image whose content is gone: https://github.com/moby/moby/issues/46077
func TestCaseAnImageOfWhichContainerdHasLostContentIsPulledAgain(t *testing.T) {
	t.Parallel()
	m := bootEngine(t, "containerd")
	m.deployed("0.1.1-dev")
	m.output("rm -r $ATTA_ROOT/var/lib/docker/images/*/rootfs")
	m.deployed("0.1.2-dev", image(sample.WithVersion("0.1.1-dev")))
	m.expect(m.send([]string{"rollback", "--service=atta", "--deployment=back", "--not-after=99999999999"}), "deployed", deploy.ExitOK, "0.1.1-dev")
}

// The layers of ECR are in a bucket of S3, which a policy of the VPC endpoint may not allow:
// https://github.com/awsdocs/amazon-ecr-user-guide/issues/8, https://github.com/aws/amazon-vpc-cni-k8s/issues/917
func TestCaseAPullThatIsDeniedLayersNamesTheirBucket(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{
		"docker":     `error pulling image configuration: error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>"`,
		"containerd": "failed to copy: httpReadSeeker: failed open: unexpected status code https://prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com/ab/cd?X-Amz-Security-Token=secret&X-Amz-Signature=secret: 403 Forbidden",
		"no route":   `Get "https://prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com/ab/cd?X-Amz-Security-Token=secret&X-Amz-Signature=secret": dial tcp 52.1.2.3:443: i/o timeout`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := bootDeployed(t, "0.1.0-dev")
			m.write("said", said, 0o644)
			m.replace("docker", `case $1 in pull) printf 'Error response from daemon: ' >&2; cat "$ATTA_ROOT/said" >&2; exit 1 ;; esac`+"\n"+m.passOn("docker"))
			m.untouched(func() {
				a := m.deploy("0.1.1-dev")
				m.expect(a, "refused", deploy.ExitPreflight, "this host has to reach s3://prod-us-east-1-starport-layer-bucket")
				if strings.Contains(a.Message, "secret") || strings.Contains(a.Message, "credentials of this host") {
					t.Error(a.Message)
				}
			})
		})
	}
}

// A file of credentials comes before the instance's role, and S3 does not say in a HEAD that a key is invalid:
// https://github.com/aws/amazon-ssm-agent/issues/526, https://github.com/aws/amazon-ssm-agent/issues/157
func TestCaseOldCredentialsOfRootAreNamed(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.write("root/.aws/credentials", "[default]\n", 0o600)
	m.replace("aws", strings.Replace(m.awsWithKeys(), " AWS_ACCESS_KEY_ID=", " AWS_ACCESS_KEY_ID=AKIAOLD", 1))
	m.untouched(func() {
		m.expect(m.deploy("0.1.1-dev"), "refused", deploy.ExitPreflight, "Forbidden; the credentials of this host are not valid (/root/.aws/credentials comes before the instance's role): An error occurred (InvalidClientTokenId)")
	})
}

// What of an agent's or an operator's environment remains. Only Ubuntu puts the folder of snaps on everybody's PATH:
// https://github.com/aws/aws-cli/issues/9765
func TestCaseSettingsForOtherToolsAreRemoved(t *testing.T) {
	t.Parallel()
	command := exec.Command("bash", "-c", "export POSIXLY_CORRECT=1; source ../../deploy/lib/ambient.sh; ignore_ambient_settings; env; set -o | grep noclobber")
	command.Env = []string{
		"PATH=/usr/bin:/bin", "SHELLOPTS=noclobber", "CDPATH=/", "TMPDIR=/nowhere", "LC_ALL=de_DE.UTF-8", "GREP_OPTIONS=-v", "TAR_OPTIONS=-v", "GZIP=-1",
		"DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_CONTEXT=elsewhere", "DOCKER_DEFAULT_PLATFORM=linux/s390x", "CONTAINER_HOST=tcp://127.0.0.1:1", "AWS_PROFILE=x", "HTTPS_PROXY=y",
	}
	out, err := command.Output()
	got := slices.DeleteFunc(strings.Fields(string(out)), func(word string) bool {
		name, _, _ := strings.Cut(word, "=")
		return name == "PWD" || name == "SHLVL" || name == "_" || name == "SHELLOPTS"
	})
	want := []string{
		"AWS_PROFILE=x", "DOCKER_CONTEXT=default", "HTTPS_PROXY=y", "LC_ALL=C", "PATH=/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin", "noclobber", "off",
	}
	if slices.Sort(got); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v: %q", err, got)
	}
}

// Docker may remove a container in the background, and its name is taken until then: https://github.com/moby/moby/issues/37698
func TestCaseTheNameOfAContainerThatIsBeingRemovedIsWaitedFor(t *testing.T) {
	t.Parallel()
	m := bootServing(t, "0.1.0-dev")
	m.write("var/lib/docker/slow-removal", strings.Repeat("not yet\n", 5), 0o644)
	m.deployed("0.1.1-dev", daemon())
	if m.text("var/lib/docker/slow-removal") != "" {
		t.Error("no container was being removed")
	}
}

// Where SELinux is enforced, a container may not use a folder that is not labeled for containers.
func TestCaseAVolumeThatSELinuxWouldNotAllowIsNamed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("../bin/getenforce", "#!/bin/sh\necho Enforcing\n", 0o755)
	engine := m.output("docker info --format '{{.DockerRootDir}} [name=selinux] {{.DriverStatus}}'")
	m.replace("docker", `case "$*" in info*DockerRootDir*) echo '`+engine+`'; exit ;; esac
`+m.passOn("docker"))
	unit := strings.Replace(unitWithOptions, "OPTIONS", "--volume=/opt/%N/output:/app/output:rw,z -v /opt/%N/cache:/cache --volume=/dev/log:/dev/log ", 1)
	a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", unit))
	if _, warnings, _ := strings.Cut(a.Message, "; "); warnings != "warning: SELinux is enforced here, and deploy/systemd/atta.service mounts /opt/%N/cache without the option z, so its container may not be allowed to use it" {
		t.Errorf("%s: %s", a.Outcome, a.Message)
	}
	if a := m.deploy("0.0.2-dev", daemon()); a.Message != "0.0.2-dev runs" {
		t.Errorf("the built-in unit: %s", a.Message)
	}
}

// An agent's unit may have UMask=0000.
func TestCaseALaxUmaskOpensNothing(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("GREETING", "hi")
	m.write("run/command", script(m.prepare("0.0.1-dev", m.fromParameters()).args), 0o755)
	m.expect(m.readResult(m.sh("umask 000; $ATTA_ROOT/run/command")), "deployed", 0, "")
	if open := m.output("find $ATTA_ROOT/opt/atta $ATTA_ROOT/etc/systemd $ATTA_ROOT/var/log ! -type l -perm /022"); open != "" {
		t.Errorf("everybody may write to\n%s", open)
	}
}
