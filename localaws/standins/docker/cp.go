package docker

import (
	"archive/tar"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// copyFiles is docker cp CONTAINER:FILE -, the one direction known here: it writes the file as a
// tar archive.
func (e *engine) copyFiles(args []string) error {
	_, rest, err := parseOptions(args, "follow-link,L", true)
	if err != nil {
		return err
	}
	if err := needArguments("cp", rest, 2, 2); err != nil {
		return err
	}
	name, path, ok := strings.Cut(rest[0], ":")
	if !ok || rest[1] != "-" {
		return exitError{daemonStatus, errors.New("only CONTAINER:FILE - is known here")}
	}
	c, err := e.findContainer(name)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(filepath.Join(e.containerDir(c.Id), "rootfs", path))
	if err != nil {
		return daemonError("Could not find the file %s in container %s", path, name)
	}
	archive := tar.NewWriter(os.Stdout)
	if err := archive.WriteHeader(&tar.Header{Name: filepath.Base(path), Mode: 0o644, Size: int64(len(body))}); err != nil {
		return err
	}
	if _, err := archive.Write(body); err != nil {
		return err
	}
	return archive.Close()
}
