package e2e

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// With a hop limit of 1, the answer of the metadata service does not reach a container: the connection is made, and
// nothing comes.
func TestMetadataServiceOutOfReachIsExplained(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := play(t)
	s.build("0.1.0-dev")
	p := s.step("AWS_EC2_METADATA_SERVICE_ENDPOINT=http://" + silent.Addr().String()).withoutKeys().without("AWS_EC2_METADATA_DISABLED")
	out := p.run()
	out.wants("failed")
	out.says("No AWS credentials", "--http-put-response-hop-limit 2")
}

// The runner mounts its temporary folder into the container, and rewrites an input that begins with its path.
func TestImageMayBeInTheRunnersTemporaryFolder(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	temp := filepath.Join(t.TempDir(), "image.tar")
	if err := os.Rename(filepath.Join(s.workspace, "image.tar"), temp); err != nil {
		t.Fatal(err)
	}
	s.run("phases=image", "image="+temp).wants("success")

	out := s.run("phases=image", "image=/home/runner/work/_temp/image.tar")
	out.wants("failed")
	out.says("neither a file or folder", "a container action sees only runner.temp")
}

func TestFolderOfAnArtifactNamesItsArchive(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	if err := os.MkdirAll(filepath.Join(s.workspace, "artifact"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.workspace, "image.tar"), filepath.Join(s.workspace, "artifact", "image.tar")); err != nil {
		t.Fatal(err)
	}
	out := s.run("phases=image", "image=artifact")
	out.wants("failed")
	out.says("set image: artifact/image.tar")
	s.run("phases=image", "image=artifact/image.tar").wants("success")
}
