package connection

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// validityFaults returns an error for every certificate of a chain, the leaf first, that is outside its period at
// now. Both dates belong to the period (RFC 5280, section 4.1.2.5). The errors wrap
// [rolesanywhere.ErrCertificateExpired] or [rolesanywhere.ErrCertificateNotYetValid].
func validityFaults(chain []*x509.Certificate, now time.Time) (faults []error) {
	for i, one := range chain {
		place := "the leaf"
		if i > 0 {
			place = fmt.Sprintf("intermediate %d", i)
		}
		switch {
		case now.Before(one.NotBefore):
			faults = append(faults, fmt.Errorf("%w: %s begins %s",
				rolesanywhere.ErrCertificateNotYetValid, place, one.NotBefore.UTC().Format(time.RFC3339)))
		case now.After(one.NotAfter):
			faults = append(faults, fmt.Errorf("%w: %s ended %s",
				rolesanywhere.ErrCertificateExpired, place, one.NotAfter.UTC().Format(time.RFC3339)))
		}
	}
	return faults
}
