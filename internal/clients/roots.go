package clients

import (
	"crypto/x509"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// The action's image has no certificates, so the public CAs are trusted in addition to those of the system, which SSL_CERT_FILE
// names. The setting godebug of go.mod makes Go accept both.
func init() {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for root := range bundle.Roots() {
		if certificate, err := x509.ParseCertificate(root.Certificate); err == nil {
			roots.AddCertWithConstraint(certificate, root.Constraint)
		}
	}
	x509.SetFallbackRoots(roots)
}
