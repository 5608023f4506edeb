package rolesanywhere

import "errors"

// The errors of this package wrap one of these where a caller may want to act on the difference: test
// for them with errors.Is. A refusal by the service is an [APIError] instead.
var (
	// ErrInvalidCertificate means that the certificate text is not PEM or not X.509.
	ErrInvalidCertificate = errors.New("parsing certificate")
	// ErrInvalidPrivateKey means that the private key text is not PEM or not a key.
	ErrInvalidPrivateKey = errors.New("parsing private key")
	// ErrTooManyIntermediates means that more than 5 certificates follow the leaf.
	ErrTooManyIntermediates = errors.New("too many intermediate certificates")
	// ErrCertificateUnusable means that IAM Roles Anywhere would refuse the certificate whatever the
	// time: it is a CA's, not X.509 v3, without digitalSignature, signed with SHA-1, or nameless.
	ErrCertificateUnusable = errors.New("certificate cannot be used with IAM Roles Anywhere")
	// ErrCertificateExpired means that the certificate, or one of its intermediates, is past NotAfter.
	ErrCertificateExpired = errors.New("certificate expired")
	// ErrCertificateNotYetValid means that NotBefore of the certificate, or of an intermediate, is ahead.
	ErrCertificateNotYetValid = errors.New("certificate is not valid yet")

	// ErrUnsupportedKey means that the key, or the way it is encrypted, is of a kind not accepted here.
	ErrUnsupportedKey = errors.New("unsupported private key")
	// ErrPassphraseRequired means that the private key is encrypted and no passphrase was given.
	ErrPassphraseRequired = errors.New("the private key is encrypted and needs its passphrase")
	// ErrPassphraseIncorrect means that the passphrase does not open the private key.
	ErrPassphraseIncorrect = errors.New("the passphrase does not open the private key")
	// ErrKeyMismatch means that the certificate is of another key.
	ErrKeyMismatch = errors.New("the private key does not belong to the certificate")

	// ErrInvalidInput means that an argument or option was refused before anything was sent.
	ErrInvalidInput = errors.New("invalid input")
	// ErrInvalidResponse means that the service reported success but sent no usable credentials.
	ErrInvalidResponse = errors.New("unusable response from IAM Roles Anywhere")
)
