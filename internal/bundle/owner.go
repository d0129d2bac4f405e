package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
)

// isOfService reports whether content is a bundle of this service: it has the service's unit, and no unit of another one. What
// cannot be read is not.
func isOfService(content []byte, service string) bool {
	unpacked, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return false
	}
	archive, found := tar.NewReader(io.LimitReader(unpacked, deploy.MaxBundle)), false
	for {
		entry, err := archive.Next()
		if err != nil {
			return found && errors.Is(err, io.EOF)
		}
		name := strings.TrimPrefix(entry.Name, "deploy/")
		if misplacedReason(name, service) != "" {
			return false
		}
		found = found || name == "systemd/"+service+".service"
	}
}
