package clients

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// The action's image has no certificate files. Go reads those of the system once in a process, so this test runs in others.
func TestPublicCAsAreTrustedInAdditionToThatOfSSLCertFile(t *testing.T) {
	file := os.Getenv("SSL_CERT_FILE")
	if os.Getenv("SSL_CERT_DIR") != "/nowhere" {
		server := httptest.NewTLSServer(nil)
		server.Close()
		custom := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(custom, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"/nowhere", custom} {
			again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
			again.Env = append(os.Environ(), "SSL_CERT_FILE="+file, "SSL_CERT_DIR=/nowhere")
			if out, err := again.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", file, err, out)
			}
		}
		return
	}
	public := 0
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if certificate.Subject.CommonName == "Amazon Root CA 1" {
			public++
			wantTrusted(t, certificate)
		}
	}
	if public != 1 {
		t.Errorf("the bundle has %d certificates of Amazon Root CA 1", public)
	}
	if text, err := os.ReadFile(file); err == nil {
		block, _ := pem.Decode(text)
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		wantTrusted(t, certificate)
	}
}

func wantTrusted(t *testing.T, certificate *x509.Certificate) {
	t.Helper()
	if _, err := certificate.Verify(x509.VerifyOptions{}); err != nil {
		t.Errorf("%s: %v", certificate.Subject, err)
	}
}
