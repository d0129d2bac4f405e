package clients

import (
	"crypto/x509"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// The action's image has no certificate files.
func TestPublicAuthoritiesAreTrustedWithoutCertificateFiles(t *testing.T) {
	if os.Getenv("SSL_CERT_FILE") != "/nowhere" { // Go reads the files of the system when a process starts
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		again.Env = append(os.Environ(), "SSL_CERT_FILE=/nowhere", "SSL_CERT_DIR=/nowhere")
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if certificate.Subject.CommonName != "Amazon Root CA 1" {
			continue
		}
		if _, err := certificate.Verify(x509.VerifyOptions{}); err != nil {
			t.Error(err)
		}
		return
	}
	t.Error("Amazon Root CA 1 is not in the bundle")
}
